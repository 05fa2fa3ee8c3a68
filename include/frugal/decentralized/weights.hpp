// SPDX-License-Identifier: Apache-2.0
/// @file Mixing matrices: what weight a rank gives to each of its neighbours. And sequences of them.
///
/// Metropolis weights and the best constant: Xiao, Boyd, "Fast linear iterations for distributed averaging", Systems &
/// Control Letters 53, 2004.
#pragma once
#include "../core/hash.hpp"
#include "spectrum.hpp"

namespace frugal {
inline namespace v0 {

/// What a rank multiplies another one's vector by.
struct weight {
  int rank;
  double value;
};

/// W: rank i gets the sum of W_ij x_j. A row holds the own weight and those that are not zero, in the order of the
/// ranks. Immutable.
class mixing_matrix {
 public:
  using row_type = std::vector<weight>;

  /// Rows in any order of ranks; a zero is no neighbour.
  explicit mixing_matrix(std::vector<row_type> rows) : rows_(std::move(rows)) {
    const int n = size();
    require(n >= 1, "a mixing matrix", "at least one row", n);
    for (int i = 0; i < n; ++i) {
      row_type& row = rows_[std::size_t(i)];
      for (weight const& w : row) {
        if (w.rank < 0 || w.rank >= n)
          refuse(detail::text("a weight of row ", i), detail::text("ranks 0 to ", n - 1), detail::text(w.rank));
        require(w.value - w.value == 0, detail::text("the weight of rank ", w.rank, " in row ", i), "a finite number",
                w.value);
      }
      std::erase_if(row, [&](weight const& w) { return w.value == 0 && w.rank != i; });
      if (std::none_of(row.begin(), row.end(), [&](weight const& w) { return w.rank == i; })) row.push_back({i, 0});
      std::sort(row.begin(), row.end(), [](weight const& a, weight const& b) { return a.rank < b.rank; });
      for (std::size_t k = 1; k < row.size(); ++k)
        if (row[k - 1].rank == row[k].rank)
          refuse(detail::text("row ", i), "each rank once", detail::text(row[k].rank, " twice"));
    }
  }
  /// All n x n of them, row by row.
  static mixing_matrix dense(std::vector<double> const& w) {
    int n = 0;
    while (std::size_t(n) * std::size_t(n) < w.size()) ++n;
    require(std::size_t(n) * std::size_t(n) == w.size(), "the count of weights", "a square", w.size());
    std::vector<row_type> rows;
    for (int i = 0; i < n; ++i) {
      rows.emplace_back();
      for (int j = 0; j < n; ++j) rows.back().push_back({j, w[std::size_t(i) * std::size_t(n) + std::size_t(j)]});
    }
    return mixing_matrix(std::move(rows));
  }
  /// 1 / (1 + the larger degree) on an edge; the rest on the diagonal, which is positive.
  static mixing_matrix metropolis(topology const& t) {
    return symmetric(t, [&](int i, int j) { return 1 / (1 + double((std::max)(t.degree(i), t.degree(j)))); });
  }
  /// I - L / (d + 1), d the largest degree.
  static mixing_matrix max_degree(topology const& t) {
    int d = 0;
    for (int i = 0; i < t.size(); ++i) d = (std::max)(d, t.degree(i));
    return symmetric(t, [&](int, int) { return 1 / double(d + 1); });
  }
  /// I - 2 / (l_2 + l_n) L, l_2 and l_n the smallest positive and the largest eigenvalue of L: of all weights that are
  /// the same on every edge those that mix fastest. The diagonal may be negative. The work is cubic.
  static mixing_matrix best_constant(topology const& t) {
    if (t.size() == 1) return metropolis(t);
    const auto l = laplacian_eigenvalues(t);
    return symmetric(t, [&](int, int) { return 2 / (l[1] + l.back()); });
  }
  /// One value for all weights of a rank, its own included: 1/3 on a ring, 1/5 on a torus. Refused where some rank does
  /// not have the degree that makes their sum 1.
  static mixing_matrix equal(topology const& t, double value) {
    for (int i = 0; i < t.size(); ++i) {
      const double sum = value * (t.degree(i) + 1);
      require(sum > 1 - tolerance(t.size()) && sum < 1 + tolerance(t.size()),
              detail::text("the sum of equal weights ", value, " of rank ", i, " and its ", t.degree(i), " neighbours"),
              1, sum);
    }
    return symmetric(t, [&](int, int) { return value; });
  }
  /// Of a directed graph: a sender's weight is 1 / (1 + its out-degree) everywhere, its own included. Columns sum to 1;
  /// rows too where all degrees are equal.
  static mixing_matrix uniform_out(topology const& t) {
    std::vector<row_type> rows;
    const auto share = [&](int j) { return weight{j, 1 / double(t.degree(j) + 1)}; };
    for (int i = 0; i < t.size(); ++i) {
      rows.push_back({share(i)});
      for (int j : t.sources(i)) rows.back().push_back(share(j));
    }
    return mixing_matrix(std::move(rows));
  }
  /// (I + W) / 2: no negative eigenvalue.
  static mixing_matrix lazy(mixing_matrix w) {
    for (int i = 0; i < w.size(); ++i)
      for (weight& x : w.rows_[std::size_t(i)]) x.value = (x.rank == i ? x.value + 1 : x.value) / 2;
    return w;
  }

  int size() const { return int(rows_.size()); }
  row_type const& row(int i) const { return rows_[std::size_t(i)]; }
  double at(int i, int j) const {
    for (weight const& w : row(i))
      if (w.rank == j) return w.value;
    return 0;
  }
  bool is_symmetric() const {
    for (int i = 0; i < size(); ++i)
      for (weight const& w : row(i))
        if (const double d = w.value - at(w.rank, i); d > tolerance(size()) || d < -tolerance(size())) return false;
    return true;
  }
  /// Rows and columns that do not sum to 1 within 1e-12 n are refused.
  void require_doubly_stochastic() const {
    std::vector<double> columns(std::size_t(size()), 0.);
    for (int i = 0; i < size(); ++i) {
      double sum = 0;
      for (weight const& w : row(i)) sum += w.value, columns[std::size_t(w.rank)] += w.value;
      check_sum("row ", i, sum);
    }
    for (int j = 0; j < size(); ++j) check_sum("column ", j, columns[std::size_t(j)]);
  }
  /// ||W - J||, J = 11'/n: what a round leaves of the differences, at most. Of a symmetric W the second largest
  /// absolute eigenvalue. The work is cubic.
  double slem() const {
    const int n = size();
    detail::square d(n);
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) d[i][j] = -1 / double(n);
      for (weight const& w : row(i)) d[i][w.rank] += w.value;
    }
    if (is_symmetric()) {
      const auto l = detail::symmetric_eigenvalues(std::move(d));
      return (std::max)(-l.front(), l.back());
    }
    detail::square gram(n);
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j)
        for (int k = 0; k < n; ++k) gram[i][j] += detail::product(d[i][k], d[j][k]);
    const double largest = detail::symmetric_eigenvalues(std::move(gram)).back();
    return detail::root(largest > 0 ? largest : 0);
  }
  double spectral_gap() const { return 1 - slem(); }

 private:
  static double tolerance(int n) { return 1e-12 * n; }
  void check_sum(char const* what, int i, double sum) const {
    if (!(sum > 1 - tolerance(size()) && sum < 1 + tolerance(size())))
      refuse("a doubly stochastic mixing matrix", detail::text("a sum of 1 in ", what, i),
             detail::text("1 + ", sum - 1));
  }
  template <class F>
  static mixing_matrix symmetric(topology const& t, F const& on_edge) {
    require(!t.is_directed(), "the graph of symmetric weights", "an undirected one", "a directed one");
    std::vector<row_type> rows;
    for (int i = 0; i < t.size(); ++i) {
      double rest = 1;
      rows.emplace_back();
      for (int j : t.neighbours(i)) rows.back().push_back({j, on_edge(i, j)}), rest -= on_edge(i, j);
      rows.back().push_back({i, rest});
    }
    return mixing_matrix(std::move(rows));
  }
  std::vector<row_type> rows_;
};

/// What a method does in its rounds: one matrix, or several in turn, all doubly stochastic and connected together. A
/// graph stands for its Metropolis weights.
class mixing_schedule {
 public:
  mixing_schedule(topology const& t) : mixing_schedule(mixing_matrix::metropolis(t)) {}
  mixing_schedule(mixing_matrix w) : mixing_schedule(std::vector<mixing_matrix>{std::move(w)}) {}
  explicit mixing_schedule(std::vector<mixing_matrix> turns) : turns_(std::move(turns)) {
    require(!turns_.empty(), "a mixing schedule", "at least one matrix", 0);
    const int n = turns_[0].size();
    std::vector<edge> all;
    for (mixing_matrix const& w : turns_) {
      require(w.size() == n, "the ranks of a mixing schedule's matrices", n, w.size());
      w.require_doubly_stochastic();
      for (int i = 0; i < n; ++i)
        for (weight const& x : w.row(i))
          if (x.rank != i) all.push_back({x.rank, i});
    }
    topology::directed(n, std::move(all));  // refuses what is not connected
  }
  /// The steps of topology::one_peer_exponential with weights 1/2. n a power of two: each period gives the exact mean.
  static mixing_schedule one_peer_exponential(int n) {
    std::vector<mixing_matrix> turns;
    for (int t = 0; t < topology::steps_of(n) || t < 1; ++t)
      turns.push_back(mixing_matrix::uniform_out(topology::one_peer_exponential(n, t)));
    return mixing_schedule(std::move(turns));
  }

  int size() const { return turns_[0].size(); }
  int period() const { return int(turns_.size()); }
  mixing_matrix const& turn(int k) const { return turns_[std::size_t(k)]; }
  /// Equal on two ranks if and only if (but for chance) they mean the same weights.
  std::uint64_t hash() const {
    fnv1a h;
    for (mixing_matrix const& w : turns_)
      for (int i = 0; i < w.size(); ++i) {
        h.add(std::uint64_t(w.row(i).size()));
        for (weight const& x : w.row(i)) h.add(std::uint64_t(x.rank)).add(detail::bit_cast<std::uint64_t>(x.value));
      }
    return h.value();
  }

 private:
  std::vector<mixing_matrix> turns_;
};

}  // namespace v0
}  // namespace frugal
