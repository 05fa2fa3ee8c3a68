// SPDX-License-Identifier: Apache-2.0
/// @file Adagrad: Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
/// JMLR 2011, with a diagonal matrix, and coupled (L2) decay.
///
///     g = g + weight_decay x
///     v = v + g^2
///     x = x - lr g / (sqrt(v) + epsilon)
#pragma once
#include "../core/element_optimizer.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of common implementations; the paper's rate is tuned, its delta (here epsilon) is "small".
struct adagrad_config {
  double lr = 1e-2;         ///< learning rate, >= 0
  double epsilon = 1e-10;   ///< >= 0
  double weight_decay = 0;  ///< coupled: added to the gradient; >= 0
};
inline void validate(adagrad_config const& c) {
  require_range("lr", c.lr, 0, 1e30, true);
  require_range("epsilon", c.epsilon, 0, 1e30, true);
  require_range("weight_decay", c.weight_decay, 0, 1e30, true);
}

template <class T>
struct adagrad_rule {
  static constexpr char const* name = "adagrad";
  static constexpr state_info states[] = {{"v", values::non_negative}};
  using scalar = T;
  using config = adagrad_config;
  struct clock {
    FRUGAL_FN void advance(config const&) {}
  };
  T lr, epsilon, decay;

  FRUGAL_FN adagrad_rule(config const& c, group_factors const& g, clock const&)
      : lr(T((exact(c.lr) * exact(g.lr)).v[0])),
        epsilon(T(c.epsilon)),
        decay(T((exact(c.weight_decay) * exact(g.weight_decay)).v[0])) {}
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& v) const {
    g = g + decay * x;
    v = v + g * g;
    x = x - lr * (g / (sqrt(v) + epsilon));
  }
};

template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class adagrad : public element_optimizer<adagrad_rule, Backend, Storage, Support, Types, Rounding> {
 public:
  using element_optimizer<adagrad_rule, Backend, Storage, Support, Types, Rounding>::element_optimizer;
};
template <class B, class... P>
adagrad(B, layout, adagrad_config, P...)
    -> adagrad<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
adagrad(B, layout) -> adagrad<B>;

}  // namespace v0
}  // namespace frugal
