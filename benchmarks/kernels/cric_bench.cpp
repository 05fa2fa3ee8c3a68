// SPDX-License-Identifier: Apache-2.0
/// @file What a step of a cycle costs beside the optimizer's: x is copied, all groups are scored, those of V shrink.
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/cric.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("cric", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    const auto rows = frugal::index_t(s.elements() / 1024);
    const frugal::layout l{{"w", {rows, 1024}}};
    const auto n = std::size_t(l.size());
    bench::model model(n);
    bench::table t(n, threads);
    frugal::adamw alone(cpu, l, {.lr = 1e-6});
    frugal::hesso pruned(frugal::adamw(cpu, l, {.lr = 1e-6}), {{{{"w"}}}}, {.sparsity = 0.5},
                         frugal::cric{.sampling_steps = 1000000});
    pruned.step(model.x, model.g, [] { return 1.; });  // probes all at once; from now on a cycle
    t.add("adamw", 28, [&] { alone.step(model.x, model.g); });
    t.add("cric", 28 + 8 + 8 + 4, [&] { pruned.step(model.x, model.g, 1.); }).against("adamw");
    s.measure(t);
  });
});

}  // namespace
