// SPDX-License-Identifier: Apache-2.0
/// @file RMSprop: Tieleman, Hinton, "Lecture 6.5 - rmsprop", Coursera: Neural Networks for Machine Learning, 2012, with
/// coupled (L2) decay.
///
///     g = g + weight_decay x
///     v = alpha v + (1 - alpha) g^2
///     x = x - lr g / (sqrt(v) + epsilon)
#pragma once
#include "../core/element_optimizer.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of common implementations.
struct rmsprop_config {
  double lr = 1e-2;         ///< learning rate, >= 0
  double alpha = 0.99;      ///< decay of the mean of squares, [0, 1)
  double epsilon = 1e-8;    ///< >= 0
  double weight_decay = 0;  ///< coupled: added to the gradient; >= 0
};
inline void validate(rmsprop_config const& c) {
  require_range("lr", c.lr, 0, 1e30, true);
  require_range("alpha", c.alpha, 0, 1);
  require_range("epsilon", c.epsilon, 0, 1e30, true);
  require_range("weight_decay", c.weight_decay, 0, 1e30, true);
}

template <class T>
struct rmsprop_rule {
  static constexpr char const* name = "rmsprop";
  static constexpr state_info states[] = {{"v", values::non_negative}};
  using scalar = T;
  using config = rmsprop_config;
  struct clock {
    FRUGAL_FN void advance(config const&) {}
  };
  T lr, alpha, rest, epsilon, decay;

  FRUGAL_FN rmsprop_rule(config const& c, group_factors const& g, clock const&)
      : lr(T((exact(c.lr) * exact(g.lr)).v[0])),
        alpha(T(c.alpha)),
        rest(T(1 - c.alpha)),
        epsilon(T(c.epsilon)),
        decay(T((exact(c.weight_decay) * exact(g.weight_decay)).v[0])) {}
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& v) const {
    g = g + decay * x;
    v = alpha * v + rest * (g * g);
    x = x - lr * (g / (sqrt(v) + epsilon));
  }
};

template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class rmsprop : public element_optimizer<rmsprop_rule, Backend, Storage, Support, Types, Rounding> {
 public:
  using element_optimizer<rmsprop_rule, Backend, Storage, Support, Types, Rounding>::element_optimizer;
};
template <class B, class... P>
rmsprop(B, layout, rmsprop_config, P...)
    -> rmsprop<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
rmsprop(B, layout) -> rmsprop<B>;

}  // namespace v0
}  // namespace frugal
