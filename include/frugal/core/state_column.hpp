// SPDX-License-Identifier: Apache-2.0
/// @file A state that is streamed beside the parameters, and begins where they do within a line of the cache.
#pragma once
#include "buffer.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Which element of its line p is, of lines of so many elements.
template <class T>
index_t place_in_line(T const* p, index_t line) {
  return index_t(reinterpret_cast<std::uintptr_t>(p) / sizeof(T)) % line;
}

/// A number for each slot, zero at first. An access that straddles two lines costs up to a third of the bandwidth: so
/// it moves within its memory to where it reaches a line's boundary when the parameters do.
template <class T, class Backend>
class state_column {
 public:
  state_column() = default;
  /// @param line elements of a line, or 0: then it never moves
  state_column(Backend const& b, index_t slots, index_t line) : memory_(zeros<T>(b, slots + line)), slots_(slots) {}

  /// From now on slot 0 is that element of a line, in [0, line).
  void begin_at(Backend const& b, index_t first) {
    if (first == first_) return;
    if (slots_ > 0) b.copy(memory_.data() + first, data(), bytes());
    first_ = first;
  }
  /// Where slot 0 is; null if this is none.
  T* data() const { return memory_.size() > 0 ? memory_.data() + first_ : nullptr; }
  frugal::view<T, typename Backend::space> view() const { return {data(), slots_}; }
  std::size_t bytes() const { return std::size_t(slots_) * sizeof(T); }

 private:
  buffer<T, Backend> memory_;
  index_t slots_ = 0, first_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
