// SPDX-License-Identifier: Apache-2.0
#include <frugal/comm/loopback.hpp>
#include <frugal/distributed/sharded_gradients.hpp>
#include <frugal/optim/momentum.hpp>

#include "support/device_check.hpp"
#include "support/device_numbers.hpp"

using frugal_test::device_backend;
template class frugal::sharded_gradients<frugal::momentum<device_backend>, frugal::loopback_transport>;

namespace {
using namespace frugal_test;

// Three ranks, clipped, of which the last has nothing, the same gradient twice: each ends where it would alone, with
// two times the mean of all gradients.
bool on_device(device_backend const& b) {
  std::vector<int> same(3);
  frugal::run_loopback(3, [&](frugal::loopback_comm& world) {
    const frugal::index_t n = 20000;
    const std::vector<float> mine = device_numbers<float>(n, std::uint32_t(world.rank()));
    std::vector<float> mean = device_numbers<float>(n, 7);
    frugal::buffer<float, device_backend> x(b, mean), y(b, mean), g(b, n), h(b, n);
    frugal::sharded_gradients opt(frugal::momentum(b, frugal::shard_layout(n, world)), n, world);
    frugal::momentum alone(b, n);
    opt.options().clip_norm = alone.options().clip_norm = 1;
    frugal::to_backend(b, g.view(), mine);
    opt.accumulate(g.view());
    frugal::to_backend(b, g.view(), mine);
    opt.accumulate(0, g.view());
    opt.step(x.view());
    mean = mine;
    world.all_reduce(frugal::detail::host_messages{}, mean, frugal::op::mean{});
    for (float& v : mean) v += v;
    frugal::to_backend(b, h.view(), mean);
    alone.step(y.view(), h.view());
    same[std::size_t(world.rank())] = frugal::to_host(b, x.view()) == frugal::to_host(b, y.view());
  });
  return same == std::vector<int>(3, 1);
}
[[maybe_unused]] const int added = add_device_check("sharded_gradients", &on_device);
}  // namespace
