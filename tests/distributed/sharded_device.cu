// SPDX-License-Identifier: Apache-2.0
#include <frugal/comm/loopback.hpp>
#include <frugal/distributed/sharded.hpp>
#include <frugal/optim/momentum.hpp>

#include "support/device_check.hpp"
#include "support/device_numbers.hpp"

using frugal_test::device_backend;
template class frugal::sharded<frugal::momentum<device_backend, frugal::full, frugal::range>,
                               frugal::loopback_transport>;

namespace {
using namespace frugal_test;

// Three ranks, clipped, of which the last has nothing: each ends where it would alone, with the mean of all gradients.
// That momentum alone is the same here as on the serial backend is the matter of its own test.
bool on_device(device_backend const& b) {
  std::vector<int> same(3);
  frugal::run_loopback(3, [&](frugal::loopback_comm& world) {
    const frugal::index_t n = 20000;
    std::vector<float> mean = device_numbers<float>(n, 7);
    frugal::buffer<float, device_backend> x(b, mean), y(b, mean), g(b, n), h(b, n);
    const auto gradient = [&](std::uint32_t t) {
      mean = device_numbers<float>(n, 3 * t + std::uint32_t(world.rank()));
      frugal::to_backend(b, g.view(), mean);
      world.all_reduce(frugal::detail::host_messages{}, mean, frugal::op::mean{});
      frugal::to_backend(b, h.view(), mean);
    };
    frugal::sharded opt(frugal::momentum(b, n, {.lr = 0.1}, frugal::shard(n, world)), world);
    frugal::momentum alone(b, n, {.lr = 0.1}, frugal::range{0, n});
    opt.options().clip_norm = alone.options().clip_norm = 1;
    for (std::uint32_t t = 0; t < 4; ++t) {
      if (t == 2) opt.scatter(opt.gather());
      gradient(t);
      opt.step(x.view(), g.view());
      alone.step(y.view(), h.view());
    }
    same[std::size_t(world.rank())] = frugal::to_host(b, x.view()) == frugal::to_host(b, y.view());
  });
  return same == std::vector<int>(3, 1);
}
[[maybe_unused]] const int added = add_device_check("sharded", &on_device);
}  // namespace
