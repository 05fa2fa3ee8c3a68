// SPDX-License-Identifier: Apache-2.0
/// @file A step of SOAP that leaves its bases alone, for one large matrix, against the products that it is made of:
/// turned there and back, and the two statistics. Bases are the identity here, as their values do not matter.
#include <frugal/optim/soap.hpp>

#include <cstring>

#include "kernels/cpu.hpp"

namespace {

using frugal::index_t;

/// As if after the first gradient, with the identity for a basis.
template <class Optimizer>
void start(Optimizer& opt, index_t m, index_t n) {
  frugal::snapshot s = frugal::save_state(opt);
  for (auto& p : s.pieces) {
    if (p.name == "step" || p.name == "started") {
      std::int64_t const one = 1;
      std::memcpy(p.bytes.data(), &one, sizeof one);
    }
    if (p.name != "w.q0" && p.name != "w.q1") continue;
    index_t const d = p.name == "w.q0" ? m : n;
    float const one = 1;
    for (index_t i = 0; i < d; ++i) std::memcpy(p.bytes.data() + sizeof(float) * std::size_t(i * (d + 1)), &one, 4);
  }
  frugal::restore_state(opt, s);
}

bench::suite const registered("soap", [](bench::session const& all) {
  if (std::string("soap_products").find(all.filter) == std::string::npos) return;  // it takes seconds and 400 MB
  using frugal::transposed;
  bench::session s = all;
  s.work.rounds = std::min(s.work.rounds, 3);
  frugal::serial_backend const cpu;
  index_t const m = s.quick ? 64 : 4096, n = s.quick ? 32 : 1024;
  auto const cells = std::size_t(m * n);
  bench::model model(cells);
  std::vector<float> left(std::size_t(m * m), 0.f), right(std::size_t(n * n), 0.f);
  frugal::mat_view<float> const g(model.g.data(), m, n), one(model.m.data(), m, n), two(model.v.data(), m, n),
      l(left.data(), m, m), r(right.data(), n, n);
  frugal::linalg const la(cpu);
  frugal::soap opt(cpu, frugal::layout{{"w", {m, n}}}, {.frequency = 1 << 30});
  start(opt, m, n);
  bench::table t(cells, 1);
  t.add("soap_products", 12, [&] {
    la.gemm(1, transposed(l), g, 0, one);
    la.gemm(1, one, r, 0, two);
    la.gemm(1, l, two, 0, one);
    la.gemm(1, one, transposed(r), 0, two);
    la.syrk(1e-3, g, 0.5, l);
    la.syrk(1e-3, transposed(g), 0.5, r);
  });
  t.add("soap", 20, [&] { opt.step(model.x, model.g); }).against("soap_products", 1.25);
  s.measure(t);
});

}  // namespace
