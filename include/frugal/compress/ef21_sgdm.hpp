// SPDX-License-Identifier: Apache-2.0
/// @file EF21-SGDM: Fatkhullin, Tyurin, Richtarik, "Momentum Provably Improves Error Feedback!", NeurIPS 2023,
/// Algorithm 1.
///
///     v = (1 - b) v + b g        D = C(v - h)        h = h + D        (everybody: mean h = mean h + mean of all D)
///
/// The average over time takes out the noise that EF21 would feed to the compressor. b = 1 is EF21.
#pragma once
#include "feedback.hpp"

namespace frugal {
inline namespace v0 {

/// Default of the authors' experiments.
struct ef21_sgdm_config {
  double b = 0.1;  ///< weight of the new gradient, (0, 1]
};
inline void validate(ef21_sgdm_config const& c) { require(c.b > 0 && c.b <= 1, "b", "(0, 1]", c.b); }

struct ef21_sgdm_rule {
  static constexpr char const* name = "ef21_sgdm";
  static constexpr char const* states[] = {"h", "v"};
  static constexpr bool residual = false;
  float b, rest;

  FRUGAL_GENERIC template <class V>
  FRUGAL_FN V input(V g, V& h, V& v) const {
    v = V(rest) * v + V(b) * g;
    return v - h;
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void sent(V, V d, V& h, V&) const {
    h = h + d;
  }
};

template <class C, class Backend>
class ef21_sgdm : public error_feedback<ef21_sgdm_rule, C, Backend> {
  using base = error_feedback<ef21_sgdm_rule, C, Backend>;

 public:
  using typename base::space;
  ef21_sgdm(Backend b, frugal::layout extent, C how, ef21_sgdm_config c = {}, std::int32_t sender = 0)
      : base((validate(c), std::move(b)), std::move(extent), how, sender), config_(c) {}
  message const& compress(view<float const, space> g) {
    validate(config_);
    return this->exchange(g, {float(config_.b), float(1 - config_.b)});
  }
  ef21_sgdm_config& config() { return config_; }

 private:
  ef21_sgdm_config config_;
};

}  // namespace v0
}  // namespace frugal
