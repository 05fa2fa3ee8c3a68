// SPDX-License-Identifier: Apache-2.0
/// @file Thin QR by Householder reflectors, in panels whose reflectors are applied as products: Schreiber and Van Loan,
/// "A storage-efficient WY representation for products of Householder transformations", SIAM J. Sci. Stat. Comput.
/// 10(1), 1989.
#pragma once
#include "product.hpp"
#include "report.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

inline constexpr index_t qr_panel = 32;
inline constexpr index_t qr_slots = 8;  // running sums of a column's dot product: part of the contract

/// Copies a matrix with each column times a power of two, so that no square overflows or vanishes; a team some columns.
template <class T>
struct qr_prepare {
  static constexpr unsigned team_threads = 256;
  static constexpr index_t cols = 32, parts = 8;
  using U = typename floating<T>::bits;
  static constexpr int scratch_bytes = int(cols * parts * index_t(sizeof(U)));
  T const* a;
  index_t rows, n, ld;
  T* to;
  T* back;  // of each column: the inverse power; NaN where the column is not finite

  index_t teams() const { return (n + cols - 1) / cols; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t j0 = team.rank() * cols, w = n - j0 < cols ? n - j0 : cols;
    U* top = team.template scratch<U>();
    for (index_t e = team.lane(); e < w * parts; e += team.lanes()) {
      U most = 0;
      for (index_t i = e / w; i < rows; i += parts) {
        const U u = magnitude_bits(a[i * ld + j0 + e % w]);
        most = u > most ? u : most;
      }
      top[e] = most;
    }
    team.sync();
    for (index_t j = team.lane(); j < w; j += team.lanes()) {
      U most = 0;
      for (index_t p = 0; p < parts; ++p) most = top[p * w + j] > most ? top[p * w + j] : most;
      back[j0 + j] = is_finite_bits<T>(most) ? scale_to_one<T>(most, true) : bit_cast<T>(~U(0));
      const T by = scale_to_one<T>(most, false);
      for (index_t i = 0; i < rows; ++i) to[i * n + j0 + j] = a[i * ld + j0 + j] * by;
    }
  }
};

/// One panel, by one team: columns [first, first + width) of a; v gets the reflectors, each with its 1 and the zeros
/// above it.
template <class T>
struct qr_panel_step {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = int((qr_slots + 1) * qr_panel * index_t(sizeof(T)));
  T *a, *v, *tau;
  index_t rows, n, first, width;

  index_t teams() const { return 1; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    using one = lanes<T, 1>;
    T *part = team.template scratch<T>(), *along = part + qr_slots * qr_panel;
    const index_t ld = n, end = rows;
    for (index_t k = 0; k < width; ++k) {
      const index_t j = first + k, right = width - k;
      T *x = a + j, *row = a + j * ld + j;
      for_block<T>(team, qr_slots, right, [=](index_t s, auto c) {
        using V = typename decltype(c)::value;
        auto sum = spread<V>(T(0));
        for (index_t i = j + 1 + s; i < end; i += qr_slots) sum = add_product(sum, x[i * ld], c.load(x + i * ld));
        c.store(part + s * qr_panel, sum);
      });
      team.sync();
      for_block<T>(team, 1, right,
                   [=](index_t, auto c) { c.store(along, halving_rows<int(qr_slots)>(c, part, qr_panel)); });
      team.sync();
      // The reflector I - t u u^T, u = (1, inverse x); where nothing is below the diagonal it is the identity.
      const one head(*row), square(along[0]);
      const bool flat = !(square.v[0] > floating<T>::negligible) && square.v[0] == square.v[0];
      const one norm = sqrt(head * head + square), beta = head.v[0] > T(0) ? one(T(0)) - norm : norm;
      const one inverse = flat ? one(T(0)) : one(T(1)) / (head - beta);
      const one t = flat ? one(T(0)) : (beta - head) / beta;
      team.sync();  // all have read what is now overwritten
      for (index_t c = index_t(team.lane()) + 1; c < right; c += index_t(team.lanes())) {
        const one g = t * (one(row[c]) + inverse * one(along[c]));
        along[c] = g.v[0];
        row[c] = (one(row[c]) - g).v[0];
      }
      if (team.lane() == 0) {
        *row = flat ? head.v[0] : beta.v[0];
        tau[j] = t.v[0];
      }
      for (index_t i = first + index_t(team.lane()); i < end; i += index_t(team.lanes()))
        v[i * ld + j] = i > j ? (one(x[i * ld]) * inverse).v[0] : i == j ? T(1) : T(0);
      team.sync();
      T const* u = v + (j + 1) * ld + j;
      for_block<T>(team, end - j - 1, right - 1, [=](index_t i, auto c) {
        T* to = row + (i + 1) * ld + 1;
        c.store(to, subtract_product(c.load(to), u[i * ld], c.load(along + 1)));
      });
      team.sync();
    }
  }
};

/// The triangle t of a panel, from v^T v: its product of reflectors is I - v t v^T.
template <class T>
struct qr_triangle {
  static constexpr unsigned team_threads = 32;
  static constexpr int scratch_bytes = 16;
  T const *square, *tau;
  T* t;
  index_t width;

  index_t teams() const { return 1; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    using one = lanes<T, 1>;
    for (index_t j = 0; j < width; ++j) {
      for (index_t i = team.lane(); i < width; i += team.lanes()) {
        one sum(T(0));
        for (index_t k = i; k < j; ++k) sum = sum + one(t[i * qr_panel + k]) * one(square[k * qr_panel + j]);
        t[i * qr_panel + j] = i < j ? (one(T(0)) - one(tau[j]) * sum).v[0] : i == j ? tau[j] : T(0);
      }
      team.sync();
    }
  }
};

/// The first columns of the identity, with signs that make the triangle's diagonal >= 0; the triangle itself, if it is
/// wanted; and the report.
template <class T>
struct qr_finish {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  static constexpr index_t some = 16;  // rows of a team
  T const *a, *back;
  index_t rows, n;
  T* q;
  index_t ld_q;
  T* r;  // or null
  index_t ld_r;
  linalg_report* report;

  index_t teams() const { return (rows + some - 1) / some; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t i0 = team.rank() * some, m = rows - i0 < some ? rows - i0 : some;
    for (index_t e = team.lane(); e < m * n; e += team.lanes()) {
      const index_t i = i0 + e / n, j = e % n;
      const bool negative = i < n && a[i * n + i] < T(0);
      q[i * ld_q + j] = i != j ? T(0) : negative ? T(-1) : T(1);
      if (r && i < n) {
        const T x = j < i ? T(0) : a[i * n + j] * back[j];
        r[i * ld_r + j] = negative && j >= i ? -x : x;
      }
    }
    if (team.rank() == 0 && team.lane() == 0) {
      linalg_report done;
      for (index_t j = n - 1; j >= 0; --j)
        if (back[j] != back[j]) done.what = outcome::not_finite, done.at = j;
      *report = done;
    }
  }
};

/// The builtin thin QR of rows x n matrices, rows >= n.
template <class T, class Backend>
class householder_qr {
  using space = typename Backend::space;

 public:
  householder_qr(Backend b, index_t rows, index_t n)
      : backend_(b),
        rows_(rows),
        n_(n),
        a_(b, rows * n),
        v_(b, rows * n),
        back_(b, n),
        tau_(b, n),
        t_(b, panels() * qr_panel * qr_panel),
        square_(b, qr_panel * qr_panel),
        w_(b, 2 * qr_panel * n),
        report_(b) {}

  void operator()(mat_view<T const, space> a, mat_view<T, space> q, mat_view<T, space> r) {
    if (n_ == 0) return;
    backend_.for_teams(qr_prepare<T>{a.data(), rows_, n_, a.ld(), a_.data(), back_.data()});
    for (index_t p = 0; p < panels(); ++p) {
      const index_t j = p * qr_panel, w = width(p), left = rows_ - j;
      T *v = v_.data() + j * n_ + j, *t = t_.data() + p * qr_panel * qr_panel;
      backend_.for_teams(qr_panel_step<T>{a_.data(), v_.data(), tau_.data(), rows_, n_, j, w});
      multiply(w, w, left, {v, n_, true}, {v, n_, false}, square_.data(), qr_panel, 1, 0);
      backend_.for_teams(qr_triangle<T>{square_.data(), tau_.data() + j, t, w});
      reflect(p, true, a_.data() + j * n_ + j + w, n_, n_ - j - w);
    }
    backend_.for_teams(
        qr_finish<T>{a_.data(), back_.data(), rows_, n_, q.data(), q.ld(), r.data(), r.ld(), report_.data()});
    for (index_t p = panels() - 1; p >= 0; --p) {
      const index_t j = p * qr_panel;
      reflect(p, false, q.data() + j * q.ld() + j, q.ld(), n_ - j);
    }
  }
  linalg_report const* report() const { return report_.data(); }

 private:
  index_t panels() const { return (n_ + qr_panel - 1) / qr_panel; }
  index_t width(index_t p) const { return n_ - p * qr_panel < qr_panel ? n_ - p * qr_panel : qr_panel; }
  /// c = (I - v t v^T) c, or with t^T.
  void reflect(index_t p, bool flipped, T* c, index_t ld, index_t cols) {
    const index_t j = p * qr_panel, w = width(p), left = rows_ - j;
    T *v = v_.data() + j * n_ + j, *t = t_.data() + p * qr_panel * qr_panel, *first = w_.data();
    T* second = first + qr_panel * n_;
    multiply(w, cols, left, {v, n_, true}, {c, ld, false}, first, n_, 1, 0);
    multiply(w, cols, w, {t, qr_panel, flipped}, {first, n_, false}, second, n_, 1, 0);
    multiply(left, cols, w, {v, n_, false}, {second, n_, false}, c, ld, -1, 1);
  }
  void multiply(index_t m, index_t n, index_t k, factor<T> a, factor<T> b, T* c, index_t ld, double alpha,
                double beta) {
    if (m > 0 && n > 0) backend_.for_teams(product_tiles<T>{{m, n, k, a, b, c, ld, T(alpha), T(beta)}});
  }
  Backend backend_;
  index_t rows_, n_;
  buffer<T, Backend> a_, v_, back_, tau_, t_, square_, w_;
  report_cell<Backend> report_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
