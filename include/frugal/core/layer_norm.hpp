// SPDX-License-Identifier: Apache-2.0
/// @file Layer norm of rows (Ba, Kiros, Hinton, "Layer Normalization", 2016): the kernels; optim/stable_embedding.hpp
/// has the equations. Means are canonical sums of a row's tiles, added in double; sums over rows go by parts of 16.
#pragma once
#include "reduce.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {
namespace norm {

/// A row; v of it, as far as mean and inverse are known.
template <class T, class P, class G>
struct row {
  P const* x;
  G const* dy;  // null: forward
  T const* scale;
  T mean = T(0), inverse = T(1);
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN auto normal(Chunk c) const {
    return (c.load(x) - mean) * inverse;
  }
};
/// What is summed: v, v^2, h, h v.
template <int K, class Row>
struct term {
  Row r;
  FRUGAL_FN decltype(Row::x) contiguous() const { return nullptr; }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN auto operator()(Chunk c) const {
    if constexpr (K == 2) return c.load(r.dy) * c.load(r.scale);
    const auto v = r.normal(c);
    if constexpr (K == 0) return v;
    if constexpr (K == 1) return v * v;
    if constexpr (K == 3) return (c.load(r.dy) * c.load(r.scale)) * v;
  }
};
FRUGAL_GENERIC template <int K, class T, class Team, class Row>
FRUGAL_FN exact mean_of(Team const& team, Row const& r, index_t n) {
  double s = 0;
  for (index_t at = 0; at < n; at += tile_size) {
    s = s + double(team.template sum<T>(term<K, Row>{r}, at, n - at < tile_size ? n - at : tile_size));
    team.sync();  // before the scratch is written again
  }
  return exact(s) / exact(double(n));
}
FRUGAL_GENERIC template <class T, class Team, class Row>
FRUGAL_FN Row measured(Team const& team, Row r, index_t n, double epsilon) {
  r.mean = T(mean_of<0, T>(team, r, n).v[0]);
  r.inverse = T((exact(1.0) / sqrt(mean_of<1, T>(team, r, n) + exact(epsilon))).v[0]);
  return r;
}

/// All rows; kernels are made of it.
template <class T, class P>
struct all_rows {
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = int(reduction_slots) * int(sizeof(T));
  P const* x;
  T const* scale;
  index_t rows, columns;
  double epsilon;
};
/// A team a row.
template <class T, class P>
struct forward : all_rows<T, P> {
  T const* shift;
  P* y;

  struct write {
    row<T, P, P> r;
    T const* shift;
    P* y;
    FRUGAL_FN bool aligned(int width) const {
      return multiple_of(r.x, width) && multiple_of(r.scale, width) && multiple_of(shift, width) &&
             multiple_of(y, width);
    }
    FRUGAL_FN P const* contiguous() const { return y; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      c.store(y, r.normal(c) * c.load(r.scale) + c.load(shift));
    }
  };
  index_t teams() const { return this->rows; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t n = this->columns, at = team.rank() * n;
    const auto r = measured<T>(team, row<T, P, P>{this->x + at, nullptr, this->scale}, n, this->epsilon);
    team.template for_values<T>(n, write{r, shift, y + at});
  }
};
/// A team some rows, whose part of the sums over rows it makes in their order.
template <class T, class P, class G>
struct backward : all_rows<T, P> {
  static constexpr index_t panel = 16;
  G const* dy;
  G* dx;
  T *of_scale, *of_shift;

  struct write {
    row<T, P, G> r;
    T mean_h, mean_hv;
    G* dx;
    T *of_scale, *of_shift;
    bool first;
    FRUGAL_FN bool aligned(int width) const {
      return multiple_of(r.x, width) && multiple_of(r.dy, width) && multiple_of(r.scale, width) &&
             multiple_of(dx, width) && multiple_of(of_scale, width) && multiple_of(of_shift, width);
    }
    FRUGAL_FN G const* contiguous() const { return dx; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      const auto v = r.normal(c), g = c.load(r.dy), gv = g * v;
      c.store(dx, r.inverse * ((g * c.load(r.scale) - mean_h) - v * mean_hv));
      c.store(of_scale, first ? gv : c.load(of_scale) + gv);
      c.store(of_shift, first ? g : c.load(of_shift) + g);
    }
  };
  index_t teams() const { return (this->rows + panel - 1) / panel; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t n = this->columns, part = team.rank() * n, first = team.rank() * panel;
    for (index_t i = first; i < first + panel && i < this->rows; ++i) {
      const index_t at = i * n;
      const auto r = measured<T>(team, row<T, P, G>{this->x + at, dy + at, this->scale}, n, this->epsilon);
      const T h = T(mean_of<2, T>(team, r, n).v[0]), hv = T(mean_of<3, T>(team, r, n).v[0]);
      team.template for_values<T>(n, write{r, h, hv, dx + at, of_scale + part, of_shift + part, i == first});
      team.sync();
    }
  }
};
/// The parts, in their order.
template <class T>
struct add_parts {
  using scalar = T;
  T const *of_scale, *of_shift;
  index_t count, columns;
  T *dscale, *dshift;
  static constexpr bool active = true;
  FRUGAL_FN add_parts bind(segment const&) const { return *this; }
  FRUGAL_FN bool aligned(int) const { return false; }
  FRUGAL_FN T const* contiguous() const { return nullptr; }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    typename Chunk::value a(T(0)), b(T(0));
    for (index_t k = 0; k < count; ++k) {
      a = a + c.load(of_scale + k * columns);
      b = b + c.load(of_shift + k * columns);
    }
    c.store(dscale, a);
    c.store(dshift, b);
  }
};

}  // namespace norm
}  // namespace detail
}  // namespace v0
}  // namespace frugal
