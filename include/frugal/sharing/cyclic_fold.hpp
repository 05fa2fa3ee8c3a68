// SPDX-License-Identifier: Apache-2.0
/// @file The map of random parameter sharing, and the two passes over it: n weights from m slots, and sums over slots.
/// The weights are cut into pieces of m, and each piece is turned round by a random offset:
///
///     slot(j) = (rotation(j div m) + j mod m) mod m
///
/// (RANDOMFOLD of Desai, Shrivastava, "In defense of parameter sharing for model-compression", ICLR 2024). A slot has
/// floor(n / m) or ceil(n / m) weights, and its sum is a gather without atomics, in the order of the pieces. Format
/// version 1, of a 64-bit seed, j counting through all tensors:
///
///     rotation(p) = (word(0, p) m) div 2^32               of random_stream{derive(0x726f617374)}
///     s(j)        = sign(0, j)                            of random_stream{derive(0x726f617375)}
#pragma once
#include "../core/element.hpp"
#include "../core/random.hpp"
#include "../core/work.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// The map. A run is a stretch of weights that follow each other and lie on slots that do.
struct cyclic_fold {
  index_t weights, slots;
  random_stream rotations, signs;

  cyclic_fold(index_t n, index_t m, std::uint64_t seed)
      : weights(n), slots(m), rotations{random_stream{seed}.derive(tag)}, signs{random_stream{seed}.derive(tag + 1)} {}
  static constexpr std::uint64_t tag = 0x726f617374;  // "roast"; + 2: the first z

  FRUGAL_FN index_t rotation(index_t piece) const {
    return index_t(below(rotations.word(0, std::uint64_t(piece)), std::uint64_t(slots)));
  }
  /// run(j, i, size) for the runs of weights [first, first + size), in their order: j counts from `first`, i is a slot.
  FRUGAL_GENERIC template <class F>
  FRUGAL_FN void weights_to_slots(index_t first, index_t size, F const& run) const {
    for (index_t at = 0; at < size;) {
      const index_t piece = (first + at) / slots, inner = first + at - piece * slots;
      const index_t turned = rotation(piece) + inner, slot = turned < slots ? turned : turned - slots;
      const index_t to_end = slots - (inner > slot ? inner : slot), left = size - at;
      const index_t n = to_end < left ? to_end : left;
      run(at, slot, n);
      at += n;
    }
  }
};

/// One piece of the weights, as the slots from `first` on see it: a run to the piece's end, and then, if there are
/// slots left, one from its begin.
struct turned_piece {
  index_t begin, inner, slots;
  turned_piece() = default;
  FRUGAL_FN turned_piece(cyclic_fold const& map, index_t index, index_t first)
      : begin(index * map.slots), inner(first - map.rotation(index)), slots(map.slots) {
    if (inner < 0) inner += slots;
  }
  /// The weight of the slot `at` after the first, and how many follow it on the slots that follow.
  FRUGAL_FN index_t weight(index_t at) const { return begin + (inner + at < slots ? inner + at : inner + at - slots); }
  FRUGAL_FN index_t run(index_t at) const { return begin + slots - weight(at); }
};

/// Weights that a team has signs for at a time: those that 32 blocks of words hold, wherever they begin.
inline constexpr index_t roast_part = 4096, roast_stretch = roast_part - 128;
inline constexpr int roast_sign_bytes = int(roast_part / 8 + 16);

/// The signs of weights [first, first + size), one bit each (1: -1); a barrier before they are read is the caller's.
FRUGAL_GENERIC template <class Team>
FRUGAL_FN bit_string signs_of(Team const& team, cyclic_fold const& map, index_t first, index_t size,
                              std::uint32_t* to) {
  const index_t skip = first % 128;
  team.words(map.signs, 0, std::uint64_t(first / 128), (skip + size + 127) / 128, to);
  return {reinterpret_cast<std::uint8_t const*>(to), skip};
}

/// Weights from slots: a part of a tile each team.
template <class P, class T>
struct roast_forward {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = roast_sign_bytes;
  cyclic_fold map;
  segment_list tiles;
  T const* lambda;
  T const* z;
  P* const* w;

  struct write {
    T lambda;
    T const* z;
    P* w;
    FRUGAL_FN bool aligned(int width) const { return multiple_of(z, width) && multiple_of(w, width); }
    FRUGAL_FN P const* contiguous() const { return w; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c, bit_words<1> negative) const {
      using V = typename Chunk::value;
      c.store(w, select_bits(negative.of[0], V(-lambda), V(lambda)) * c.load(z));
    }
  };
  template <class Team>
  struct each_run {
    Team const& team;
    bit_string signs;
    T lambda;
    T const* z;
    P* w;
    FRUGAL_GENERIC FRUGAL_FN void operator()(index_t j, index_t i, index_t size) const {
      team.template with_bits<T>(size, {{signs.from, signs.skip + j}}, write{lambda, z + i, w + j});
    }
  };

  index_t teams() const { return tiles.tiles * (tile_size / roast_part); }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t first = team.rank() * roast_part;
    const segment seg = tiles.at(first / tile_size);
    const index_t at = first - seg.first_tile * tile_size, left = seg.size - at;
    if (left <= 0) return;
    const index_t size = left < roast_part ? left : roast_part;
    const bit_string signs = signs_of(team, map, seg.flat + at, size, team.template scratch<std::uint32_t>());
    team.sync();
    map.weights_to_slots(seg.flat + at, size, each_run<Team>{team, signs, lambda[seg.tensor], z, w[seg.tensor] + at});
  }
};

/// Where weights lie: segments in the order of their weights, none of them empty.
struct tensor_table {
  segment const* table;
  std::int32_t count;
  FRUGAL_FN segment of(index_t weight) const {
    std::int32_t k = 0;
    for (std::int32_t last = count; last - k > 1;) {
      const std::int32_t middle = k + (last - k) / 2;
      if (table[middle].flat <= weight) k = middle;
      else last = middle;
    }
    return table[k];
  }
};

template <class T>
struct set_all {
  T* to;
  T number;
  FRUGAL_FN bool aligned(int width) const { return multiple_of(to, width); }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    c.store(to, typename Chunk::value(number));
  }
};

/// Sums over slots: a block of slots each team, and as many pieces at a time as a team takes bits of: on a processor
/// that takes the sums through the registers once for four.
template <class G, class T>
struct roast_backward {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 4 * roast_sign_bytes;
  cyclic_fold map;
  tensor_table tensors;
  index_t block;
  T const* lambda;
  G const* const* g;
  T const* gamma;  // null: all 1
  T* dz;

  struct row {
    T lambda;
    G const* g;
  };
  template <class Team, int N>
  struct add {
    static constexpr index_t ahead = 2048 / sizeof(G);
    Team team;
    T* sum;
    row of[N];
    FRUGAL_FN bool aligned(int width) const {
      bool all = multiple_of(sum, width);
      FRUGAL_UNROLL for (int k = 0; k < N; ++k) all = all && multiple_of(of[k].g, width);
      return all;
    }
    FRUGAL_FN T const* contiguous() const { return sum; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c, bit_words<N> negative) const {
      using V = typename Chunk::value;
      V s = c.load(sum);
      FRUGAL_UNROLL for (int k = 0; k < N; ++k) team.prefetch(of[k].g + c.at + ahead);
      FRUGAL_UNROLL for (int k = 0; k < N; ++k) s =
          s + select_bits(negative.of[k], V(-of[k].lambda), V(of[k].lambda)) * c.load(of[k].g);
      c.store(sum, s);
    }
  };
  struct divide {
    T const* gamma;
    T* dz;
    FRUGAL_FN bool aligned(int width) const { return multiple_of(gamma, width) && multiple_of(dz, width); }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      c.store(dz, c.load(dz) / c.load(gamma));
    }
  };

  index_t teams() const { return (map.slots + block - 1) / block; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t first = team.rank() * block, left = map.slots - first, size = left < block ? left : block;
    team.template for_values<T>(size, set_all<T>{dz + first, T(0)});
    for (index_t piece = 0; piece * map.slots < map.weights; piece += Team::strings)
      add_pieces<Team::strings>(team, piece, first, size);
    team.sync();
    if (gamma) team.template for_values<T>(size, divide{gamma + first, dz + first});
  }

 private:
  FRUGAL_GENERIC template <int rows, class Team>
  FRUGAL_FN void add_pieces(Team const& team, index_t piece, index_t first, index_t size) const {
    static_assert(rows * roast_sign_bytes <= scratch_bytes);
    turned_piece p[rows];
    FRUGAL_UNROLL for (int k = 0; k < rows; ++k) p[k] = turned_piece(map, piece + k, first);
    for (index_t at = 0; at < size;) {
      index_t n = size - at < roast_stretch ? size - at : roast_stretch;
      add<Team, rows> all{team, dz + first + at, {}};
      index_t weight[rows];
      bool every = true;
      FRUGAL_UNROLL for (int k = 0; k < rows; ++k) {
        weight[k] = p[k].weight(at);
        index_t run = p[k].run(at);
        if (weight[k] < map.weights) {
          const segment seg = tensors.of(weight[k]);
          const index_t inner = weight[k] - seg.flat;
          run = seg.size - inner < run ? seg.size - inner : run;
          all.of[k] = {lambda[seg.tensor], g[seg.tensor] + inner};
        } else {
          weight[k] = -1;
          every = false;
        }
        n = run < n ? run : n;
      }
      team.sync();  // after all that was done with the last signs
      bit_string signs[rows] = {};
      FRUGAL_UNROLL for (int k = 0; k < rows; ++k) if (weight[k] >= 0) signs[k] =
          signs_of(team, map, weight[k], n, team.template scratch<std::uint32_t>() + k * (roast_sign_bytes / 4));
      team.sync();
      if (every) {
        team.template with_bits<T>(n, signs, all);
      } else if constexpr (rows > 1) {
        for (int k = 0; k < rows; ++k)
          if (weight[k] >= 0) team.template with_bits<T>(n, {signs[k]}, add<Team, 1>{team, all.sum, {all.of[k]}});
      }
      at += n;
    }
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
