// SPDX-License-Identifier: Apache-2.0
/// @file LARS: You, Gitman, Ginsburg, "Large Batch Training of Convolutional Networks", 2017, Algorithm 1: momentum
/// with a rate for each tensor.
///
///     q = trust |x| / (|g| + weight_decay |x| + epsilon)      norms over each tensor; 1 where |x| is 0
///     m = momentum m + lr q (g + weight_decay x)
///     x = x - m
///
/// Or, with a cap on the update's norm, q = 1, and x = x - min(1, lr max_unorm |x| / |m|) m, of the new m.
#pragma once
#include "../core/element_optimizer.hpp"

namespace frugal {
inline namespace v0 {

struct lars_config {
  double lr = 1;            ///< learning rate, >= 0; the paper tunes it
  double momentum = 0.9;    ///< [0, 1)
  double weight_decay = 0;  ///< coupled, and a part of the ratio; >= 0
  double trust = 1e-3;      ///< the paper's eta, >= 0
  double epsilon = 1e-8;    ///< >= 0
  double max_unorm = 0;     ///< > 0: a cap in place of the ratio; >= 0
};
inline void validate(lars_config const& c) {
  require_range("lr", c.lr, 0, 1e30, true);
  require_range("momentum", c.momentum, 0, 1);
  require_range("weight_decay", c.weight_decay, 0, 1e30, true);
  require_range("trust", c.trust, 0, 1e30, true);
  require_range("epsilon", c.epsilon, 0, 1e30, true);
  require_range("max_unorm", c.max_unorm, 0, 1e30, true);
}

template <class T>
struct lars_rule {
  static constexpr char const* name = "lars";
  static constexpr state_info states[] = {{"m", values::any}};
  static constexpr int sums = 2;  // |x|^2 and |g|^2, or |m|^2
  static constexpr measured over = measured::each_tensor;
  using scalar = T;
  using config = lars_config;
  struct clock {
    FRUGAL_FN void advance(config const&) {}
  };
  T mu, decay, rate, scale = T(1);
  double lr, lambda, trust, epsilon, max_unorm;

  FRUGAL_FN lars_rule(config const& c, group_factors const& g, clock const&)
      : mu(T(c.momentum)), trust(c.trust), epsilon(c.epsilon), max_unorm(c.max_unorm) {
    lr = (exact(c.lr) * exact(g.lr)).v[0];
    lambda = (exact(c.weight_decay) * exact(g.weight_decay)).v[0];
    decay = T(lambda);
    rate = T(lr);
  }
  FRUGAL_GENERIC template <int K, class V>
  FRUGAL_FN V term(V x, V g) const {
    if constexpr (K == 0) return x * x;
    else return g * g;
  }
  FRUGAL_FN bool reads_states() const { return max_unorm > 0; }
  FRUGAL_GENERIC template <int K, class V>
  FRUGAL_FN V term(V x, V g, V m) const {
    if constexpr (K == 1) x = next(x, g, m);
    return x * x;
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN V next(V x, V g, V m) const {
    return mu * m + rate * (g + decay * x);
  }
  FRUGAL_FN void conclude(double const* sum, double) {
    if (max_unorm > 0) {
      if (sum[0] == 0 || sum[1] == 0) return;
      const exact most = exact(lr) * exact(max_unorm) * (sqrt(exact(sum[0])) / sqrt(exact(sum[1])));
      if (!(most.v[0] >= 1)) scale = T(most.v[0]);  // a NaN goes on into the step
      return;
    }
    const exact x = sqrt(exact(sum[0])), g = sqrt(exact(sum[1]));
    const exact size = g + exact(lambda) * x + exact(epsilon);
    if (sum[0] == 0 || size.v[0] == 0) return;  // a NaN goes on into the step
    rate = T((exact(lr) * (exact(trust) * x / size)).v[0]);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& m) const {
    m = next(x, g, m);
    x = x - scale * m;
  }
};

template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class lars : public element_optimizer<lars_rule, Backend, Storage, Support, Types, Rounding> {
 public:
  using element_optimizer<lars_rule, Backend, Storage, Support, Types, Rounding>::element_optimizer;
};
template <class B, class... P>
lars(B, layout, lars_config, P...) -> lars<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
lars(B, layout) -> lars<B>;

}  // namespace v0
}  // namespace frugal
