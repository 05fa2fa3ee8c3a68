// SPDX-License-Identifier: Apache-2.0
// Options that macros tell of: set here as the options set them.

// expect FAST_MATH: -ffast-math breaks the bit-exactness
#if defined(FAST_MATH)
#define __FAST_MATH__ 1
#endif
#include <frugal/core/macros.hpp>

// expect UNSAFE_MATH: -funsafe-math-optimizations, or a part of it, breaks the bit-exactness
#if defined(UNSAFE_MATH)
#define __RECIPROCAL_MATH__ 1
#endif
#include <frugal/core/macros.hpp>

// expect EVALUATION: float must be evaluated as float
#if defined(EVALUATION)
#undef __FLT_EVAL_METHOD__
#define __FLT_EVAL_METHOD__ 2
#endif
#include <frugal/core/macros.hpp>
