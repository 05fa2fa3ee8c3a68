// SPDX-License-Identifier: Apache-2.0
/// @file AdamR: Deng et al., "DARE the Extreme: Revisiting Delta-Parameter Pruning for Fine-Tuned Models", ICLR 2025.
/// Adam for fine-tuning, with a pull to where the parameters came from, the anchor x0, so that what was learned prunes
/// well.
///
///     m = beta1 m + (1 - beta1) g
///     v = beta2 v + (1 - beta2) g^2
///     s = sqrt(mean of v / (1 - beta2^t) over the model), 1 in place of 0
///     x = x - lr weight_decay / s  (x - x0)             L2;  L1: sign(x - x0)
///     x = x - lr / (1 - beta1^t)  m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
///
/// Or, adamr_amsgrad, with max_v = max(max_v, v) in place of v in the last two lines and in s.
#pragma once
#include "../core/moments.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of the authors' program.
struct adamr_config {
  double lr = 1e-3;            ///< learning rate, >= 0
  double beta1 = 0.9;          ///< [0, 1)
  double beta2 = 0.999;        ///< [0, 1)
  double epsilon = 1e-8;       ///< >= 0
  double weight_decay = 1e-4;  ///< of the pull to the anchor, >= 0
  bool l1 = false;             ///< pulls by sign(x - x0) in place of x - x0
  bool clamp = false;          ///< lr weight_decay / s is at most 1: the pull never goes beyond the anchor
};
inline void validate(adamr_config const& c) { detail::validate_moments(c); }

namespace detail {

/// All but what the step is divided by, which is also what s is the mean of.
template <class T>
struct adamr_moments {
  static constexpr int sums = 1;
  static constexpr measured over = measured::the_model;
  static constexpr bool anchored = true;
  using scalar = T;
  using config = adamr_config;
  using clock = moments_clock;
  T beta1, rest1, beta2, rest2, epsilon, rate, unbias;
  T of_delta, of_sign;  // the pull: one of them is 0
  double strength, correction;
  std::int32_t l1, clamp;

  FRUGAL_FN adamr_moments(config const& c, group_factors const& g, clock const& k)
      : beta1(T(c.beta1)),
        rest1(T(1 - c.beta1)),
        beta2(T(c.beta2)),
        rest2(T(1 - c.beta2)),
        epsilon(T(c.epsilon)),
        l1(c.l1),
        clamp(c.clamp) {
    const exact lr = exact(c.lr) * exact(g.lr), one(1.0);
    rate = T((lr / (one - exact(k.beta1_power))).v[0]);
    correction = 1 - k.beta2_power;
    unbias = T((one / sqrt(exact(correction))).v[0]);
    strength = (lr * (exact(c.weight_decay) * exact(g.weight_decay))).v[0];
    pull(strength);
  }
  FRUGAL_FN void conclude(double const* sum, double count) {
    if (strength == 0) return;  // whatever s is
    const exact s = sqrt(exact(sum[0]) / exact(correction) / exact(count));
    pull(s.v[0] == 0 || count == 0 ? strength : (exact(strength) / s).v[0]);
  }

 protected:
  /// The next v.
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN V next(V v, V g) const {
    return beta2 * v + rest2 * (g * g);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void move(V& x, V g, V& m, V divisor, V x0) const {
    m = beta1 * m + rest1 * g;
    const V delta = x - x0;
    x = x - (of_delta * delta + of_sign * sign(delta));
    x = x - rate * (m / (unbias * sqrt(divisor) + epsilon));
  }

 private:
  FRUGAL_FN void pull(double by) {
    if (clamp && by > 1) by = 1;
    of_delta = l1 ? T(0) : T(by);
    of_sign = l1 ? T(by) : T(0);
  }
};

}  // namespace detail

template <class T>
struct adamr_rule : detail::adamr_moments<T> {
  static constexpr char const* name = "adamr";
  static constexpr state_info states[] = {{"m", values::any}, {"v", values::non_negative}};
  using detail::adamr_moments<T>::adamr_moments;

  FRUGAL_GENERIC template <int, class V>
  FRUGAL_FN V term(V, V g, V, V v) const {
    return this->next(v, g);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& m, V& v, V x0) const {
    v = this->next(v, g);
    this->move(x, g, m, v, x0);
  }
};

/// AMSGrad: Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond", ICLR 2018.
template <class T>
struct adamr_amsgrad_rule : detail::adamr_moments<T> {
  static constexpr char const* name = "adamr_amsgrad";
  static constexpr state_info states[] = {
      {"m", values::any}, {"v", values::non_negative}, {"max_v", values::non_negative}};
  using detail::adamr_moments<T>::adamr_moments;

  FRUGAL_GENERIC template <int, class V>
  FRUGAL_FN V term(V, V g, V, V v, V max_v) const {
    return larger(max_v, this->next(v, g));
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& m, V& v, V& max_v, V x0) const {
    v = this->next(v, g);
    max_v = larger(max_v, v);  // a NaN of v goes on
    this->move(x, g, m, max_v, x0);
  }
};

template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class adamr : public element_optimizer<adamr_rule, Backend, Storage, Support, Types, Rounding> {
 public:
  using element_optimizer<adamr_rule, Backend, Storage, Support, Types, Rounding>::element_optimizer;
};
template <class B, class... P>
adamr(B, layout, adamr_config, P...) -> adamr<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
adamr(B, layout) -> adamr<B>;

/// With the largest v so far in place of v: a state more.
template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class adamr_amsgrad : public element_optimizer<adamr_amsgrad_rule, Backend, Storage, Support, Types, Rounding> {
 public:
  using element_optimizer<adamr_amsgrad_rule, Backend, Storage, Support, Types, Rounding>::element_optimizer;
};
template <class B, class... P>
adamr_amsgrad(B, layout, adamr_config, P...)
    -> adamr_amsgrad<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
adamr_amsgrad(B, layout) -> adamr_amsgrad<B>;

}  // namespace v0
}  // namespace frugal
