// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/lars.hpp>

#include "support/device.hpp"

// Of the rules that measure, lamb has the other products.
FRUGAL_TEST_OPTIMIZER(frugal::lars_rule, frugal::full, frugal::types<>)
FRUGAL_TEST_OPTIMIZER(frugal::lars_rule, frugal::blockwise8, frugal::types<>)
FRUGAL_TEST_OPTIMIZER(frugal::lars_rule, frugal::full, frugal::types<frugal::bf16>)

static bool lars_on_device(frugal_test::device_backend const& b) {
  const frugal::lars_config trusting{.trust = 0.02};
  return frugal_test::same_on_device<frugal::lars>(b, frugal::full{}, trusting) &&
         frugal_test::same_on_device<frugal::lars>(b, frugal::blockwise8{}, trusting);
}
[[maybe_unused]] static const int added = frugal_test::add_device_check("lars", &lars_on_device);
