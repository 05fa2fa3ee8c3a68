// SPDX-License-Identifier: Apache-2.0
/// @file LAMB: You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 Minutes", ICLR 2020,
/// Algorithm 2, with phi(z) = z.
///
///     m = beta1 m + (1 - beta1) g
///     v = beta2 v + (1 - beta2) g^2
///     r = m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + epsilon) + weight_decay x
///     x = x - lr |x| / |r|  r             norms over each tensor; 1 in place of the ratio where either is 0
///
/// Or, with a cap on the update's norm, min(1, max_unorm |x| / |r|) in place of the ratio.
#pragma once
#include "../core/moments.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of the paper's program for BERT but for the rate, which is tuned.
struct lamb_config {
  double lr = 1e-3;            ///< learning rate: the share of its norm that a tensor moves by; >= 0
  double beta1 = 0.9;          ///< [0, 1)
  double beta2 = 0.999;        ///< [0, 1)
  double epsilon = 1e-6;       ///< >= 0
  double weight_decay = 1e-2;  ///< inside of the ratio; >= 0
  double max_unorm = 0;        ///< > 0: a cap in place of the ratio; 1 clips the ratio at 1; >= 0
};
inline void validate(lamb_config const& c) {
  detail::validate_moments(c);
  require_range("max_unorm", c.max_unorm, 0, 1e30, true);
}

template <class T>
struct lamb_rule {
  static constexpr char const* name = "lamb";
  static constexpr state_info states[] = {{"m", values::any}, {"v", values::non_negative}};
  static constexpr int sums = 2;  // |x|^2 and |r|^2
  static constexpr measured over = measured::each_tensor;
  using scalar = T;
  using config = lamb_config;
  using clock = detail::moments_clock;
  T beta1, rest1, beta2, rest2, epsilon, unbias1, unbias2, decay, rate;
  double lr, max_unorm;

  FRUGAL_FN lamb_rule(config const& c, group_factors const& g, clock const& k)
      : beta1(T(c.beta1)), rest1(T(1 - c.beta1)), beta2(T(c.beta2)), rest2(T(1 - c.beta2)), epsilon(T(c.epsilon)) {
    const exact one(1.0);
    lr = (exact(c.lr) * exact(g.lr)).v[0];
    max_unorm = c.max_unorm;
    decay = T((exact(c.weight_decay) * exact(g.weight_decay)).v[0]);
    unbias1 = T((one / (one - exact(k.beta1_power))).v[0]);
    unbias2 = T((one / sqrt(one - exact(k.beta2_power))).v[0]);
    rate = T(lr);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN V direction(V x, V g, V& m, V& v) const {
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * (g * g);
    return unbias1 * (m / (unbias2 * sqrt(v) + epsilon)) + decay * x;
  }
  FRUGAL_GENERIC template <int K, class V>
  FRUGAL_FN V term(V x, V g, V m, V v) const {
    if constexpr (K == 1) x = direction(x, g, m, v);
    return x * x;
  }
  FRUGAL_FN void conclude(double const* sum, double) {
    if (sum[0] == 0 || sum[1] == 0) return;  // a NaN goes on into the step
    exact ratio = sqrt(exact(sum[0])) / sqrt(exact(sum[1]));
    if (max_unorm > 0) {
      ratio = exact(max_unorm) * ratio;
      if (ratio.v[0] > 1) ratio = exact(1.0);
    }
    rate = T((exact(lr) * ratio).v[0]);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& m, V& v) const {
    x = x - rate * direction(x, g, m, v);
  }
};

template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class lamb : public element_optimizer<lamb_rule, Backend, Storage, Support, Types, Rounding> {
 public:
  using element_optimizer<lamb_rule, Backend, Storage, Support, Types, Rounding>::element_optimizer;
};
template <class B, class... P>
lamb(B, layout, lamb_config, P...) -> lamb<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
lamb(B, layout) -> lamb<B>;

}  // namespace v0
}  // namespace frugal
