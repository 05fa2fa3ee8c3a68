// SPDX-License-Identifier: Apache-2.0
/// @file What sharding adds to a step, without the wire: one rank alone, which has all of the model, against the
/// optimizer that is not sharded. With clipping, both measure the norm.
#include <frugal/comm/loopback.hpp>
#include <frugal/distributed/sharded.hpp>
#include <frugal/optim/adamw.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("sharded", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    frugal::run_loopback(1, [&](frugal::loopback_comm& world) {
      const auto n = frugal::index_t(s.elements(22));
      bench::model model{std::size_t(n)};
      bench::table t(std::size_t(n), threads);
      frugal::adamw alone(cpu, n, {.lr = 1e-6});
      frugal::sharded part(frugal::adamw(cpu, n, {.lr = 1e-6}, frugal::shard(n, world)), world);
      t.add("adamw", 28, [&] { alone.step(model.x, model.g); });
      t.add("sharded", 28, [&] { part.step(model.x, model.g); }).against("adamw");
      s.measure(t);
    });
  });
});

}  // namespace
