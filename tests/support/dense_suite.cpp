// SPDX-License-Identifier: Apache-2.0
#include "dense_suite.hpp"

FRUGAL_DENSE_SUITE()
