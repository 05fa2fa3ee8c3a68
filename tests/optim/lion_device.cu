// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/lion.hpp>

#include "support/device.hpp"

FRUGAL_TEST_INSTANTIATE(frugal::lion_rule)
[[maybe_unused]] static const int added = frugal_test::add_device_check(
    "lion", [](frugal_test::device_backend const& b) { return frugal_test::optimizer_on_device<frugal::lion>(b); });
