// SPDX-License-Identifier: Apache-2.0
#include <frugal/distributed/sharded.hpp>
#include <frugal/distributed/sharded_gradients.hpp>
#include <frugal/optim/momentum.hpp>

#include "decentralized/ranks.hpp"
#include "support/device.hpp"

using frugal_test::device_backend;
template class frugal::sharded<frugal::momentum<device_backend, frugal::full, frugal::range>,
                               frugal::loopback_transport>;
template class frugal::sharded_gradients<frugal::momentum<device_backend>, frugal::loopback_transport>;

namespace {
using namespace frugal_test;

// Three ranks, clipped: the last has nothing.
template <class Backend>
std::vector<std::vector<float>> trained(Backend b) {
  return on_ranks(3, [&](frugal::loopback_comm& world) {
    const frugal::index_t n = 20000;
    frugal::buffer<float, Backend> x(b, device_numbers<float>(n, 7)), g(b, n);
    frugal::sharded opt(frugal::momentum(b, n, {.lr = 0.1}, frugal::shard(n, world)), world);
    opt.options().clip_norm = 1;
    for (std::uint32_t t = 0; t < 4; ++t) {
      if (t == 2) opt.scatter(opt.gather());
      frugal::to_backend(b, g.view(), device_numbers<float>(n, 3 * t + std::uint32_t(world.rank())));
      opt.step(x.view(), g.view());
    }
    frugal::sharded_gradients more(frugal::momentum(b, frugal::shard_layout(n, world)), n, world);
    more.accumulate(g.view());
    more.accumulate(0, g.view());
    more.step(x.view());
    return frugal::to_host(b, x.view());
  });
}
bool on_device(device_backend const& b) { return trained(b) == trained(frugal::serial_backend{}); }
[[maybe_unused]] const int added = add_device_check("sharded", &on_device);
}  // namespace
