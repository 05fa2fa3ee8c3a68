// SPDX-License-Identifier: Apache-2.0
// Once more for this processor: bits from its widest registers.
#include "scaled_sign_test.cpp"
