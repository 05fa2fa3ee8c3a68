// SPDX-License-Identifier: Apache-2.0
/// @file Symmetric eigenvalues and vectors by cyclic Jacobi rotations in a parallel order: the pairs of a round are
/// disjoint, and after n - 1 rounds (a sweep) each pair has met once. Brent and Luk, "The solution of singular-value
/// and symmetric eigenvalue problems on multiprocessor arrays", SIAM J. Sci. Stat. Comput. 6(1), 1985; the rotations as
/// Rutishauser writes them, "The Jacobi method for real symmetric matrices", Numer. Math. 9, 1966.
///
/// The index in place k meets that in place k + h, h = n / 2, so that both halves of a row are walked side by side;
/// between rounds all but the first move on by one place, as a tournament's players do.
#pragma once
#include "report.hpp"
#include "vectors.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Where the one in place i of 2h goes after a round.
FRUGAL_FN index_t next_place(index_t i, index_t h) {
  if (i == 0 || h == 1) return i;
  if (i < h) return i == h - 1 ? 2 * h - 1 : i + 1;
  return i == h ? 1 : i - 1;
}

struct jacobi_state {
  std::int32_t done = 0, sweeps = 0;
};
template <class T>
struct jacobi_pairs {  // of a round
  T *sine, *tangent_of_half;
  std::uint32_t* large;  // whether the pair of a place was not yet negligible, in this sweep
};

/// The largest magnitude of each row of the lower triangle.
template <class T>
struct jacobi_peaks {
  static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = int(64 * sizeof(T));
  using U = typename floating<T>::bits;
  T const* a;
  index_t n, ld;
  U* peaks;

  index_t teams() const { return n; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    constexpr index_t parts = 64;
    const index_t i = team.rank();
    U* top = team.template scratch<U>();
    for (index_t p = team.lane(); p < parts; p += team.lanes()) {
      U most = 0;
      for (index_t j = p; j <= i; j += parts) {
        const U u = magnitude_bits(a[i * ld + j]);
        most = u > most ? u : most;
      }
      top[p] = most;
    }
    team.sync();
    if (team.lane() == 0) {
      U most = 0;
      for (index_t p = 0; p < parts; ++p) most = top[p] > most ? top[p] : most;
      peaks[i] = most;
    }
  }
};
template <class T>
struct jacobi_start {
  using U = typename floating<T>::bits;
  U* peaks;  // of rows; then the first is that of the matrix
  index_t n, h;
  jacobi_state* state;
  linalg_report* report;
  jacobi_pairs<T> pairs;
  FRUGAL_FN void operator()() const {
    U most = 0;
    linalg_report r;
    for (index_t i = n - 1; i >= 0; --i) {
      most = peaks[i] > most ? peaks[i] : most;
      if (!is_finite_bits<T>(peaks[i])) r.what = outcome::not_finite, r.at = i;
    }
    peaks[0] = most;
    *state = {r.ok() ? 0 : 1, 0};
    *report = r;
    for (index_t k = 0; k < h; ++k) pairs.large[k] = 0;
  }
};
/// The lower triangle to both, times a power of two; the vectors start as the identity.
template <class T>
struct jacobi_fill {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T const* a;
  index_t n, ld, size;  // size: n, or one more, which is even
  typename floating<T>::bits const* peak;
  T *x, *v;

  index_t teams() const { return size; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t i = team.rank();
    const T by = scale_to_one<T>(*peak, false);
    for (index_t j = team.lane(); j < size; j += team.lanes()) {
      x[i * size + j] = i >= n || j >= n ? T(0) : (j <= i ? a[i * ld + j] : a[j * ld + i]) * by;
      if (j < n) v[i * n + j] = i == j ? T(1) : T(0);
    }
  }
};

/// The rotation of each pair of a round.
template <class T>
struct jacobi_angles {
  static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 16;
  static constexpr index_t some = 64;
  T const* x;
  index_t h;
  T negligible;  // off the diagonal, where the largest magnitude is in [1, 2)
  jacobi_state const* state;
  jacobi_pairs<T> pairs;

  index_t teams() const { return (h + some - 1) / some; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    using one = lanes<T, 1>;
    if (state->done) return;
    const index_t from = team.rank() * some, to = from + some < h ? from + some : h;
    for (index_t k = from + index_t(team.lane()); k < to; k += index_t(team.lanes())) {
      T const *p = x + k * 2 * h, *q = x + (k + h) * 2 * h;
      const one off(p[k + h]), zero(T(0)), unit(T(1));
      const one size = off.v[0] < T(0) ? zero - off : off;
      one t = zero;
      if (off.v[0] != T(0)) {
        const one theta = (one(q[k + h]) - one(p[k])) / (off + off);
        const one magnitude = theta.v[0] < T(0) ? zero - theta : theta;
        const one r = unit / (magnitude + sqrt(unit + theta * theta));
        t = theta.v[0] < T(0) ? zero - r : r;
      }
      const one cosine = unit / sqrt(unit + t * t), sine = t * cosine;
      pairs.sine[k] = sine.v[0];
      pairs.tangent_of_half[k] = (sine / (unit + cosine)).v[0];
      if (size.v[0] > negligible) pairs.large[k] = 1;
    }
  }
};

/// A round: both sides of the matrix and the rows of the vectors, from one buffer to the places of the next round in
/// the other. A team two rows of one of them.
template <class T>
struct jacobi_round {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T const *x, *v;
  T *to_x, *to_v;
  index_t n, h;
  jacobi_state const* state;
  jacobi_pairs<T> pairs;

  index_t teams() const { return 2 * h; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    if (state->done) return;
    const index_t k = team.rank() < h ? team.rank() : team.rank() - h;
    const T s = pairs.sine[k], u = pairs.tangent_of_half[k];
    const index_t up = next_place(k, h), down = next_place(k + h, h);
    if (team.rank() >= h) {
      T const *p = v + k * n, *q = v + (k + h) * n;
      T *to_p = to_v + up * n, *to_q = to_v + down * n;
      for_block<T>(team, 1, n, [=](index_t, auto c) {
        using V = typename decltype(c)::value;
        V a = c.load(p), b = c.load(q);
        rotate(a, b, s, u);
        c.store(to_p, a);
        c.store(to_q, b);
      });
      return;
    }
    const index_t ld = 2 * h, half = h;
    T const *p = x + k * ld, *q = x + (k + h) * ld, *sine = pairs.sine, *tangent = pairs.tangent_of_half;
    T *to_p = to_x + up * ld, *to_q = to_x + down * ld;
    const auto columns = [=](index_t, auto c) {
      using V = typename decltype(c)::value;
      V a = c.load(p), b = c.load(p + half), d = c.load(q), e = c.load(q + half);
      rotate(a, d, s, u);
      rotate(b, e, s, u);
      const V sj = c.load(sine), uj = c.load(tangent);
      rotate(a, b, sj, uj);
      rotate(d, e, sj, uj);
      if constexpr (V::width > 1) {  // most columns move by one place
        c.store(to_p + 1, a);
        c.store(to_p + half - 1, b);
        c.store(to_q + 1, d);
        c.store(to_q + half - 1, e);
      } else if (walking_team<Team> || c.at != k) {
        const index_t left = next_place(c.at, half), right = next_place(c.at + half, half);
        to_p[left] = a.v[0];
        to_p[right] = b.v[0];
        to_q[left] = d.v[0];
        to_q[right] = e.v[0];
      }
    };
    for_block<T>(team, 1, h, columns);
    if constexpr (walking_team<Team>) {  // and these further, or were overwritten by such
      using one = chunk<lanes<T, 1>, true>;
      columns(0, one{0, 1});
      if (h > 1) columns(0, one{1, 1});
      if (h > 2) columns(0, one{h - 2, 1});
      columns(0, one{h - 1, 1});
    }
    // The pair itself, which lanes of a GPU have left out.
    if (team.lane() == 0) {
      using one = lanes<T, 1>;
      const one off(p[k + h]), unit(T(1)), t = one(s) / (unit - one(s) * one(u));
      to_p[up] = (one(p[k]) - t * off).v[0];
      to_q[down] = (one(q[k + h]) + t * off).v[0];
      to_p[down] = to_q[up] = T(0);
    }
  }

 private:
  FRUGAL_GENERIC template <class V, class X>
  FRUGAL_FN static void rotate(V& a, V& b, X sine, X tangent_of_half) {
    const V old = a, s(sine), u(tangent_of_half);
    a = a - s * (b + u * a);
    b = b + s * (old - u * b);
  }
};

/// The end of a sweep: was it the last?
template <class T>
struct jacobi_close {
  index_t h;
  jacobi_state* state;
  linalg_report* report;
  bool last;
  jacobi_pairs<T> pairs;
  FRUGAL_FN void operator()() const {
    if (state->done) return;
    std::uint32_t large = 0;
    for (index_t k = 0; k < h; ++k) {
      large |= pairs.large[k];
      pairs.large[k] = 0;
    }
    report->iterations = ++state->sweeps;
    if (large == 0) state->done = 1;
    else if (last) report->what = outcome::not_converged;
  }
};

/// Eigenvalues, scaled back; then values and vectors in ascending order.
template <class T>
struct jacobi_values {
  static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 16;
  T const *x, *other;
  index_t n, size;
  jacobi_state const* state;
  typename floating<T>::bits const* peak;
  T* values;

  index_t teams() const { return (n + 255) / 256; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    T const* from = state->sweeps % 2 == 0 ? x : other;
    const index_t first = team.rank() * 256, to = first + 256 < n ? first + 256 : n;
    for (index_t i = first + index_t(team.lane()); i < to; i += index_t(team.lanes()))
      values[i] = from[i * size + i] * scale_to_one<T>(*peak, true);
  }
};
template <class T>
struct jacobi_finish {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T const *v, *other, *values;
  index_t n;
  jacobi_state const* state;
  std::uint32_t const* order;
  T* to_values;
  T* to;
  index_t ld;

  index_t teams() const { return n; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    T const* from = state->sweeps % 2 == 0 ? v : other;
    const index_t i = team.rank();
    for (index_t j = team.lane(); j < n; j += team.lanes()) to[i * ld + j] = from[index_t(order[j]) * n + i];
    if (team.lane() == 0) to_values[i] = values[order[i]];
  }
};

/// The builtin eigensolver of symmetric n x n matrices.
template <class T, class Backend>
class jacobi_eigen {
  using space = typename Backend::space;
  using U = typename floating<T>::bits;

 public:
  static constexpr int most_sweeps = 20;
  jacobi_eigen(Backend b, index_t n)
      : backend_(b),
        n_(n),
        h_((n + 1) / 2),
        x_{buffer<T, Backend>(b, 4 * h_ * h_), buffer<T, Backend>(b, 4 * h_ * h_)},
        v_{buffer<T, Backend>(b, 2 * h_ * n), buffer<T, Backend>(b, 2 * h_ * n)},
        pairs_(b, 2 * h_),
        values_(b, n),
        large_(b, h_),
        order_(b, n),
        peaks_(b, n),
        state_(b, 1),
        report_(b) {}

  void operator()(mat_view<T const, space> a, view<T, space> values, mat_view<T, space> vectors) {
    if (n_ == 0) return;
    const jacobi_pairs<T> pairs{pairs_.data(), pairs_.data() + h_, large_.data()};
    const T negligible = T(floating<T>::unit / 4);
    backend_.for_teams(jacobi_peaks<T>{a.data(), n_, a.ld(), peaks_.data()});
    backend_.run(jacobi_start<T>{peaks_.data(), n_, h_, state_.data(), report_.data(), pairs});
    backend_.for_teams(jacobi_fill<T>{a.data(), n_, a.ld(), 2 * h_, peaks_.data(), x_[0].data(), v_[0].data()});
    int now = 0;
    for (int sweep = 1; sweep <= most_sweeps; ++sweep) {
      for (index_t round = 0; round < 2 * h_ - 1; ++round, now ^= 1) {
        backend_.for_teams(jacobi_angles<T>{x_[now].data(), h_, negligible, state_.data(), pairs});
        backend_.for_teams(jacobi_round<T>{x_[now].data(), v_[now].data(), x_[now ^ 1].data(), v_[now ^ 1].data(), n_,
                                           h_, state_.data(), pairs});
      }
      backend_.run(jacobi_close<T>{h_, state_.data(), report_.data(), sweep == most_sweeps, pairs});
      if constexpr (is_host<space>)  // where it can be seen for nothing
        if (state_.data()->done) break;
    }
    backend_.for_teams(
        jacobi_values<T>{x_[0].data(), x_[1].data(), n_, 2 * h_, state_.data(), peaks_.data(), values_.data()});
    backend_.for_teams(sort_order<T>{values_.data(), n_, false, order_.data()});
    backend_.for_teams(jacobi_finish<T>{v_[0].data(), v_[1].data(), values_.data(), n_, state_.data(), order_.data(),
                                        values.data(), vectors.data(), vectors.ld()});
  }
  linalg_report const* report() const { return report_.data(); }

 private:
  Backend backend_;
  index_t n_, h_;
  buffer<T, Backend> x_[2], v_[2], pairs_, values_;
  buffer<std::uint32_t, Backend> large_, order_;
  buffer<U, Backend> peaks_;
  buffer<jacobi_state, Backend> state_;
  report_cell<Backend> report_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
