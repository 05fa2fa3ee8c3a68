// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/lamb.hpp>

#include "support/device.hpp"

FRUGAL_TEST_INSTANTIATE(frugal::lamb_rule)
[[maybe_unused]] static const int added = frugal_test::add_device_check(
    "lamb", [](frugal_test::device_backend const& b) { return frugal_test::optimizer_on_device<frugal::lamb>(b); });
