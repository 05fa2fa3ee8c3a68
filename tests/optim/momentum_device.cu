// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/momentum.hpp>

#include "support/device.hpp"

FRUGAL_TEST_INSTANTIATE(frugal::momentum_rule)
[[maybe_unused]] static const int added =
    frugal_test::add_device_check("momentum", [](frugal_test::device_backend const& b) {
      return frugal_test::optimizer_on_device<frugal::momentum>(b, {.nesterov = true});
    });
