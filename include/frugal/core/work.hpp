// SPDX-License-Identifier: Apache-2.0
/// @file What a loop runs over: segments of slots, cut into tiles. One launch covers a list of tensors as it covers one
/// vector.
#pragma once
#include "types.hpp"
#include "value.hpp"

namespace frugal {
inline namespace v0 {

/// Slots of a tile. The unit of distribution, and (by contract) of the canonical reduction.
inline constexpr index_t tile_size = 16384;
/// Running sums inside a tile of the canonical reduction (core/reduce.hpp): also part of the contract.
inline constexpr index_t reduction_slots = 256;

/// A run of slots (where states lie) that belongs to one tensor, and where its coordinates (parameters, gradients) are.
struct segment {
  index_t slot = 0;        ///< first slot
  index_t size = 0;        ///< count of slots
  index_t flat = 0;        ///< first coordinate in the flat vector; for an index list: of the tensor
  index_t inner = 0;       ///< the same, counted from the tensor's first element
  index_t listed = 0;      ///< first entry of an index list
  index_t first_tile = 0;  ///< tiles are numbered through all segments
  std::int32_t tensor = 0;
  std::int32_t group = 0;
};

FRUGAL_FN index_t tiles_of(index_t slots) { return (slots + tile_size - 1) / tile_size; }

// Work, as kernels see it: a count of tiles, and the segment of each.
/// A list of segments; the tables are in the backend's memory.
struct segment_list {
  segment const* table = nullptr;
  std::int32_t const* segment_of_tile = nullptr;
  index_t tiles = 0;
  FRUGAL_FN segment at(index_t tile) const { return table[segment_of_tile[tile]]; }
};
/// n slots from the first on.
struct one_segment {
  index_t n, tiles;
  explicit one_segment(index_t slots) : n(slots), tiles(tiles_of(slots)) {}
  FRUGAL_FN segment at(index_t) const { return {.size = n}; }
};

namespace detail {
/// May that many elements be one access?
template <class T>
FRUGAL_FN bool multiple_of(T const* p, int elements) {
  return reinterpret_cast<std::uintptr_t>(p) % (std::uintptr_t(elements) * sizeof(T)) == 0;
}
}  // namespace detail

/// Bits in memory, the first in the lowest bit of a byte; slot 0 has bit `skip`.
struct bit_string {
  std::uint8_t const* from;
  index_t skip = 0;
};
/// The next bits of each of R strings, in the low bits of their words.
template <int R>
struct bit_words {
  std::uint32_t of[R];
};

/// `V::width` consecutive slots from `at` on (counted from the segment's first): all of them, or the first `n`.
template <class V, bool Full>
struct chunk {
  using value = V;
  index_t at, n;
  FRUGAL_FN index_t count() const { return Full ? index_t(V::width) : n; }
  FRUGAL_GENERIC template <class T>
  FRUGAL_FN V load(T const* p) const {
    return load_as<V>(p);
  }
  FRUGAL_GENERIC template <class U, class T>
  FRUGAL_FN U load_as(T const* p) const {
    if constexpr (Full) return U::load(p + at);
    else return U::load(p + at, n);
  }
  FRUGAL_GENERIC template <class T, class U>
  FRUGAL_FN void store(T* p, U v) const {
    if constexpr (Full) v.store(p + at);
    else v.store(p + at, n);
  }
};

}  // namespace v0
}  // namespace frugal
