// SPDX-License-Identifier: Apache-2.0
// Once more for this processor: with fused multiply-add, and with registers of its own, in the compiler's reach.
#include "normal_test.cpp"
