// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adamr.hpp>

#include "support/device.hpp"

// Small tensors of the first have full states. Of the rules that measure, lamb has the other products, and runs them.
FRUGAL_TEST_OPTIMIZER(frugal::adamr_rule, frugal::blockwise8, frugal::types<>)
FRUGAL_TEST_OPTIMIZER(frugal::adamr_amsgrad_rule, frugal::full, frugal::types<frugal::bf16>)

static bool adamr_on_device(frugal_test::device_backend const& b) {
  return frugal_test::same_on_device<frugal::adamr_amsgrad, frugal::types<frugal::bf16>>(b, frugal::full{});
}
[[maybe_unused]] static const int added = frugal_test::add_device_check("adamr", &adamr_on_device);
