// SPDX-License-Identifier: Apache-2.0
// Once more for this processor: all that an optimizer must do, with its widest registers.
#include "adamw_test.cpp"
