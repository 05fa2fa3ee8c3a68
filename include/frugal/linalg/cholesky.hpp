// SPDX-License-Identifier: Apache-2.0
/// @file Cholesky factors in panels, and what is solved with them; Golub and Van Loan, "Matrix Computations", 4th
/// edition, section 4.2.
#pragma once
#include "product.hpp"
#include "report.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

inline constexpr index_t cholesky_panel = 32;

/// The lower triangle to another place, zeros above it; or the identity.
template <class T>
struct copy_lower {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T const* a;  // null: the identity
  index_t n, ld;
  T* to;
  index_t ld_to;
  linalg_report* report;  // null: not started anew

  index_t teams() const { return n; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t i = team.rank();
    for (index_t j = team.lane(); j < n; j += team.lanes())
      to[i * ld_to + j] = a ? (j <= i ? a[i * ld + j] : T(0)) : T(i == j);
    if (report && i == 0 && team.lane() == 0) *report = linalg_report{};
  }
};

/// The block on the diagonal, by one team.
template <class T>
struct cholesky_block {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = int(cholesky_panel * cholesky_panel * index_t(sizeof(T)));
  T* a;
  index_t ld, first, width;
  linalg_report* report;

  index_t teams() const { return 1; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    using one = lanes<T, 1>;
    constexpr index_t P = cholesky_panel;
    if (report->what != outcome::ok) return;
    T *x = team.template scratch<T>(), *at = a + first * ld + first;
    for (index_t e = team.lane(); e < width * width; e += team.lanes())
      x[e / width * P + e % width] = at[e / width * ld + e % width];
    team.sync();
    for (index_t j = 0; j < width; ++j) {
      const one pivot(x[j * P + j]), root = sqrt(pivot);
      if (!(pivot.v[0] > T(0)) || !is_finite_bits<T>(magnitude_bits(pivot.v[0]))) {
        team.sync();
        if (team.lane() == 0) {
          report->what = is_finite_bits<T>(magnitude_bits(pivot.v[0])) ? outcome::not_positive : outcome::not_finite;
          report->at = first + j;
        }
        return;
      }
      team.sync();
      for (index_t i = j + index_t(team.lane()); i < width; i += index_t(team.lanes()))
        x[i * P + j] = i == j ? root.v[0] : (one(x[i * P + j]) / root).v[0];
      team.sync();
      const index_t left = width - j - 1;
      for (index_t e = team.lane(); e < left * left; e += team.lanes()) {
        const index_t i = j + 1 + e / left, k = j + 1 + e % left;
        if (k <= i) x[i * P + k] = (one(x[i * P + k]) - one(x[i * P + j]) * one(x[k * P + j])).v[0];
      }
      team.sync();
    }
    for (index_t e = team.lane(); e < width * width; e += team.lanes())
      if (e % width <= e / width) at[e / width * ld + e % width] = x[e / width * P + e % width];
  }
};

/// What is below the block, row by row: x l^T = b.
template <class T>
struct cholesky_below {
  static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = int(cholesky_panel * cholesky_panel * index_t(sizeof(T)));
  static constexpr index_t some = 64;
  T* a;
  index_t ld, first, width, n;
  linalg_report const* report;

  index_t teams() const { return (n - first - width + some - 1) / some; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    using one = lanes<T, 1>;
    constexpr index_t P = cholesky_panel;
    if (report->what != outcome::ok) return;
    T *l = team.template scratch<T>(), *at = a + first * ld + first;
    for (index_t e = team.lane(); e < width * width; e += team.lanes())
      l[e / width * P + e % width] = at[e / width * ld + e % width];
    team.sync();
    const index_t from = first + width + team.rank() * some, to = from + some < n ? from + some : n;
    for (index_t i = from + index_t(team.lane()); i < to; i += index_t(team.lanes())) {
      T* row = a + i * ld + first;
      for (index_t j = 0; j < width; ++j) {
        one x(row[j]);
        for (index_t k = 0; k < j; ++k) x = x - one(row[k]) * one(l[j * P + k]);
        row[j] = (x / one(l[j * P + j])).v[0];
      }
    }
  }
};

/// A diagonal block's part of a solution, or with its transpose: l x = b in place, a team some columns.
template <class T>
struct solve_block {
  static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = int(cholesky_panel * cholesky_panel * index_t(sizeof(T)));
  static constexpr index_t some = 64;
  T const* l;
  index_t ld, first, width;
  bool flipped;
  T* b;
  index_t cols, ld_b;
  linalg_report const* report;

  index_t teams() const { return (cols + some - 1) / some; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    constexpr index_t P = cholesky_panel;
    if (report->what != outcome::ok) return;
    T* block = team.template scratch<T>();
    T const* at = l + first * ld + first;
    for (index_t e = team.lane(); e < width * width; e += team.lanes())
      block[e / width * P + e % width] = at[e / width * ld + e % width];
    team.sync();
    const index_t j0 = team.rank() * some, n = cols - j0 < some ? cols - j0 : some, step = ld_b;
    constexpr int rows = int(P);
    const int w = int(width);
    T* to = b + first * ld_b + j0;
    const bool back = flipped;
    for_block<T>(team, 1, n, [=](index_t, auto c) {
      for (int s = 0; s < w; ++s) {
        const int i = back ? w - 1 - s : s;
        auto x = c.load(to + i * step);
        for (int r = 0; r < s; ++r) {
          const int k = back ? w - 1 - r : r;
          x = subtract_product(x, block[back ? k * rows + i : i * rows + k], c.load(to + k * step));
        }
        c.store(to + i * step, quotient_of(x, block[i * rows + i]));
      }
    });
  }
};

/// The builtin Cholesky factorization of symmetric n x n matrices.
template <class T, class Backend>
class panel_cholesky {
  using space = typename Backend::space;

 public:
  panel_cholesky(Backend b, index_t n) : backend_(b), n_(n), l_(b, n * n), other_(b, n * n), report_(b) {}

  void factor(mat_view<T const, space> a) {
    if (n_ == 0) return;
    T* l = l_.data();
    backend_.for_teams(copy_lower<T>{a.data(), n_, a.ld(), l, n_, report_.data()});
    for (index_t j = 0; j < n_; j += cholesky_panel) {
      const index_t w = width(j), left = n_ - j - w;
      backend_.for_teams(cholesky_block<T>{l, n_, j, w, report_.data()});
      if (left == 0) break;
      backend_.for_teams(cholesky_below<T>{l, n_, j, w, n_, report_.data()});
      T* below = l + (j + w) * n_ + j;
      product_job<T> update{left, left, w, {below, n_, false}, {below, n_, true}, below + w, n_, T(-1), T(1)};
      update.symmetric = true;
      backend_.for_teams(product_tiles<T>{update});
    }
  }
  /// The factor, zeros above the diagonal.
  void lower(mat_view<T, space> to) {
    if (n_ > 0) backend_.for_teams(copy_lower<T>{l_.data(), n_, n_, to.data(), to.ld(), nullptr});
  }
  void solve(mat_view<T, space> b) {
    if (b.empty()) return;
    forward(b);
    for (index_t j = (n_ - 1) / cholesky_panel * cholesky_panel; j >= 0; j -= cholesky_panel) {
      solve_diagonal(j, true, b);
      above(j, b);
    }
  }
  void inverse(mat_view<T, space> to) {
    if (n_ == 0) return;
    backend_.for_teams(copy_lower<T>{nullptr, n_, n_, other_.data(), n_, nullptr});
    forward({other_.data(), n_, n_});
    product_job<T> square{n_, n_, n_, {other_.data(), n_, true}, {other_.data(), n_, false}, to.data(), to.ld()};
    square.symmetric = true;
    backend_.for_teams(product_tiles<T>{square});
  }
  linalg_report const* report() const { return report_.data(); }

 private:
  index_t width(index_t j) const { return n_ - j < cholesky_panel ? n_ - j : cholesky_panel; }
  void solve_diagonal(index_t j, bool flipped, mat_view<T, space> b) {
    backend_.for_teams(solve_block<T>{l_.data(), n_, j, width(j), flipped, b.data(), b.cols(), b.ld(), report_.data()});
  }
  void forward(mat_view<T, space> b) {
    for (index_t j = 0; j < n_; j += cholesky_panel) {
      solve_diagonal(j, false, b);
      const index_t next = j + width(j), left = n_ - next;
      if (left > 0)
        backend_.for_teams(product_tiles<T>{{left,
                                             b.cols(),
                                             width(j),
                                             {l_.data() + next * n_ + j, n_, false},
                                             {b.data() + j * b.ld(), b.ld(), false},
                                             b.data() + next * b.ld(),
                                             b.ld(),
                                             T(-1),
                                             T(1)}});
    }
  }
  void above(index_t j, mat_view<T, space> b) {
    if (j > 0)
      backend_.for_teams(product_tiles<T>{{j,
                                           b.cols(),
                                           width(j),
                                           {l_.data() + j * n_, n_, true},
                                           {b.data() + j * b.ld(), b.ld(), false},
                                           b.data(),
                                           b.ld(),
                                           T(-1),
                                           T(1)}});
  }
  Backend backend_;
  index_t n_;
  buffer<T, Backend> l_, other_;
  report_cell<Backend> report_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
