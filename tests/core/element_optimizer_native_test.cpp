// SPDX-License-Identifier: Apache-2.0
// All that an optimizer of an element rule must do, in the widest registers of this processor.
#include "optim/adamw_test.cpp"
