// SPDX-License-Identifier: Apache-2.0
/// @file Muon: a step against its products alone.
#include <frugal/optim/muon.hpp>

#include "kernels/cpu.hpp"

namespace {

using frugal::index_t;

bench::suite const registered("muon", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    index_t const rows = s.quick ? 32 : 512, cols = s.quick ? 48 : 1024;
    std::size_t const cells = std::size_t(rows * cols);
    bench::model model(cells);
    std::vector<float> square(std::size_t(rows * rows)), other(square);
    frugal::linalg const la(cpu);
    frugal::mat_view<float> const x(model.g.data(), rows, cols), y(model.m.data(), rows, cols),
        a(square.data(), rows, rows), b(other.data(), rows, rows);
    frugal::muon opt(cpu, frugal::layout{{"w", {rows, cols}}}, {.lr = 1e-6});
    bench::table t(cells, threads);
    t.add("muon_products", 5 * 20, [&] {
      for (int k = 0; k < 5; ++k) {
        la.syrk(1, x, 0, a);
        la.syrk(1, a, 0, b);
        la.gemm(1, b, x, 0, y);
      }
    });
    t.add("muon", 5 * 20, [&] { opt.step(model.x, model.g); }).against("muon_products", 1.25);
    s.measure(t);
  });
});

}  // namespace
