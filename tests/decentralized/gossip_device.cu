// SPDX-License-Identifier: Apache-2.0
#include <frugal/decentralized/gossip.hpp>

#include "decentralized/ranks.hpp"
#include "support/device.hpp"

template class frugal::gossip<frugal_test::device_backend, frugal::loopback_transport>;

namespace {
using namespace frugal_test;

// Three ranks in a row mix: plain rounds, save, restore, and a filter.
template <class Backend>
std::vector<std::vector<float>> mixed(Backend b, bool chebyshev) {
  return on_ranks(3, [&](frugal::loopback_comm& world) {
    frugal::buffer<float, Backend> x(b, device_numbers<float>(4099, std::uint32_t(world.rank())));
    frugal::gossip mix(b, world, frugal::topology::path(3), x.size(), {.rounds = 3, .chebyshev = chebyshev});
    mix.step(x.view());
    frugal::restore_state(mix, frugal::save_state(mix));
    mix.step({x.data(), x.size()});
    return frugal::to_host(b, x.view());
  });
}
bool on_device(device_backend const& b) {
  return mixed(b, false) == mixed(frugal::serial_backend{}, false) &&
         mixed(b, true) == mixed(frugal::serial_backend{}, true);
}
[[maybe_unused]] const int added = add_device_check("gossip", &on_device);
}  // namespace
