// SPDX-License-Identifier: Apache-2.0
/// @file A list of segments as kernels read it: cut into tiles, with a table that gives each tile its segment.
#pragma once
#include "buffer.hpp"
#include "work.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Segments, their tiles, and the table that kernels read.
template <class Backend>
class work_table {
 public:
  work_table() = default;
  /// Gives each segment its first slot, a multiple of `alignment`, and its first tile.
  work_table(Backend const& b, std::vector<segment> s, index_t alignment) {
    std::vector<std::int32_t> of_tile;
    index_t tiles = 0;
    for (std::size_t i = 0; i < s.size(); ++i) {
      s[i].slot = i == 0 ? 0 : (slots_ + alignment - 1) / alignment * alignment;
      s[i].first_tile = tiles;
      slots_ = s[i].slot + s[i].size;
      tiles += tiles_of(s[i].size);
      of_tile.resize(std::size_t(tiles), std::int32_t(i));
    }
    table_ = buffer<segment, Backend>(b, s);
    of_tile_ = buffer<std::int32_t, Backend>(b, of_tile);
    list_ = {table_.data(), of_tile_.data(), tiles};
    count_ = index_t(s.size());
    if (!s.empty()) first_ = s[0];
  }
  segment_list const& list() const { return list_; }
  index_t slots() const { return slots_; }
  /// The segment that slot 0 belongs to, where there are slots.
  segment const& first() const { return first_; }
  index_t segments() const { return count_; }

 private:
  segment_list list_;
  segment first_;
  index_t slots_ = 0, count_ = 0;
  buffer<segment, Backend> table_;
  buffer<std::int32_t, Backend> of_tile_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
