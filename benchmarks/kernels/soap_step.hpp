// SPDX-License-Identifier: Apache-2.0
/// @file A step of SOAP that leaves its bases alone, for one large matrix, against the products that it is made of:
/// turned there and back, and the two statistics. Bases are the identity here, as their values do not matter.
#pragma once
#include <frugal/optim/soap.hpp>

#include <cstring>

#include "kernels/cpu.hpp"

namespace bench {

/// As if after the first gradient, with the identity for a basis.
template <class Optimizer>
void start_soap(Optimizer& opt, frugal::index_t m, frugal::index_t n) {
  frugal::snapshot s = frugal::save_state(opt);
  for (auto& p : s.pieces) {
    if (p.name == "step" || p.name == "started") {
      std::int64_t const one = 1;
      std::memcpy(p.bytes.data(), &one, sizeof one);
    }
    if (p.name != "w.q0" && p.name != "w.q1") continue;
    frugal::index_t const d = p.name == "w.q0" ? m : n;
    float const one = 1;
    for (frugal::index_t i = 0; i < d; ++i)
      std::memcpy(p.bytes.data() + sizeof(float) * std::size_t(i * (d + 1)), &one, 4);
  }
  frugal::restore_state(opt, s);
}

/// The matrices of the products: g is m x n as the two results are, l is m x m, r is n x n.
struct soap_matrices {
  frugal::mat_view<float> g, one, two, l, r;
};

/// Rows NAME_products and NAME of that provider, for a matrix of m x n. `reference(table, matrices)` may add a row of
/// the same products before, and returns its name, or null.
template <class Provider, class Reference>
void soap_rows(session s, std::string const& name, Provider const& provider, frugal::index_t m, frugal::index_t n,
               Reference const& reference) {
  if ((name + "_products").find(s.filter) == std::string::npos) return;  // it takes seconds
  if (s.quick) m = 64, n = 32;
  using frugal::transposed;
  s.work.rounds = std::min(s.work.rounds, 7);
  frugal::serial_backend const cpu;
  auto const cells = std::size_t(m * n);
  model data(cells);
  std::vector<float> left(std::size_t(m * m), 0.f), right(std::size_t(n * n), 0.f);
  soap_matrices const at{
      {data.g.data(), m, n}, {data.m.data(), m, n}, {data.v.data(), m, n}, {left.data(), m, m}, {right.data(), n, n}};
  frugal::linalg const la(cpu, provider);
  frugal::soap opt(cpu, frugal::layout{{"w", {m, n}}}, {.frequency = 1 << 30}, provider);
  start_soap(opt, m, n);
  table t(cells, 1);
  char const* const same = reference(t, at);
  auto& products = t.add(name + "_products", 12, [&] {
    la.gemm(1, transposed(at.l), at.g, 0, at.one);
    la.gemm(1, at.one, at.r, 0, at.two);
    la.gemm(1, at.l, at.two, 0, at.one);
    la.gemm(1, at.one, transposed(at.r), 0, at.two);
    la.syrk(1e-3, at.g, 0.5, at.l);
    la.syrk(1e-3, transposed(at.g), 0.5, at.r);
  });
  if (same) products.against(same, 1.10);
  t.add(name, 20, [&] { opt.step(data.x, data.g); }).against(name + "_products", 1.25);
  s.measure(t);
}

}  // namespace bench
