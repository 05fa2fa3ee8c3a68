// expect: -funsafe-math-optimizations, or a part of it, breaks the bit-exactness
// SPDX-License-Identifier: Apache-2.0
#if !defined(CONTROL)
#define __RECIPROCAL_MATH__ 1  // as g++'s option does
#endif
#include <frugal/core/macros.hpp>
