// SPDX-License-Identifier: Apache-2.0
/// @file The kernels of top_k_select. The k-th largest magnitude is found digit by digit, by counts of the digits of
/// keys that agree so far (as in Alabi, Blanchard, Gordon, Steinbach, "Fast k-selection algorithms for graphics
/// processing units", ACM JEA 17, 2012). Where k is a small part, a threshold from a sample first leaves few candidates
/// of each tile in lists. Nothing rests on the sample: a tile with too many candidates is read again, and so are all if
/// there are less than k.
#pragma once
#include "element.hpp"
#include "histogram.hpp"
#include "random.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Magnitudes compare as integers; a NaN is above infinity.
FRUGAL_FN std::uint32_t magnitude_key(float x) { return bit_cast<std::uint32_t>(x) & 0x7fffffffu; }

/// The digits of what a key is above the floor, from the top: most candidates differ in the second.
struct key_digit {
  int shift, bits;
};
inline constexpr key_digit key_digits[] = {{24, 7}, {12, 12}, {0, 12}};

/// How far a selection is. Keys below the floor are no candidates, the others count from there.
struct selection {
  std::uint32_t rank;  // among the keys that begin as `key` does
  std::uint32_t key;   // the digits found so far, the rest zero
  std::uint32_t floor;
  std::int32_t in_lists;  // may tiles be replaced by their lists?
};

/// Candidates, by tiles of x: in a list where that was long enough, else in x itself.
struct candidates {
  selection const* now;
  float const* x;
  index_t n;
  index_t stride = 0, room = 0;  // of the lists, and how much of that counts
  std::uint32_t const* counts = nullptr;
  std::uint32_t const* at = nullptr;
  float const* value = nullptr;

  struct opened {
    float const* value;
    std::uint32_t const* at;  // null: they follow each other
    index_t size;
    std::uint32_t first;
    FRUGAL_FN std::uint32_t key(index_t i) const { return magnitude_key(value[i]); }
    FRUGAL_FN std::uint32_t index(index_t i) const { return at ? at[i] : first + std::uint32_t(i); }
  };
  /// Asks for the list after the next, as far as is to be expected: lists are short, and far apart.
  FRUGAL_GENERIC template <class Team, class T>
  FRUGAL_FN void prefetch_list(Team const& team, T const* list) const {
    for (index_t j = 0; j < room / 4; j += index_t(64 / sizeof(T))) team.prefetch(list + 2 * stride + j);
  }
  /// From the sample's threshold on; zeros are no candidates, as there could be too many.
  FRUGAL_FN std::uint32_t threshold() const { return now->key > 0 ? now->key : 1; }
  FRUGAL_FN index_t tiles() const { return tiles_of(n); }
  FRUGAL_FN opened open(index_t tile) const {
    const index_t first = tile * tile_size;
    opened o{x + first, nullptr, slots_of(tile, n), std::uint32_t(first)};
    if (now->in_lists && index_t(counts[tile]) <= room) {
      o.value = value + tile * stride;
      o.at = at + tile * stride;
      o.size = index_t(counts[tile]);
    }
    return o;
  }
};

/// Counts a digit of the candidates that begin as the key does. The count of zeros, which are many, is what remains.
template <class Team>
struct count_digits {
  Team team;
  float const* value;
  std::uint32_t* table;
  key_digit digit;
  std::int32_t key, floor;

  FRUGAL_FN bool aligned(int width) const { return multiple_of(value, width); }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    using Int = typename Chunk::value::integer;
    const int begun = digit.shift + digit.bits;
    const Int above =
        (bits(c.load(value)) & Int(0x7fffffff)) - Int(floor);  // negative: no candidate, begins with a one
    const Int mine = (above >> digit.shift) & Int((1 << digit.bits) - 1);
    team.count(table, select((above >> begun) == Int(key >> begun), mine, Int(0)) - Int(1), c.count());
  }
};
/// The counting job of a digit.
struct digit_job {
  candidates all;
  key_digit digit;
  struct opened {
    candidates const& all;
    candidates::opened tile;
    key_digit digit;
    FRUGAL_GENERIC template <class Team>
    FRUGAL_FN void count(Team const& team, std::uint32_t* table, index_t) const {
      const count_digits<Team> f{
          team, tile.value, table, digit, std::int32_t(all.now->key), std::int32_t(all.now->floor)};
      if (tile.at) all.prefetch_list(team, tile.value);
      team.template for_values<float>(tile.size, f);
    }
  };
  FRUGAL_FN index_t tiles() const { return all.tiles(); }
  FRUGAL_FN opened open(index_t t) const { return {all, all.open(t), digit}; }
};
/// Finds the digit from the counts of 1 and up.
struct choose_digit {
  static constexpr unsigned team_threads = unsigned(sharing_lanes);
  static constexpr index_t most_bins = (1 << 12) - 1;
  static constexpr int scratch_bytes = int((2 * sharing_lanes + most_bins) * index_t(sizeof(std::uint32_t)));
  std::uint32_t const* tables;
  index_t parts;
  key_digit digit;
  selection* now;

  index_t teams() const { return 1; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t n = (index_t(1) << digit.bits) - 1;
    std::uint32_t* counts = team.template scratch<std::uint32_t>() + 2 * sharing_lanes;
    for (index_t j = index_t(team.lane()); j < n; j += index_t(team.lanes())) counts[j] = 0;
    for (index_t p = 0; p < parts; ++p)
      for (index_t j = index_t(team.lane()); j < n; j += index_t(team.lanes())) counts[j] += tables[p * n + j];
    team.sync();
    const share mine = share_of(team, n);  // counted from the largest digit down
    const std::uint32_t rank = now->rank;
    std::uint32_t sum = 0;
    for (index_t j = mine.begin; j < mine.end; ++j) sum += counts[n - 1 - j];
    std::uint32_t before = sum_before(team, sum);
    if (rank > before && rank - before <= sum) {
      index_t j = mine.begin;
      while (rank - before > counts[n - 1 - j]) before += counts[n - 1 - j++];
      now->rank = rank - before;
      now->key |= std::uint32_t(n - j) << digit.shift;
    } else if (has_last(team, mine, n) && rank > before + sum) {
      now->rank = rank - before - sum;
    }
  }
};

/// A sample of x, in groups of four neighbours; where in its part of x a group lies looks random.
struct take_sample {
  static constexpr index_t size = tile_size, of_a_team = 1024;
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  float const* x;
  index_t n;
  float* sample;

  index_t teams() const { return size / of_a_team; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t end = (team.rank() + 1) * of_a_team;
    for (index_t i = team.rank() * of_a_team + index_t(team.lane()); i < end; i += index_t(team.lanes()))
      sample[i] = x[place(i, n)];
  }
  FRUGAL_FN static index_t place(index_t i, index_t n) {
    const index_t group = i / 4, part = n / (size / 4);
    return group * part + index_t(below(std::uint32_t(group) * 0x9e3779b1u, std::uint64_t(part - 3))) + i % 4;
  }
};

/// Fills the list of each tile with its keys from the sample's threshold on.
struct collect_tiles {
  static constexpr unsigned team_threads = unsigned(sharing_lanes);
  static constexpr int scratch_bytes = 2 * int(sharing_lanes) * int(sizeof(std::uint32_t));
  candidates all;
  std::uint32_t *counts, *at;
  float* value;

  index_t teams() const { return all.tiles(); }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t first = team.rank() * tile_size, size = slots_of(team.rank(), all.n);
    const std::uint32_t floor = all.threshold();
    float const* const x = all.x + first;
    std::uint32_t* const to = at + team.rank() * all.stride;
    float* const to_value = value + team.rank() * all.stride;
    if constexpr (requires { team.template collect<false>(x, size, floor, nullptr, 0u, all.room, to, to_value); }) {
      counts[team.rank()] = std::uint32_t(
          team.template collect<false>(x, size, floor, nullptr, std::uint32_t(first), all.room, to, to_value));
    } else {
      const share mine = share_of(team, size);
      std::uint32_t sum = 0;
      for (index_t i = mine.begin; i < mine.end; ++i) sum += magnitude_key(x[i]) >= floor;
      index_t before = index_t(sum_before(team, sum));
      if (has_last(team, mine, size)) counts[team.rank()] = std::uint32_t(before) + sum;
      for (index_t i = mine.begin; i < mine.end && before < all.room; ++i) {
        if (magnitude_key(x[i]) < floor) continue;
        to[before] = std::uint32_t(first + i);
        to_value[before++] = x[i];
      }
    }
  }
};

/// Between sample and selection: are there k candidates in all?
struct settle {
  static constexpr unsigned team_threads = unsigned(sharing_lanes);
  static constexpr int scratch_bytes = 2 * int(sharing_lanes) * int(sizeof(std::uint32_t));
  candidates all;
  std::uint32_t k;
  selection* now;

  index_t teams() const { return 1; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const share mine = share_of(team, all.tiles());
    std::uint32_t sum = 0;
    for (index_t i = mine.begin; i < mine.end; ++i) sum += all.counts[i];
    const std::uint32_t before = sum_before(team, sum);
    if (!has_last(team, mine, all.tiles())) return;
    const bool enough = before + sum >= k;
    *now = {k, 0, enough ? all.threshold() : 0, enough};
  }
};
struct begin_selection {
  std::uint32_t rank;
  selection* now;
  FRUGAL_FN void operator()() const { *now = {rank, 0, 0, 0}; }
};

/// The job of a scan that places the result: how many keys are above the k-th, and how many equal it, in the halves of
/// a weight.
struct weigh_job {
  using value = std::uint64_t;
  candidates all;
  struct opened {
    candidates::opened tile;
    std::uint32_t key;
    index_t size;
    FRUGAL_FN std::uint64_t weight(index_t i) const {
      const std::uint32_t k = tile.key(i);
      return std::uint64_t(k > key) << 32 | std::uint64_t(k == key);
    }
  };
  FRUGAL_FN index_t tiles() const { return all.tiles(); }
  FRUGAL_FN opened open(index_t t) const {
    const auto tile = all.open(t);
    return {tile, all.now->floor + all.now->key, tile.size};
  }
};
/// Writes the result: the keys above the k-th, and of those that equal it the first `rank`.
struct emit_tiles {
  static constexpr unsigned team_threads = unsigned(sharing_lanes);
  static constexpr int scratch_bytes = 2 * int(sharing_lanes) * int(sizeof(std::uint64_t));
  weigh_job job;
  std::uint64_t const* weights;  // of the tiles before each, and of all
  std::uint32_t* at;
  float* values;

  index_t teams() const { return job.tiles(); }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const auto tile = job.open(team.rank());
    const std::uint64_t before = weights[team.rank()], here = weights[team.rank() + 1] - before;
    const std::uint32_t rank = job.all.now->rank, equal = std::uint32_t(here);
    if constexpr (requires { team.template collect<true>(values, 0, 0u, at, 0u, 0, at, values); }) {
      const index_t to = place(before, rank), room = place(before + here, rank) - to;
      const index_t above = index_t(here >> 32);
      if (tile.tile.at) job.all.prefetch_list(team, tile.tile.at);
      if (room == 0) return;
      if (room == above || room == above + equal) {
        const std::uint32_t floor = room == above ? tile.key + 1 : tile.key;
        team.template collect<true>(tile.tile.value, tile.size, floor, tile.tile.at, tile.tile.first, room, at + to,
                                    values + to);
        return;
      }
    }
    const share mine = share_of(team, tile.size);
    std::uint64_t now = 0;
    for (index_t i = mine.begin; i < mine.end; ++i) now += tile.weight(i);
    now = before + sum_before(team, now);
    for (index_t i = mine.begin; i < mine.end; ++i) {
      const std::uint64_t next = now + tile.weight(i);
      const std::uint32_t to = place(now, rank);
      if (place(next, rank) > to) {
        at[to] = tile.tile.index(i);
        values[to] = tile.tile.value[i];
      }
      now = next;
    }
  }

 private:
  FRUGAL_FN static std::uint32_t place(std::uint64_t before, std::uint32_t rank) {
    const std::uint32_t equal = std::uint32_t(before);
    return std::uint32_t(before >> 32) + (equal < rank ? equal : rank);
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
