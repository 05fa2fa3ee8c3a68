// SPDX-License-Identifier: Apache-2.0
/// @file How fast a graph mixes: eigenvalues of Laplacians, and effective resistances of edges. On the host, in double,
/// every operation rounded once, so that all ranks derive the same weights. Meant for graphs of up to a few hundred
/// ranks: the work is cubic.
///
/// chi_1 and chi_2 as in Nabli, Oyallon, "DADAO: Decoupled Accelerated Decentralized Asynchronous Optimization", ICML
/// 2023.
#pragma once
#include "topology.hpp"

namespace frugal {
inline namespace v0 {

namespace detail {

/// A dense square matrix, row by row.
struct square {
  int n;
  std::vector<double> v;
  explicit square(int size) : n(size), v(std::size_t(size) * std::size_t(size)) {}
  double* operator[](int i) { return v.data() + std::ptrdiff_t(i) * n; }
  double const* operator[](int i) const { return v.data() + std::ptrdiff_t(i) * n; }
};

/// Eigenvalues of a symmetric matrix, ascending, by cyclic Jacobi: rotations clear one entry after the other until the
/// rest is below the rounding of the whole.
inline std::vector<double> symmetric_eigenvalues(square a) {
  const int n = a.n;
  for (int sweep = 0; sweep < 60; ++sweep) {
    double rest = 0, all = 0;
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j) (i == j ? all : rest) += product(a[i][j], a[i][j]);
    if (rest <= 1e-32 * (all + rest)) break;
    for (int p = 0; p < n; ++p)
      for (int q = p + 1; q < n; ++q) {
        const double apq = a[p][q];
        if (apq == 0) continue;
        const double theta = (a[q][q] - a[p][p]) / (2 * apq), size = theta < 0 ? -theta : theta;
        const double t = (theta < 0 ? -1 : 1) / (size + root(product(size, size) + 1));  // infinite size: t = 0
        const double c = 1 / root(product(t, t) + 1), s = product(t, c);
        const double app = a[p][p] - product(t, apq), aqq = a[q][q] + product(t, apq);
        for (int k = 0; k < n; ++k) {
          const double x = a[p][k], y = a[q][k];
          a[p][k] = a[k][p] = product(c, x) - product(s, y);
          a[q][k] = a[k][q] = product(s, x) + product(c, y);
        }
        a[p][p] = app, a[q][q] = aqq, a[p][q] = a[q][p] = 0;
      }
  }
  std::vector<double> values;
  for (int i = 0; i < n; ++i) values.push_back(a[i][i]);
  std::sort(values.begin(), values.end());
  return values;
}

/// The inverse of a symmetric positive definite matrix: Gauss and Jordan's, in place.
inline square inverse(square a) {
  for (int k = 0; k < a.n; ++k) {
    const double pivot = 1 / a[k][k];
    a[k][k] = 1;
    for (int j = 0; j < a.n; ++j) a[k][j] = product(a[k][j], pivot);
    for (int i = 0; i < a.n; ++i) {
      if (i == k) continue;
      const double factor = a[i][k];
      a[i][k] = 0;
      for (int j = 0; j < a.n; ++j) a[i][j] -= product(factor, a[k][j]);
    }
  }
  return a;
}

/// Rates of all edges: those given, or equal ones whose sum is 1.
inline std::vector<double> rates_of(topology const& t, std::vector<double> rates) {
  require(!t.is_directed(), "a Laplacian", "an undirected graph", "a directed one");
  if (rates.empty()) rates.assign(t.edges().size(), 1 / double(t.edges().size()));
  require(rates.size() == t.edges().size(), "the rates of a graph", detail::text("one each of ", t.edges().size()),
          rates.size());
  for (double r : rates) require(r > 0 && r < 1e300, "the rate of an edge", "a positive number", r);
  return rates;
}
inline square laplacian(topology const& t, std::vector<double> const& rates) {
  square l(t.size());
  for (std::size_t e = 0; e < rates.size(); ++e) {
    const auto [i, j] = t.edges()[e];
    l[i][i] += rates[e], l[j][j] += rates[e];
    l[i][j] -= rates[e], l[j][i] -= rates[e];
  }
  return l;
}

}  // namespace detail

/// Of the Laplacian with `rates` on the edges, in their order: ascending; the first is 0.
/// @param rates positive; none: 1 on each edge
inline std::vector<double> laplacian_eigenvalues(topology const& t, std::vector<double> rates = {}) {
  if (rates.empty()) rates.assign(t.edges().size(), 1);
  return detail::symmetric_eigenvalues(detail::laplacian(t, detail::rates_of(t, std::move(rates))));
}
/// The effective resistance between the ends of each edge: b' L^+ b, b = e_i - e_j.
/// @param rates positive; none: equal ones whose sum is 1
inline std::vector<double> edge_resistances(topology const& t, std::vector<double> rates = {}) {
  auto l = detail::laplacian(t, detail::rates_of(t, std::move(rates)));
  for (double& x : l.v) x += 1 / double(t.size());  // (L + J)^-1 = L^+ + J: a pseudo-inverse would have to guess a rank
  const auto g = detail::inverse(std::move(l));
  std::vector<double> r;
  for (auto const& [i, j] : t.edges()) r.push_back(g[i][i] - g[i][j] - g[j][i] + g[j][j]);
  return r;
}
/// 1 / the smallest positive eigenvalue of the Laplacian: how long a difference between ranks lives.
/// @param rates positive; none: equal ones whose sum is 1
inline double chi_1(topology const& t, std::vector<double> rates = {}) {
  require(t.size() > 1, "chi_1", "two ranks or more", t.size());
  return 1 / laplacian_eigenvalues(t, detail::rates_of(t, std::move(rates)))[1];
}
/// Half of the largest effective resistance of an edge; at most chi_1.
/// @param rates positive; none: equal ones whose sum is 1
inline double chi_2(topology const& t, std::vector<double> rates = {}) {
  require(t.size() > 1, "chi_2", "two ranks or more", t.size());
  const auto r = edge_resistances(t, std::move(rates));
  return *std::max_element(r.begin(), r.end()) / 2;
}

}  // namespace v0
}  // namespace frugal
