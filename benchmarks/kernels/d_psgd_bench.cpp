// SPDX-License-Identifier: Apache-2.0
/// @file What a mixing adds to a local step, without the wire: one rank alone, which makes its message, checks nothing
/// and adds up one vector.
#include <frugal/comm/loopback.hpp>
#include <frugal/decentralized/d_psgd.hpp>
#include <frugal/decentralized/gossip.hpp>
#include <frugal/optim/momentum.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("d_psgd", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    frugal::run_loopback(1, [&](frugal::loopback_comm& world) {
      const auto n = frugal::index_t(s.elements(22));
      bench::model model{std::size_t(n)};
      bench::table t(std::size_t(n), threads);
      frugal::momentum local(cpu, n, {.lr = 1e-6});
      const auto made = [&](int local_steps) {
        return frugal::d_psgd(frugal::momentum(cpu, n, {.lr = 1e-6}),
                              frugal::gossip(cpu, world, frugal::topology::custom(1, {}), n),
                              {.local_steps = local_steps});
      };
      auto each = made(1), eighth = made(8);
      t.add("momentum", 20, [&] { local.step(model.x, model.g); });
      t.add("d_psgd", 40, [&] { each.step(model.x, model.g); }).against("momentum");
      t.add("d_psgd_8_local", 22.5, [&] { eighth.step(model.x, model.g); }).against("momentum");
      s.measure(t);
    });
  });
});

}  // namespace
