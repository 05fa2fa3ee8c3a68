// SPDX-License-Identifier: Apache-2.0
/// @file Lion: Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, Algorithm 2.
///
///     c = beta1 m + (1 - beta1) g
///     x = (1 - lr weight_decay) x - lr sign(c)
///     m = beta2 m + (1 - beta2) g
///
/// One state, no bias correction, no counter that matters. sign(0) = sign(NaN) = 0.
#pragma once
#include "../core/element_optimizer.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of the authors' program. Rule of thumb: 3 to 10 times less lr and more weight_decay than AdamW.
struct lion_config {
  double lr = 1e-4;         ///< learning rate, >= 0
  double beta1 = 0.9;       ///< interpolation of the update, [0, 1)
  double beta2 = 0.99;      ///< decay of the momentum, [0, 1)
  double weight_decay = 0;  ///< decoupled; >= 0, and lr weight_decay <= 1
};
inline void validate(lion_config const& c) {
  require_range("lr", c.lr, 0, 1e30, true);
  require_range("beta1", c.beta1, 0, 1);
  require_range("beta2", c.beta2, 0, 1);
  require_range("weight_decay", c.weight_decay, 0, 1e30, true);
  require_range("lr * weight_decay", c.lr * c.weight_decay, 0, 1, true);
}

template <class T>
struct lion_rule {
  static constexpr char const* name = "lion";
  static constexpr state_info states[] = {{"m", values::any}};
  using scalar = T;
  using config = lion_config;
  struct clock {
    FRUGAL_FN void advance(config const&) {}
  };
  T lr, beta1, rest1, beta2, rest2, shrink;

  FRUGAL_FN lion_rule(config const& c, group_factors const& g, clock const&)
      : beta1(T(c.beta1)), rest1(T(1 - c.beta1)), beta2(T(c.beta2)), rest2(T(1 - c.beta2)) {
    const exact rate = exact(c.lr) * exact(g.lr);
    lr = T(rate.v[0]);
    shrink = T((exact(1.0) - rate * (exact(c.weight_decay) * exact(g.weight_decay))).v[0]);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& m) const {
    x = shrink * x - lr * sign(beta1 * m + rest1 * g);
    m = beta2 * m + rest2 * g;
  }
};

template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class lion : public element_optimizer<lion_rule, Backend, Storage, Support, Types, Rounding> {
 public:
  using element_optimizer<lion_rule, Backend, Storage, Support, Types, Rounding>::element_optimizer;
};
template <class B, class... P>
lion(B, layout, lion_config, P...) -> lion<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
lion(B, layout) -> lion<B>;

/// Lion with 8-bit block-wise state, under its usual name.
template <class Backend>
using lion_8bit = lion<Backend, blockwise8>;

}  // namespace v0
}  // namespace frugal
