// SPDX-License-Identifier: Apache-2.0
/// @file A vector of uniform numbers, each a function of its place.
#pragma once
#include "random.hpp"
#include "value.hpp"
#include "work.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Numbers uniform in (-spread, spread): words of direction 0.
template <class T, class P = T>
struct uniform_numbers {
  using scalar = T;
  random_stream stream;
  T spread;
  P* to;
  static constexpr bool active = true;
  FRUGAL_FN uniform_numbers bind(segment const&) const { return *this; }
  FRUGAL_FN bool aligned(int) const { return false; }
  FRUGAL_FN T const* contiguous() const { return nullptr; }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    for (index_t i = c.at; i < c.at + c.count(); ++i)
      to[i] = narrow<P>(product(spread, T(u11(stream.word(0, std::uint64_t(i))))));
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
