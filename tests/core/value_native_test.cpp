// SPDX-License-Identifier: Apache-2.0
// Once more for this processor: with its widest registers, and with fused multiply-add in the compiler's reach.
#include "value_test.cpp"
