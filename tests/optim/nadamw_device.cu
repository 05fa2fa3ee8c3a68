// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/nadamw.hpp>

#include "support/device.hpp"

FRUGAL_TEST_INSTANTIATE(frugal::nadamw_rule)
[[maybe_unused]] static const int added = frugal_test::add_device_check(
    "nadamw", [](frugal_test::device_backend const& b) { return frugal_test::optimizer_on_device<frugal::nadamw>(b); });
