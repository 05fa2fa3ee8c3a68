// SPDX-License-Identifier: Apache-2.0
/// @file What an element optimizer is made of, for those who wrap one.
#pragma once
#include "element_optimizer.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

template <template <class> class Rule, class B, class S, class At, class T, class R>
struct element_policies {
  using rule = Rule<typename T::compute>;
  using backend = B;
  using storage = S;
  using support = At;
  using types = T;
};
template <template <class> class Rule, class B, class S, class At, class T, class R>
element_policies<Rule, B, S, At, T, R> policies_of(element_optimizer<Rule, B, S, At, T, R> const&);
template <class Optimizer>
concept has_element_rule = requires(Optimizer const& o) {
  policies_of(o);
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
