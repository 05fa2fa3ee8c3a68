// SPDX-License-Identifier: Apache-2.0
/// @file The version of the library: of its interface, and of the numbers it computes.
#pragma once

#define FRUGAL_VERSION_MAJOR 0
#define FRUGAL_VERSION_MINOR 1
#define FRUGAL_VERSION_PATCH 0
/// Raised whenever a bit-exact contract (docs/determinism.md) yields other bits than before.
#define FRUGAL_NUMERICS_VERSION 1
