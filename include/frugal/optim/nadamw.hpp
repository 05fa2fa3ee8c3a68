// SPDX-License-Identifier: Apache-2.0
/// @file NAdamW: AdamW that steps along Nesterov's momentum, as in Dahl et al., "Benchmarking Neural Network Training
/// Algorithms", 2023. Not NAdam of Dozat, whose momentum follows a schedule.
///
///     x = (1 - lr weight_decay) x
///     m = beta1 m + (1 - beta1) g
///     v = beta2 v + (1 - beta2) g^2
///     x = x - lr / (1 - beta1^t)  (beta1 m + (1 - beta1) g) / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
#pragma once
#include "../core/moments.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of Adam; the decay is the one that common implementations of AdamW use.
struct nadamw_config {
  double lr = 1e-3;            ///< learning rate, >= 0
  double beta1 = 0.9;          ///< [0, 1)
  double beta2 = 0.999;        ///< [0, 1)
  double epsilon = 1e-8;       ///< >= 0
  double weight_decay = 1e-2;  ///< decoupled; >= 0, and lr weight_decay <= 1
};
inline void validate(nadamw_config const& c) {
  detail::validate_moments(c);
  require_range("lr * weight_decay", c.lr * c.weight_decay, 0, 1, true);
}

template <class T>
struct nadamw_rule : detail::moments_rule<T, nadamw_config, detail::decay::decoupled, true> {
  static constexpr char const* name = "nadamw";
  using detail::moments_rule<T, nadamw_config, detail::decay::decoupled, true>::moments_rule;
};

template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class nadamw : public element_optimizer<nadamw_rule, Backend, Storage, Support, Types, Rounding> {
 public:
  using element_optimizer<nadamw_rule, Backend, Storage, Support, Types, Rounding>::element_optimizer;
};
template <class B, class... P>
nadamw(B, layout, nadamw_config, P...)
    -> nadamw<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
nadamw(B, layout) -> nadamw<B>;

}  // namespace v0
}  // namespace frugal
