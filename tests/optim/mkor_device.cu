// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/mkor.hpp>

#include "optim/layers_on_device.hpp"
#include "support/device_check.hpp"

using namespace frugal_test;
template class frugal::mkor<device_backend, frugal::half_state>;
namespace {
bool on_device(device_backend const& b) {
  const frugal::mkor_config how{.refresh_every = 2};
  return digest_of(directions(frugal::mkor(b, device_layers, how))) == mkor_digest &&
         digest_of(directions(frugal::mkor(b, device_layers, how, frugal::half_state{}))) == mkor_digest_of_half;
}
[[maybe_unused]] const int added = add_device_check("mkor", &on_device);
}  // namespace
