// SPDX-License-Identifier: Apache-2.0
/// @file A step of Shampoo that leaves its roots alone, for one large matrix in one block, against the products that it
/// is made of: two statistics, and the roots from both sides.
#include <frugal/optim/shampoo.hpp>

#include "kernels/cpu.hpp"

namespace {

using frugal::index_t;

bench::suite const registered("shampoo", [](bench::session const& s) {
  using frugal::transposed;
  frugal::serial_backend const cpu;
  index_t const m = s.quick ? 24 : 1024, n = s.quick ? 16 : 256;
  auto const cells = std::size_t(m * n);
  bench::model model(cells);
  std::vector<float> left(std::size_t(m * m), 0.f), right(std::size_t(n * n), 0.f);
  frugal::mat_view<float> const g(model.g.data(), m, n), one(model.m.data(), m, n), two(model.v.data(), m, n),
      l(left.data(), m, m), r(right.data(), n, n);
  frugal::linalg const la(cpu);
  frugal::shampoo opt(cpu, frugal::layout{{"w", {m, n}}}, {.frequency = 1 << 30});
  // As if after the first step; the roots are zero, and their values do not matter.
  frugal::snapshot start = frugal::save_state(opt);
  for (auto& p : start.pieces)
    if (p.name == "step") p.bytes[0] = 1;
  frugal::restore_state(opt, start);
  bench::table t(cells, 1);
  t.add("shampoo_products", 12, [&] {
    la.syrk(1e-3, g, 0.5, l);
    la.syrk(1e-3, transposed(g), 0.5, r);
    la.gemm(1, l, g, 0, one);
    la.gemm(1, one, r, 0, two);
  });
  t.add("shampoo", 28, [&] { opt.step(model.x, model.g); }).against("shampoo_products", 1.25);
  s.measure(t);
});

}  // namespace
