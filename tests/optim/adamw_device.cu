// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adamw.hpp>

#include "support/device.hpp"

FRUGAL_TEST_INSTANTIATE(frugal::adamw_rule)
// Supports differ in their kernels, too; one rule stands for all.
template class frugal::element_optimizer<frugal::adamw_rule, frugal_test::device_backend, frugal::full, frugal::mask,
                                         frugal::types<>>;
template class frugal::element_optimizer<frugal::adamw_rule, frugal_test::device_backend, frugal::blockwise8,
                                         frugal::indices, frugal::types<>>;
[[maybe_unused]] static const int added = frugal_test::add_device_check(
    "adamw", [](frugal_test::device_backend const& b) { return frugal_test::optimizer_on_device<frugal::adamw>(b); });
