// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/mkor.hpp>

#include "optim/layers_on_device.hpp"

template class frugal::mkor<frugal_test::device_backend, frugal::half_state>;
namespace {
bool on_device(frugal_test::device_backend const& b) {
  frugal::mkor here(frugal::serial_backend{}, frugal_test::device_layers, {.refresh_every = 2}, frugal::half_state{});
  frugal::mkor there(b, frugal_test::device_layers, {.refresh_every = 2}, frugal::half_state{});
  frugal::mkor full(frugal::serial_backend{}, frugal_test::device_layers, {.refresh_every = 2});
  frugal::mkor full_there(b, frugal_test::device_layers, {.refresh_every = 2});
  return frugal_test::directions(here) == frugal_test::directions(there) &&
         frugal_test::directions(full) == frugal_test::directions(full_there);
}
[[maybe_unused]] const int added = frugal_test::add_device_check("mkor", &on_device);
}  // namespace
