// SPDX-License-Identifier: Apache-2.0
/// @file AdamW: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, Algorithm 2.
///
///     x = (1 - lr weight_decay) x
///     m = beta1 m + (1 - beta1) g
///     v = beta2 v + (1 - beta2) g^2
///     x = x - lr / (1 - beta1^t)  m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
#pragma once
#include "../core/moments.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of Adam; the decay is the one that common implementations use.
struct adamw_config {
  double lr = 1e-3;                         ///< learning rate, >= 0
  double beta1 = 0.9;                       ///< [0, 1)
  double beta2 = 0.999;                     ///< [0, 1)
  double epsilon = 1e-8;                    ///< >= 0
  double weight_decay = 1e-2;               ///< decoupled; >= 0, and lr weight_decay <= 1
  moment_start start = moment_start::zero;  ///< of m and v
};
inline void validate(adamw_config const& c) {
  detail::validate_moments(c);
  require_range("lr * weight_decay", c.lr * c.weight_decay, 0, 1, true);
}

template <class T>
struct adamw_rule : detail::moments_rule<T, adamw_config, detail::decay::decoupled> {
  static constexpr char const* name = "adamw";
  using detail::moments_rule<T, adamw_config, detail::decay::decoupled>::moments_rule;
};

template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class adamw : public element_optimizer<adamw_rule, Backend, Storage, Support, Types, Rounding> {
 public:
  using element_optimizer<adamw_rule, Backend, Storage, Support, Types, Rounding>::element_optimizer;
};
template <class B, class... P>
adamw(B, layout, adamw_config, P...) -> adamw<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
adamw(B, layout) -> adamw<B>;

/// With 8-bit block-wise states, under its usual name: Dettmers et al., "8-bit Optimizers via Block-wise Quantization",
/// 2022.
template <class Backend>
using adamw_8bit = adamw<Backend, blockwise8>;

}  // namespace v0
}  // namespace frugal
