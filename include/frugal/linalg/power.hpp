// SPDX-License-Identifier: Apache-2.0
/// @file x^y for positive x with the same bits everywhere, as no math library promises; and what inverse roots of
/// matrices do with it.
#pragma once
#include "../core/concepts.hpp"
#include "report.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// x^y, x > 0 and finite, to about 1e-15 (1 + |y log2 x|) relative; infinity or 0 beyond the range of normal numbers.
FRUGAL_FN double power(double x, double y) {
  int e = 0;
  if (x < 0x1p-1022) x *= 0x1p54, e = -54;
  const auto u = bit_cast<std::uint64_t>(x);
  e += int(u >> 52) - 1023;
  double m = bit_cast<double>((u & 0xfffffffffffffu) | 0x3ff0000000000000u);
  if (m > 1.4142135623730951) m *= 0.5, ++e;
  // log m = 2 (f + f^3 / 3 + f^5 / 5 + ..), |f| < 0.172.
  const exact f = exact(m - 1.0) / exact(m + 1.0), f2 = f * f;
  exact series(0.0);
  for (int k = 25; k >= 1; k -= 2) series = series * f2 + exact(1.0) / exact(double(k));
  const exact log2_x = exact(double(e)) + exact(2.8853900817779268) * (f * series);
  const exact z = exact(y) * log2_x;
  if (!(z.v[0] < 1024.0)) return bit_cast<double>(std::uint64_t(0x7ff) << 52);
  if (!(z.v[0] > -1022.0)) return 0.0;
  const long long n = static_cast<long long>(z.v[0] < 0.0 ? z.v[0] - 0.5 : z.v[0] + 0.5);
  const exact r = (z - exact(double(n))) * exact(0.6931471805599453);
  exact p(1.0);
  for (int k = 15; k >= 1; --k) p = exact(1.0) + p * r / exact(double(k));
  const long long half = n / 2;  // in two factors: n may be beyond a normal exponent by one
  const double a = bit_cast<double>(std::uint64_t(1023 + half) << 52);
  const double b = bit_cast<double>(std::uint64_t(1023 + (n - half)) << 52);
  return p.v[0] * a * b;
}

/// The base of an inverse root: an eigenvalue, no longer negative, and its ridge.
FRUGAL_FN double root_base(double value, double largest, double ridge, double relative, double scale) {
  const exact w = exact(scale) * exact(value), top = exact(scale) * exact(largest), zero(0.0);
  const exact kept = w.v[0] > 0.0 ? w : zero, most = top.v[0] > 0.0 ? top : zero;
  return (kept + (exact(ridge) + exact(relative) * most)).v[0];
}

template <class T>
struct root_check {
  T const* values;
  index_t n;
  double ridge, relative, scale;
  linalg_report const* found;
  linalg_report* report;
  FRUGAL_FN void operator()() const {
    linalg_report r = *found;
    const double base = root_base(double(values[0]), double(values[n - 1]), ridge, relative, scale);
    if (r.what == outcome::ok && !(base > 0.0)) {
      r.what = outcome::not_positive;
      r.at = 0;
    }
    *report = r;
  }
};
/// Columns of the eigenvectors times the root of what the matrix will have.
template <class T>
struct root_scale {
  static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 16;
  static constexpr index_t some = 64;
  T* vectors;
  T const* values;
  index_t n;
  double exponent, ridge, relative, scale;
  linalg_report const* report;

  index_t teams() const { return (n + some - 1) / some; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    if (report->what != outcome::ok) return;
    const index_t from = team.rank() * some, to = from + some < n ? from + some : n;
    for (index_t j = from + index_t(team.lane()); j < to; j += index_t(team.lanes())) {
      const double base = root_base(double(values[j]), double(values[n - 1]), ridge, relative, scale);
      const lanes<T, 1> by(T(power(base, -exponent)));
      for (index_t i = 0; i < n; ++i) vectors[i * n + j] = (lanes<T, 1>(vectors[i * n + j]) * by).v[0];
    }
  }
};
template <class T>
struct root_keep {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T const* from;
  index_t n;
  T* to;
  index_t ld;
  linalg_report const* report;

  index_t teams() const { return n; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    if (report->what != outcome::ok) return;
    const index_t i = team.rank();
    for (index_t j = team.lane(); j < n; j += team.lanes()) to[i * ld + j] = from[i * n + j];
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
