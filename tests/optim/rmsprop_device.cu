// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/rmsprop.hpp>

#include "support/device.hpp"

FRUGAL_TEST_INSTANTIATE(frugal::rmsprop_rule)
[[maybe_unused]] static const int added = frugal_test::add_device_check(
    "rmsprop",
    [](frugal_test::device_backend const& b) { return frugal_test::optimizer_on_device<frugal::rmsprop>(b); });
