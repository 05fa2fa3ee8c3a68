// SPDX-License-Identifier: Apache-2.0
/// @file Adam: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 1, with coupled (L2)
/// decay.
///
///     g = g + weight_decay x
///     m = beta1 m + (1 - beta1) g
///     v = beta2 v + (1 - beta2) g^2
///     x = x - lr / (1 - beta1^t)  m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
#pragma once
#include "../core/moments.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of the paper.
struct adam_config {
  double lr = 1e-3;                         ///< learning rate, >= 0
  double beta1 = 0.9;                       ///< [0, 1)
  double beta2 = 0.999;                     ///< [0, 1)
  double epsilon = 1e-8;                    ///< >= 0
  double weight_decay = 0;                  ///< coupled: added to the gradient; >= 0
  moment_start start = moment_start::zero;  ///< of m and v
};
inline void validate(adam_config const& c) { detail::validate_moments(c); }

template <class T>
struct adam_rule : detail::moments_rule<T, adam_config, detail::decay::coupled> {
  static constexpr char const* name = "adam";
  using detail::moments_rule<T, adam_config, detail::decay::coupled>::moments_rule;
};

template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class adam : public element_optimizer<adam_rule, Backend, Storage, Support, Types, Rounding> {
 public:
  using element_optimizer<adam_rule, Backend, Storage, Support, Types, Rounding>::element_optimizer;
};
template <class B, class... P>
adam(B, layout, adam_config, P...) -> adam<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
adam(B, layout) -> adam<B>;

/// With 8-bit block-wise states, under its usual name: Dettmers et al., "8-bit Optimizers via Block-wise Quantization",
/// 2022.
template <class Backend>
using adam_8bit = adam<Backend, blockwise8>;

}  // namespace v0
}  // namespace frugal
