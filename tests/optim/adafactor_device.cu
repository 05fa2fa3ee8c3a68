// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adafactor.hpp>

#include "adafactor_on_device.hpp"
#include "support/device_check.hpp"

using namespace frugal_test;
template class frugal::adafactor<device_backend>;

namespace {
bool on_device(device_backend const& b) {
  return trained_adafactor<float>(b) == adafactor_digest &&
         trained_adafactor<frugal::bf16>(b, frugal::stochastic{7}) == drawn_adafactor_digest &&
         trained_adafactor<frugal::bf16>(b, frugal::float_master{}) == copied_adafactor_digest;
}
[[maybe_unused]] const int added = add_device_check("adafactor", &on_device);
}  // namespace
