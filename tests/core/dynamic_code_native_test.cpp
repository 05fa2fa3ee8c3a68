// SPDX-License-Identifier: Apache-2.0
// Once more for this processor, whose blocks may have a path of their own.
#include "dynamic_code_test.cpp"
