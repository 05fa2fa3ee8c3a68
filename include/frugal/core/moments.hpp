// SPDX-License-Identifier: Apache-2.0
/// @file What the Adam family shares: two moments, their running bias corrections, and where the decay goes.
#pragma once
#include "element_optimizer.hpp"

namespace frugal {
inline namespace v0 {

/// What the moments are at the first step. The bias corrections stay: 1 - beta^t.
enum class moment_start {
  zero,           ///< means that begin at 0
  first_gradient  ///< m = g and v = g^2, as HESSO's authors have them: the first step is sqrt(1 - beta2) / (1 - beta1)
                  ///< of the rate
};

namespace detail {

/// Where weight decay enters: the gradient, or the parameter.
enum class decay { coupled, decoupled };

/// The hyper-parameters of Adam and AdamW differ in their defaults only.
template <class Config>
void validate_moments(Config const& c) {
  require_range("lr", c.lr, 0, 1e30, true);
  require_range("beta1", c.beta1, 0, 1);
  require_range("beta2", c.beta2, 0, 1);
  require_range("epsilon", c.epsilon, 0, 1e30, true);
  require_range("weight_decay", c.weight_decay, 0, 1e30, true);
}

/// beta^t as running products: no power function, whose bits differ between libraries.
struct moments_clock {
  double beta1_power = 1, beta2_power = 1;
  FRUGAL_GENERIC template <class Config>
  FRUGAL_FN void advance(Config const& c) {
    beta1_power = (exact(beta1_power) * exact(c.beta1)).v[0];
    beta2_power = (exact(beta2_power) * exact(c.beta2)).v[0];
  }
};

/// @tparam LookAhead the step is along the momentum after one more gradient of the same kind (Nesterov)
template <class T, class Config, decay Decay, bool LookAhead = false>
struct moments_rule {
  static constexpr state_info states[] = {{"m", values::any}, {"v", values::non_negative}};
  using scalar = T;
  using config = Config;
  using clock = moments_clock;
  T beta1, rest1, beta2, rest2, epsilon, rate, unbias, decayed;

  FRUGAL_FN moments_rule(config const& c, group_factors const& g, clock const& k)
      : beta1(T(c.beta1)), rest1(T(1 - c.beta1)), beta2(T(c.beta2)), rest2(T(1 - c.beta2)), epsilon(T(c.epsilon)) {
    if constexpr (requires { c.start; }) {  // beta^t = beta: t = 1, where the means are 0
      if (c.start == moment_start::first_gradient && k.beta1_power == c.beta1) rest1 = T(1);
      if (c.start == moment_start::first_gradient && k.beta2_power == c.beta2) rest2 = T(1);
    }
    const exact lr = exact(c.lr) * exact(g.lr), lambda = exact(c.weight_decay) * exact(g.weight_decay), one(1.0);
    rate = T((lr / (one - exact(k.beta1_power))).v[0]);
    unbias = T((one / sqrt(one - exact(k.beta2_power))).v[0]);
    decayed = T((Decay == decay::coupled ? lambda : one - lr * lambda).v[0]);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& m, V& v) const {
    if constexpr (Decay == decay::coupled) g = g + decayed * x;
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * (g * g);
    if constexpr (Decay == decay::decoupled) x = decayed * x;
    if constexpr (LookAhead) x = x - rate * ((beta1 * m + rest1 * g) / (unbias * sqrt(v) + epsilon));
    else x = x - rate * (m / (unbias * sqrt(v) + epsilon));
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
