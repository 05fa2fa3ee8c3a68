// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adamr.hpp>

#include "adamr_on_device.hpp"
#include "support/device_check.hpp"

using namespace frugal_test;
template class frugal::element_optimizer<frugal::adamr_rule, device_backend, frugal::blockwise8, frugal::all,
                                         frugal::types<>>;
template class frugal::element_optimizer<frugal::adamr_amsgrad_rule, device_backend, frugal::full, frugal::all,
                                         in_16_bits>;

namespace {
bool on_device(device_backend const& b) {
  return trained_adamr(b) == adamr_digest && trained_amsgrad(b) == amsgrad_digest;
}
[[maybe_unused]] const int added = add_device_check("adamr", &on_device);
}  // namespace
