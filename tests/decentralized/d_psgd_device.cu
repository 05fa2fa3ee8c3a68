// SPDX-License-Identifier: Apache-2.0
#include <frugal/decentralized/d_psgd.hpp>
#include <frugal/decentralized/gossip.hpp>
#include <frugal/optim/momentum.hpp>

#include "decentralized/ranks.hpp"
#include "support/device.hpp"

template class frugal::d_psgd<frugal::momentum<frugal_test::device_backend>,
                              frugal::gossip<frugal_test::device_backend, frugal::loopback_transport>>;

namespace {
using namespace frugal_test;

// Three ranks in a row: steps, save, restore, steps.
template <class Backend>
std::vector<std::vector<float>> trained(Backend b) {
  return on_ranks(3, [&](frugal::loopback_comm& world) {
    const frugal::index_t n = 4099;
    frugal::buffer<float, Backend> x(b, device_numbers<float>(n, 7)), g(b, n);
    frugal::d_psgd train(frugal::momentum(b, n), frugal::gossip(b, world, frugal::topology::path(3), n),
                         {.local_steps = 2});
    for (std::uint32_t t = 0; t < 6; ++t) {
      if (t == 3) frugal::restore_state(train, frugal::save_state(train));
      frugal::to_backend(b, g.view(), device_numbers<float>(n, 3 * t + std::uint32_t(world.rank())));
      train.step(x.view(), g.view());
    }
    return frugal::to_host(b, x.view());
  });
}
bool on_device(device_backend const& b) { return trained(b) == trained(frugal::serial_backend{}); }
[[maybe_unused]] const int added = add_device_check("d_psgd", &on_device);
}  // namespace
