// SPDX-License-Identifier: Apache-2.0
/// @file SGD with momentum: Polyak's heavy ball, and Nesterov's form, as in Dahl et al., "Benchmarking Neural Network
/// Training Algorithms", 2023 (no dampening).
///
///     g = g + weight_decay x
///     m = momentum m + g
///     x = x - lr m                     (heavy ball)
///     x = x - lr (g + momentum m)      (Nesterov)
#pragma once
#include "../core/element_optimizer.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of common practice; neither paper has any.
struct momentum_config {
  double lr = 1e-2;         ///< learning rate, >= 0
  double momentum = 0.9;    ///< [0, 1); Nesterov needs > 0
  double weight_decay = 0;  ///< coupled: added to the gradient; >= 0
  bool nesterov = false;
};
inline void validate(momentum_config const& c) {
  require_range("lr", c.lr, 0, 1e30, true);
  require_range("momentum", c.momentum, 0, 1);
  require_range("weight_decay", c.weight_decay, 0, 1e30, true);
  require(!c.nesterov || c.momentum > 0, "momentum with nesterov", "> 0", c.momentum);
}

template <class T>
struct momentum_rule {
  static constexpr char const* name = "momentum";
  static constexpr state_info states[] = {{"m", values::any}};
  using scalar = T;
  using config = momentum_config;
  struct clock {
    FRUGAL_FN void advance(config const&) {}
  };
  T lr, mu, decay;
  T of_gradient, of_momentum;  // the step's direction: (0, 1) or, after Nesterov, (1, mu)

  FRUGAL_FN momentum_rule(config const& c, group_factors const& g, clock const&)
      : lr(T((exact(c.lr) * exact(g.lr)).v[0])),
        mu(T(c.momentum)),
        decay(T((exact(c.weight_decay) * exact(g.weight_decay)).v[0])),
        of_gradient(c.nesterov ? T(1) : T(0)),
        of_momentum(c.nesterov ? T(c.momentum) : T(1)) {}
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& m) const {
    g = g + decay * x;
    m = mu * m + g;
    x = x - lr * (of_gradient * g + of_momentum * m);
  }
};

template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class momentum : public element_optimizer<momentum_rule, Backend, Storage, Support, Types, Rounding> {
 public:
  using element_optimizer<momentum_rule, Backend, Storage, Support, Types, Rounding>::element_optimizer;
};
template <class B, class... P>
momentum(B, layout, momentum_config, P...)
    -> momentum<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
momentum(B, layout) -> momentum<B>;

}  // namespace v0
}  // namespace frugal
