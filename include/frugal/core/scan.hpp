// SPDX-License-Identifier: Apache-2.0
/// @file Running sums of integers, and what they put in order: the exclusive scan, and the indices that satisfy a
/// condition. The sums of tiles, a scan of those, a scan of each tile: any number of teams and lanes gives the same.
/// Blelloch, "Prefix sums and their applications", CMU-CS-90-190, 1990.
#pragma once
#include <functional>

#include "buffer.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Of a team's lanes, as many share a tile of items; the others have an empty share.
inline constexpr index_t sharing_lanes = 256;

/// A lane's share of n items: neighbours, so that the order of lanes is that of items.
struct share {
  index_t begin, end;
};
FRUGAL_GENERIC template <class Team>
FRUGAL_FN share share_of(Team const& team, index_t n, index_t most = sharing_lanes) {
  const index_t lanes = index_t(team.lanes()) < most ? index_t(team.lanes()) : most;
  const index_t each = (n + lanes - 1) / lanes, begin = each * index_t(team.lane()), end = begin + each;
  return {begin < n ? begin : n, end < n ? end : n};
}

/// Does the share end with the last item? (Where there is none: the first lane's.)
FRUGAL_GENERIC template <class Team>
FRUGAL_FN bool has_last(Team const& team, share s, index_t n) {
  return s.end == n && (s.begin < n || (n == 0 && team.lane() == 0));
}

/// The slots of a tile of n.
FRUGAL_FN index_t slots_of(index_t tile, index_t n) {
  const index_t left = n - tile * tile_size;
  return left < tile_size ? left : tile_size;
}

template <class T>
FRUGAL_FN T wrapping_sum(T a, T b) {
  using U = std::make_unsigned_t<T>;
  return T(U(a) + U(b));
}

/// The sum of what the lanes before this one give. In the team's scratch: 2 sharing_lanes of T.
FRUGAL_GENERIC template <class T, class Team>
FRUGAL_FN T sum_before(Team const& team, T mine) {
  const unsigned lane = team.lane(), lanes = team.lanes() < sharing_lanes ? team.lanes() : unsigned(sharing_lanes);
  if (lanes == 1) return T(0);
  T *now = team.template scratch<T>(), *next = now + sharing_lanes;
  team.sync();
  if (lane < lanes) now[lane] = mine;
  for (unsigned h = 1; h < lanes; h *= 2) {
    team.sync();
    if (lane < lanes) next[lane] = lane >= h ? wrapping_sum(now[lane - h], now[lane]) : now[lane];
    T* const other = now;
    now = next;
    next = other;
  }
  team.sync();
  return lane > 0 && lane < lanes ? now[lane - 1] : T(0);
}

// A job is what a scan runs over: tiles() tiles, each of at most tile_size items. open(tile) gives their `size`,
// weight(i), and put(i, before, end), which gets the sum of all weights before the item's own, and that at the end of
// the lane's share: what it writes to a place from `before` on and short of `end`, a later put of the lane may replace.
/// The weights of each tile, added: a team a tile.
template <class Job>
struct tile_totals {
  using T = typename Job::value;
  static constexpr unsigned team_threads = unsigned(sharing_lanes);
  static constexpr int scratch_bytes = 2 * int(sharing_lanes) * int(sizeof(T));
  Job job;
  T* totals;

  index_t teams() const { return job.tiles(); }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const auto tile = job.open(team.rank());
    const share mine = share_of(team, tile.size);
    T sum = 0;
    for (index_t i = mine.begin; i < mine.end; ++i) sum = wrapping_sum(sum, tile.weight(i));
    const T before = sum_before(team, sum);
    if (has_last(team, mine, tile.size)) totals[team.rank()] = wrapping_sum(before, sum);
  }
};
/// Every item of each tile gets what comes before it.
template <class Job>
struct tile_scan {
  using T = typename Job::value;
  static constexpr unsigned team_threads = unsigned(sharing_lanes);
  static constexpr int scratch_bytes = 2 * int(sharing_lanes) * int(sizeof(T));
  Job job;
  T const* before_tile;  // null: 0
  T* total;              // null: not asked for

  index_t teams() const { return job.tiles(); }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const auto tile = job.open(team.rank());
    const share mine = share_of(team, tile.size);
    T sum = 0;
    for (index_t i = mine.begin; i < mine.end; ++i) sum = wrapping_sum(sum, tile.weight(i));
    T now = sum_before(team, sum);
    if (before_tile) now = wrapping_sum(before_tile[team.rank()], now);
    const T end = wrapping_sum(now, sum);
    for (index_t i = mine.begin; i < mine.end; ++i) {
      const T w = tile.weight(i);
      tile.put(i, now, end);
      now = wrapping_sum(now, w);
    }
    if (total && has_last(team, mine, tile.size)) *total = now;
  }
};

/// The job of an exclusive scan; `in` may be `out`.
template <class Value>
struct scan_job {
  using value = Value;
  Value const* in;
  Value* out;
  index_t n;
  struct opened {
    Value const* in;
    Value* out;
    index_t size;
    FRUGAL_FN Value weight(index_t i) const { return in[i]; }
    FRUGAL_FN void put(index_t i, Value before, Value) const { out[i] = before; }
  };
  FRUGAL_FN index_t tiles() const { return tiles_of(n); }
  FRUGAL_FN opened open(index_t tile) const {
    return {in + tile * tile_size, out + tile * tile_size, slots_of(tile, n)};
  }
};

/// Values of scratch for a scan over so many tiles: a level for each power of the tile size.
inline index_t scan_scratch(index_t tiles) {
  index_t n = 0;
  for (index_t t = tiles; t > 1; t = tiles_of(t)) n += t;
  return n;
}

/// Runs a job; the sum of all weights goes to `total`, in the backend's memory as the scratch.
template <class Backend, class Job, class T = typename Job::value>
void scan(Backend const& b, Job const& job, T* scratch, T* total) {
  const index_t tiles = job.tiles();
  if (tiles == 0) return b.fill(total, 0, sizeof(T));
  if (tiles == 1) return b.for_teams(tile_scan<Job>{job, nullptr, total});
  b.for_teams(tile_totals<Job>{job, scratch});
  scan(b, scan_job<T>{scratch, scratch, tiles}, scratch + tiles, total);
  b.for_teams(tile_scan<Job>{job, scratch, nullptr});
}

/// Of the items that satisfy a condition, the first `room`.
template <class Condition>
struct select_job {
  using value = std::uint32_t;
  Condition satisfied;
  std::uint32_t* at;
  index_t n, room;
  struct opened {
    Condition satisfied;
    std::uint32_t* at;
    index_t first, size, room;
    FRUGAL_FN std::uint32_t weight(index_t i) const { return satisfied(first + i) ? 1 : 0; }
    FRUGAL_FN void put(index_t i, std::uint32_t before, std::uint32_t end) const {
      if (before < end && before < room) at[before] = std::uint32_t(first + i);
    }
  };
  FRUGAL_FN index_t tiles() const { return tiles_of(n); }
  FRUGAL_FN opened open(index_t tile) const { return {satisfied, at, tile * tile_size, slots_of(tile, n), room}; }
};

/// Elements that a team's collect() may write beyond the room that it is given: part of a register.
inline constexpr index_t collect_slack = 32;

/// What the primitives ask of a size that is given at construction, and of the sizes of calls.
inline index_t primitive_size(index_t n) {
  require(n >= 0 && n <= index_t(1) << 31, "the size of a primitive", "0 to 2^31", n);
  return n;
}
template <class V>
void require_span(char const* what, V const& v, index_t low, index_t high) {
  if (v.size() < low || v.size() > high) [[unlikely]]
    refuse(text("the size of ", what), low == high ? text(low) : text(low, " to ", high), text(v.size()));
  require(v.data() || v.size() == 0, what, "a pointer", "null");
}
template <class A, class B>
void require_apart(char const* what, A const& a, B const& b) {
  const std::less_equal<void const*> before;
  require(a.size() == 0 || b.size() == 0 || before(a.end(), b.data()) || before(b.end(), a.data()), what,
          "memory of their own", "an overlap");
}

}  // namespace detail

/// out[i] = in[0] + ... + in[i - 1], modulo 2^32 or 2^64; out may be in. Allocates in the constructor, does not wait.
template <std::integral T, team_backend Backend>
class exclusive_scan {
 public:
  using space = typename Backend::space;
  /// @param n the most elements of a call, up to 2^31
  exclusive_scan(Backend b, index_t n)
      : backend_(b), n_(detail::primitive_size(n)), scratch_(b, detail::scan_scratch(tiles_of(n)) + 1) {}

  void operator()(view<T const, space> in, view<T, space> out) {
    detail::require_span("what is to be scanned", in, 0, n_);
    detail::require_span("the output of a scan", out, in.size(), in.size());
    if (in.data() != out.data()) detail::require_apart("the elements and the output of a scan", in, out);
    detail::scan(backend_, detail::scan_job<T>{in.data(), out.data(), in.size()}, scratch_.data() + 1, scratch_.data());
  }
  /// The sum of all elements of the last call.
  view<T const, space> total() const { return {scratch_.data(), 1}; }

 private:
  Backend backend_;
  index_t n_;
  buffer<T, Backend> scratch_;
};

/// The indices i of [0, n) for which condition(i), ascending. The condition is a functor with a FRUGAL_FN
/// `bool operator()(index_t) const`; it may be called more than once for an index. Allocates in the constructor, does
/// not wait.
template <team_backend Backend>
class ordered_select {
 public:
  using space = typename Backend::space;
  /// @param n the most indices of a call, up to 2^31
  ordered_select(Backend b, index_t n)
      : backend_(b), n_(detail::primitive_size(n)), scratch_(b, detail::scan_scratch(tiles_of(n)) + 1) {}

  /// Writes the first at.size() of them.
  template <class Condition>
  void operator()(index_t n, Condition const& condition, view<std::uint32_t, space> at) {
    require(n >= 0 && n <= n_, "the number of indices to select from", detail::text("0 to ", n_), n);
    detail::require_span("the output of a selection", at, 0, index_t(1) << 32);
    detail::scan(backend_, detail::select_job<Condition>{condition, at.data(), n, at.size()}, scratch_.data() + 1,
                 scratch_.data());
  }
  /// How many there were in the last call, also where `at` was too short for them.
  view<std::uint32_t const, space> count() const { return {scratch_.data(), 1}; }

 private:
  Backend backend_;
  index_t n_;
  buffer<std::uint32_t, Backend> scratch_;
};

}  // namespace v0
}  // namespace frugal
