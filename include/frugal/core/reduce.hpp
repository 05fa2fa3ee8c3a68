// SPDX-License-Identifier: Apache-2.0
/// @file The canonical sum: one order of additions, whatever runs it. In a tile of 16384 elements, element j is added
/// to slot j mod 256, in increasing j; the 256 slots are added by halving (i += i + 128, then 64, ...). The sums of the
/// tiles, as doubles, are added by the same procedure, and so on until one is left.
#pragma once
#include <vector>

#include "buffer.hpp"
#include "concepts.hpp"
#include "element.hpp"
#include "support.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Sums of tiles, each as a double: a team a tile.
template <class Work, class F>
struct tile_sums {
  using scalar = typename F::scalar;
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = int(reduction_slots) * int(sizeof(scalar));
  Work tiles;
  F f;
  double* sums;

  index_t teams() const { return tiles.tiles; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const segment seg = tiles.at(team.rank());
    const index_t from = (team.rank() - seg.first_tile) * tile_size;
    const index_t left = seg.size - from;
    const scalar sum = team.template sum<scalar>(f.bind(seg), from, left < tile_size ? left : tile_size);
    if (team.lane() == 0) sums[team.rank()] = double(sum);
  }
};

/// A flat vector as something to be summed: its elements, or their squares.
template <class T, class C, bool Square>
struct elements {
  using scalar = C;
  T const* p;
  struct bound {
    T const* p;
    auto contiguous() const { return p; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN auto operator()(Chunk c) const {
      const auto v = c.load(p);
      if constexpr (Square) return v * v;
      else return v;
    }
  };
  FRUGAL_FN bound bind(segment const&) const { return {p}; }
};
/// Doubles of scratch that a sum over so many tiles needs: a level for each power of the tile size.
inline index_t sum_scratch(index_t tiles) {
  index_t n = 1;
  for (index_t t = tiles; t > 1; t = tiles_of(t)) n += t;
  return n;
}

/// The canonical sum of f over the work; the result is at the returned address in the backend's memory, in stream
/// order.
template <class Backend, class Work, class F>
double const* canonical_sum(Backend const& b, Work const& w, F const& f, double* scratch) {
  if (w.tiles == 0) {
    b.fill(scratch, 0, sizeof(double));
    return scratch;
  }
  b.for_teams(tile_sums<Work, F>{w, f, scratch});
  for (index_t n = w.tiles; n > 1; n = tiles_of(n)) {
    b.for_teams(tile_sums<one_segment, elements<double, double, false>>{one_segment(n), {scratch}, scratch + n});
    scratch += n;
  }
  return scratch;
}

template <bool Square, class Backend, class R>
double sum_elements(Backend const& b, R const& r) {
  constexpr bool there = [] {
    if constexpr (has_space<R>) return std::is_same_v<typename R::space, typename Backend::space>;
    else return is_host<typename Backend::space>;
  }();
  static_assert(there,
                "frugal: a sum is made where the elements are: copy them to the backend and pass a buffer's "
                "view(), or name the backend of their memory");
  auto const* const p = r.data();
  const auto n = index_t(r.size());
  using T = std::remove_cvref_t<decltype(*p)>;
  require(n >= 0, "a vector to be summed", "a size >= 0", n);
  require(p || n == 0, "a vector to be summed", "a pointer", "null");
  const one_segment w(n);
  using compute = typename types<T>::compute;
  buffer<double, Backend> scratch(b, sum_scratch(w.tiles));
  double result = 0;
  b.copy_out(&result, canonical_sum(b, w, elements<T, compute, Square>{p}, scratch.data()), sizeof result);
  return result;
}

}  // namespace detail

/// The sum of a vector in the canonical order; waits for the result. Elements are added as floats (doubles for doubles)
/// inside a tile. Allocates its scratch: not for use inside a step.
template <team_backend Backend, class R>
double sum(Backend const& b, R const& r) {
  return detail::sum_elements<false>(b, r);
}
/// The sum of squares in the canonical order; each square is rounded before it is added.
template <team_backend Backend, class R>
double sum_of_squares(Backend const& b, R const& r) {
  return detail::sum_elements<true>(b, r);
}

}  // namespace v0
}  // namespace frugal
