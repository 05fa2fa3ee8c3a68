// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/scaled_sign.hpp>
#include <frugal/decentralized/choco.hpp>

#include "decentralized/ranks.hpp"
#include "support/device.hpp"

template class frugal::choco<frugal::scaled_sign, frugal_test::device_backend, frugal::loopback_transport>;

namespace {
using namespace frugal_test;

// Three ranks in a row: rounds, save, restore, rounds.
template <class Backend>
std::vector<std::vector<float>> mixed(Backend b) {
  return on_ranks(3, [&](frugal::loopback_comm& world) {
    frugal::buffer<float, Backend> x(b, device_numbers<float>(4099, std::uint32_t(world.rank())));
    frugal::choco mix(b, world, frugal::topology::path(3), x.size(), frugal::scaled_sign{}, {0.3});
    for (int t = 0; t < 6; ++t) {
      if (t == 3) frugal::restore_state(mix, frugal::save_state(mix));
      mix.step(x.view());
    }
    mix.resynchronise();
    mix.step(x.view());
    return frugal::to_host(b, x.view());
  });
}
bool on_device(device_backend const& b) { return mixed(b) == mixed(frugal::serial_backend{}); }
[[maybe_unused]] const int added = add_device_check("choco", &on_device);
}  // namespace
