// SPDX-License-Identifier: Apache-2.0
/// @file Counts of keys, and the stable sort that follows from counts and a scan: least significant digit first, eight
/// bits a pass.
#pragma once
#include "scan.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

// A counting job: tiles() tiles; open(tile) gives something that says what to count: count(team, table, bins).
/// Tables of counts, one for each of `parts` runs of neighbouring tiles: a team a part.
template <class Job>
struct part_counts {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  Job job;
  index_t parts, bins;
  std::uint32_t* tables;

  index_t teams() const { return parts; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    std::uint32_t* table = tables + team.rank() * bins;
    for (index_t j = index_t(team.lane()); j < bins; j += index_t(team.lanes())) table[j] = 0;
    team.sync();
    const index_t end = (team.rank() + 1) * job.tiles() / parts;
    for (index_t t = team.rank() * job.tiles() / parts; t < end; ++t) job.open(t).count(team, table, bins);
  }
};
/// Tables that together stay below four megabytes; enough of them for the cores of a device.
inline index_t parts_of(index_t tiles, index_t bins, index_t most = 256) {
  const index_t fit = (index_t(1) << 20) / (bins > 0 ? bins : 1), parts = fit < most ? fit : most;
  return parts > tiles ? tiles : parts > 1 ? parts : 1;
}

/// The tables' sum.
struct added_counts {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  static constexpr index_t bins_of_a_team = 1024;
  std::uint32_t const* tables;
  index_t parts, bins;
  std::uint32_t* counts;

  index_t teams() const { return (bins + bins_of_a_team - 1) / bins_of_a_team; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t first = team.rank() * bins_of_a_team;
    const index_t end = first + bins_of_a_team < bins ? first + bins_of_a_team : bins;
    for (index_t j = first + index_t(team.lane()); j < end; j += index_t(team.lanes())) {
      std::uint32_t sum = 0;
      for (index_t p = 0; p < parts; ++p) sum += tables[p * bins + j];
      counts[j] = sum;
    }
  }
};

struct keys_job {
  std::uint32_t const* keys;
  index_t n;
  struct opened {
    std::uint32_t const* keys;
    index_t size;
    FRUGAL_GENERIC template <class Team>
    FRUGAL_FN void count(Team const& team, std::uint32_t* table, index_t bins) const {
      for (index_t i = index_t(team.lane()); i < size; i += index_t(team.lanes()))
        if (index_t(keys[i]) < bins) team.count(table + keys[i]);
    }
  };
  FRUGAL_FN index_t tiles() const { return tiles_of(n); }
  FRUGAL_FN opened open(index_t tile) const { return {keys + tile * tile_size, slots_of(tile, n)}; }
};

/// A pass of the sort, over a tile: counts its digits (Scatter = false), or moves its pairs to where the scanned counts
/// say. Each lane has counters of its own for its share, so that equal digits keep their order.
template <bool Scatter>
struct sort_pass {
  static constexpr index_t digits = 256, lanes = 64;
  static constexpr unsigned team_threads = unsigned(lanes);
  static constexpr int scratch_bytes = int(lanes * digits * index_t(sizeof(std::uint16_t)));
  static_assert(tile_size <= 0xffff);
  std::uint32_t const *key, *value;
  std::uint32_t *to_key, *to_value;
  std::uint32_t* table;  // of digit d and tile t at d * tiles + t
  index_t n;
  int shift;

  index_t teams() const { return tiles_of(n); }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t sharing = index_t(team.lanes()) < lanes ? index_t(team.lanes()) : lanes, tiles = tiles_of(n);
    const index_t first = team.rank() * tile_size;
    const share mine = share_of(team, slots_of(team.rank(), n), lanes);
    auto* counters = team.template scratch<std::uint16_t>();
    std::uint16_t* own = counters + index_t(team.lane()) * digits;
    for (index_t j = index_t(team.lane()); j < sharing * digits; j += index_t(team.lanes())) counters[j] = 0;
    team.sync();
    for (index_t i = first + mine.begin; i < first + mine.end; ++i) ++own[digit(i)];
    team.sync();
    for (index_t d = index_t(team.lane()); d < digits; d += index_t(team.lanes())) {
      std::uint32_t sum = 0;
      for (index_t l = 0; l < sharing; ++l) {
        const std::uint16_t count = counters[l * digits + d];
        counters[l * digits + d] = std::uint16_t(sum);
        sum += count;
      }
      if constexpr (!Scatter) table[d * tiles + team.rank()] = sum;
    }
    if constexpr (Scatter) {
      team.sync();
      for (index_t i = first + mine.begin; i < first + mine.end; ++i) {
        const std::uint32_t d = digit(i), to = table[d * tiles + team.rank()] + own[d]++;
        to_key[to] = key[i];
        to_value[to] = value[i];
      }
    }
  }

 private:
  FRUGAL_FN std::uint32_t digit(index_t i) const { return key[i] >> shift & 255; }
};

}  // namespace detail

/// counts[b] = how often key b occurs; keys that are not below the number of bins are left out. Allocates in the
/// constructor, does not wait.
template <team_backend Backend>
class histogram {
 public:
  using space = typename Backend::space;
  /// @param n the most keys of a call, up to 2^31
  /// @param bins 1 to 2^31
  histogram(Backend b, index_t n, index_t bins)
      : backend_(b), n_(detail::primitive_size(n)), bins_(bins), tables_(b, checked(bins) * parts(n)) {}

  void operator()(view<std::uint32_t const, space> keys, view<std::uint32_t, space> counts) {
    detail::require_span("the keys of a histogram", keys, 0, n_);
    detail::require_span("the counts of a histogram", counts, bins_, bins_);
    detail::require_apart("the keys and the counts of a histogram", keys, counts);
    const index_t p = parts(keys.size());
    backend_.for_teams(detail::part_counts<detail::keys_job>{{keys.data(), keys.size()}, p, bins_, tables_.data()});
    backend_.for_teams(detail::added_counts{tables_.data(), p, bins_, counts.data()});
  }

 private:
  static index_t checked(index_t bins) {
    require(bins >= 1 && bins <= index_t(1) << 31, "the bins of a histogram", "1 to 2^31", bins);
    return bins;
  }
  index_t parts(index_t n) const { return detail::parts_of(tiles_of(n), bins_); }
  Backend backend_;
  index_t n_, bins_;
  buffer<std::uint32_t, Backend> tables_;
};

/// Sorts keys ascending, and moves a value with each; equal keys keep their order. Allocates in the constructor, does
/// not wait.
template <team_backend Backend>
class pair_sort {
 public:
  using space = typename Backend::space;
  /// @param n the most pairs of a call, up to 2^31
  pair_sort(Backend b, index_t n)
      : backend_(b),
        n_(detail::primitive_size(n)),
        pairs_(b, 2 * n),
        table_(b, counters(n)),
        scratch_(b, detail::scan_scratch(tiles_of(counters(n))) + 1) {}

  void operator()(view<std::uint32_t, space> keys, view<std::uint32_t, space> values) {
    detail::require_span("the keys of a sort", keys, 0, n_);
    detail::require_span("the values of a sort", values, keys.size(), keys.size());
    detail::require_apart("the keys and the values of a sort", keys, values);
    const index_t n = keys.size();
    std::uint32_t *key = keys.data(), *value = values.data(), *other_key = pairs_.data(), *other_value = other_key + n;
    for (int shift = 0; shift < 32; shift += 8) {
      backend_.for_teams(pass<false>{key, value, other_key, other_value, table_.data(), n, shift});
      detail::scan(backend_, detail::scan_job<std::uint32_t>{table_.data(), table_.data(), counters(n)},
                   scratch_.data() + 1, scratch_.data());
      backend_.for_teams(pass<true>{key, value, other_key, other_value, table_.data(), n, shift});
      std::swap(key, other_key);
      std::swap(value, other_value);
    }
  }

 private:
  template <bool Scatter>
  using pass = detail::sort_pass<Scatter>;
  static index_t counters(index_t n) { return pass<true>::digits * tiles_of(n); }
  Backend backend_;
  index_t n_;
  buffer<std::uint32_t, Backend> pairs_, table_, scratch_;
};

}  // namespace v0
}  // namespace frugal
