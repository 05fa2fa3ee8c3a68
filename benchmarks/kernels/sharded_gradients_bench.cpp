// SPDX-License-Identifier: Apache-2.0
/// @file What keeping a gradient adds to a step, without the wire: one rank alone, which has all of the model, against
/// its optimizer. It copies the gradient once.
#include <frugal/distributed/sharded_gradients.hpp>
#include <frugal/optim/adamw.hpp>

#include "kernels/cpu.hpp"
#include "kernels/nobody.hpp"

namespace {

bench::suite const registered("sharded_gradients", [](bench::session const& s) {
  for (int threads : {1, 2}) {
    const frugal::tbb_backend cpu(threads);
    frugal::communicator<bench::nobody> world;
    const auto n = frugal::index_t(s.elements(22));
    bench::model model{std::size_t(n)};
    bench::table t(std::size_t(n), threads);
    frugal::adamw alone(cpu, n, {.lr = 1e-6});
    frugal::sharded_gradients part(frugal::adamw(cpu, frugal::shard_layout(n, world), {.lr = 1e-6}), n, world);
    t.add("adamw", 28, [&] { alone.step(model.x, model.g); });
    t.add("sharded_gradients", 36, [&] {
       part.accumulate(model.g);
       part.step(model.x);
     }).against("adamw");
    s.measure(t);
  }
});

}  // namespace
