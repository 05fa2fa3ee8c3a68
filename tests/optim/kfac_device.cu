// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/kfac.hpp>

#include "optim/layers_on_device.hpp"

template class frugal::kfac<frugal_test::device_backend>;
namespace {
bool on_device(frugal_test::device_backend const& b) {
  const frugal::kfac_config how{.refresh_every = 2, .damped = frugal::kfac_damping::by_traces};
  frugal::kfac here(frugal::serial_backend{}, frugal_test::device_layers, how);
  frugal::kfac there(b, frugal_test::device_layers, how);
  return frugal_test::directions(here) == frugal_test::directions(there);
}
[[maybe_unused]] const int added = frugal_test::add_device_check("kfac", &on_device);
}  // namespace
