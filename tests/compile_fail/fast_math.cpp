// expect: -ffast-math breaks the bit-exactness
// SPDX-License-Identifier: Apache-2.0
#if !defined(CONTROL)
#define __FAST_MATH__ 1  // as the option does
#endif
#include <frugal/core/macros.hpp>
