// SPDX-License-Identifier: Apache-2.0
/// @file EF21: Richtarik, Sokolov, Fatkhullin, "EF21: A New, Simpler, Theoretically Better, and Practically Faster
/// Error Feedback", NeurIPS 2021, Algorithm 2.
///
///     D = C(g - h)        h = h + D        (everybody: mean h = mean h + mean of all D)
///
/// h follows g; with a gradient that stands still, |h - g|^2 shrinks by 1 - alpha a round.
#pragma once
#include "feedback.hpp"

namespace frugal {
inline namespace v0 {

struct ef21_rule {
  static constexpr char const* name = "ef21";
  static constexpr char const* states[] = {"h"};
  static constexpr bool residual = false;

  FRUGAL_GENERIC template <class V>
  FRUGAL_FN V input(V g, V& h) const {
    return g - h;
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void sent(V, V d, V& h) const {
    h = h + d;
  }
};

template <class C, class Backend>
class ef21 : public error_feedback<ef21_rule, C, Backend> {
 public:
  using error_feedback<ef21_rule, C, Backend>::error_feedback;
  using typename error_feedback<ef21_rule, C, Backend>::space;
  message const& compress(view<float const, space> g) { return this->exchange(g, {}); }
  /// compress() in two halves: the message, and once it is known that all was well, accept(). Until then h is as it
  /// was.
  message const& offer(view<float const, space> g) { return error_feedback<ef21_rule, C, Backend>::offer(g, {}); }
};
template <class B, class C, class... More>
ef21(B, layout, C, More...) -> ef21<C, B>;

}  // namespace v0
}  // namespace frugal
