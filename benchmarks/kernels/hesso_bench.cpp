// SPDX-License-Identifier: Apache-2.0
/// @file What pruning adds to an optimizer's step once half of the rows are zero: those are written once more.
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/hesso.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("hesso", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    const auto rows = frugal::index_t(s.elements() / 1024);
    const frugal::layout l{{"w", {rows, 1024}}};
    const auto n = std::size_t(l.size());
    bench::model model(n);
    bench::table t(n, threads);
    frugal::adamw alone(cpu, l, {.lr = 1e-6});
    frugal::hesso pruned(frugal::adamw(cpu, l, {.lr = 1e-6}), {{{{"w"}}}}, {.sparsity = 0.5});
    pruned.step(model.x, model.g);  // chooses at once
    t.add("adamw", 28, [&] { alone.step(model.x, model.g); });
    t.add("hesso", 30, [&] { pruned.step(model.x, model.g); }).against("adamw");
    s.measure(t);
  });
});

}  // namespace
