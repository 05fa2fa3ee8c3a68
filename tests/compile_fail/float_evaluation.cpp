// expect: float must be evaluated as float
// SPDX-License-Identifier: Apache-2.0
#if !defined(CONTROL)
#undef __FLT_EVAL_METHOD__
#define __FLT_EVAL_METHOD__ 2  // as -mfpmath=387 does
#endif
#include <frugal/core/macros.hpp>
