// SPDX-License-Identifier: Apache-2.0
/// @file What sharding adds to a step, without the wire: one rank alone, which has all of the model, against its
/// optimizer. With clipping, both measure the norm.
#include <frugal/distributed/sharded.hpp>
#include <frugal/optim/adamw.hpp>

#include "kernels/cpu.hpp"
#include "kernels/nobody.hpp"

namespace {

bench::suite const registered("sharded", [](bench::session const& s) {
  for (int threads : {1, 2}) {
    const frugal::tbb_backend cpu(threads);
    frugal::communicator<bench::nobody> world;
    const auto n = frugal::index_t(s.elements(22));
    bench::model model{std::size_t(n)};
    bench::table t(std::size_t(n), threads);
    const frugal::range own = frugal::shard(n, world);
    frugal::adamw alone(cpu, n, {.lr = 1e-6}, own);
    frugal::sharded part(frugal::adamw(cpu, n, {.lr = 1e-6}, own), world);
    t.add("adamw", 28, [&] { alone.step(model.x, model.g); });
    t.add("sharded", 28, [&] { part.step(model.x, model.g); }).against("adamw");
    s.measure(t);
  }
});

}  // namespace
