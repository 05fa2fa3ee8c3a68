// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/kfac.hpp>

#include "optim/layers_on_device.hpp"
#include "support/device_check.hpp"

using namespace frugal_test;
template class frugal::kfac<device_backend>;
namespace {
bool on_device(device_backend const& b) {
  return digest_of(directions(frugal::kfac(
             b, device_layers, {.refresh_every = 2, .damped = frugal::kfac_damping::by_traces}))) == kfac_digest;
}
[[maybe_unused]] const int added = add_device_check("kfac", &on_device);
}  // namespace
