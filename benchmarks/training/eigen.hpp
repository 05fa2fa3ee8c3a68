// SPDX-License-Identifier: Apache-2.0
/// @file Eigen. To be included first: g++ 12 takes the undefined registers in its own AVX-512 header for a mistake, and
/// looks at the diagnostics that were in force where that header was first read.
#pragma once
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <Eigen/Core>
#pragma GCC diagnostic pop
