// SPDX-License-Identifier: Apache-2.0
/// @file The version of the library: of its interface, and of the numbers it computes.
#pragma once

#define FRUGAL_VERSION_MAJOR 0
#define FRUGAL_VERSION_MINOR 1
#define FRUGAL_VERSION_PATCH 0
/// One number to compare with in an #if: 102 is 0.1.2, 10203 is 1.2.3.
#define FRUGAL_VERSION (FRUGAL_VERSION_MAJOR * 10000 + FRUGAL_VERSION_MINOR * 100 + FRUGAL_VERSION_PATCH)
/// Raised whenever a bit-exact contract (docs/determinism.md) yields other bits than before.
#define FRUGAL_NUMERICS_VERSION 1
