// SPDX-License-Identifier: Apache-2.0
/// @file What a reduction does with the values of the ranks: `op::sum`, `op::mean`, `op::min`, `op::max`. They are
/// combined in the order of the ranks, and every addition is rounded once.
#pragma once
#include "message.hpp"

namespace frugal {
inline namespace v0 {

namespace op {
/// Integers wrap around.
struct sum {
  static constexpr detail::operation code = detail::operation::sum;
  template <class V>
  static FRUGAL_CPU V combine(V a, V b) {
    return a + b;
  }
  template <class V, class T>
  static FRUGAL_CPU V finish(V a, T) {
    return a;
  }
};
/// The sum, divided once by the number of ranks.
struct mean : sum {
  static constexpr detail::operation code = detail::operation::mean;
  template <class V, class T>
  static FRUGAL_CPU V finish(V a, T ranks) {
    static_assert(std::is_floating_point_v<T>, "frugal: a mean is one of float or double");
    return a / ranks;
  }
};
/// A NaN of any rank wins, here and in `max`.
struct min : sum {
  static constexpr detail::operation code = detail::operation::min;
  template <class V>
  static FRUGAL_CPU V combine(V a, V b) {
    return ((a < b) | (a != a)) ? a : b;
  }
};
struct max : sum {
  static constexpr detail::operation code = detail::operation::max;
  template <class V>
  static FRUGAL_CPU V combine(V a, V b) {
    return ((a > b) | (a != a)) ? a : b;
  }
};

}  // namespace op

/// Leaves the order of the additions to the transport: all ranks get the same bits, but which is up to it.
struct any_order_t {};
inline constexpr any_order_t any_order;

namespace detail {

// Sixteen bytes at a time, said with vector types: g++ -O2 leaves a loop of unknown length scalar.
template <class T>
struct vector16 {
  typedef T type __attribute__((vector_size(16)));
};

/// to[i] = Op over the ranks of from[rank][i]. `to` may be one of the sources.
template <class Op, class T>
void combine_ranks(T* to, void const* const* from, int ranks, index_t n) {
  const auto source = [from](int r) { return static_cast<T const*>(from[r]); };
  if constexpr (std::is_same_v<T, std::int64_t> && (Op::code == operation::sum)) {  // unsigned: overflow is defined
    return combine_ranks<Op>(reinterpret_cast<std::uint64_t*>(to), from, ranks, n);
  } else {
    using V = typename vector16<T>::type;
    constexpr index_t width = index_t(sizeof(V) / sizeof(T)), step = 4 * width;
    index_t i = 0;
    for (; i + step <= n; i += step) {
      V a[4], b[4];
      std::memcpy(a, source(0) + i, sizeof a);
      for (int r = 1; r < ranks; ++r) {
        std::memcpy(b, source(r) + i, sizeof b);
        a[0] = Op::combine(a[0], b[0]), a[1] = Op::combine(a[1], b[1]);
        a[2] = Op::combine(a[2], b[2]), a[3] = Op::combine(a[3], b[3]);
      }
      for (V& v : a) v = Op::finish(v, T(ranks));
      std::memcpy(to + i, a, sizeof a);
    }
    for (; i < n; ++i) {
      T a = source(0)[i];
      for (int r = 1; r < ranks; ++r) a = T(Op::combine(a, source(r)[i]));
      to[i] = T(Op::finish(a, T(ranks)));
    }
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
