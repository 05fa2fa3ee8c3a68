// SPDX-License-Identifier: Apache-2.0
/// @file EF14, error feedback: Seide, Fu, Droppo, Li, Yu, "1-Bit Stochastic Gradient Descent and its Application to
/// Data-Parallel Distributed Training of Speech DNNs", Interspeech 2014; with the step size inside the compressor as in
/// Karimireddy, Rebjock, Stich, Jaggi, "Error Feedback Fixes SignSGD and other Gradient Compression Schemes", ICML
/// 2019, Algorithm 2.
///
///     p = e + eta g        D = C(p)        e = p - D        x = x - mean of all D
///
/// The memory e is in units of steps, so a rate that changes from round to round is the right one for every part of it.
#pragma once
#include "feedback.hpp"

namespace frugal {
inline namespace v0 {

struct ef14_rule {
  static constexpr char const* name = "ef14";
  static constexpr char const* states[] = {"e"};
  static constexpr bool residual = true;
  float eta;

  FRUGAL_GENERIC template <class V>
  FRUGAL_FN V input(V g, V& e) const {
    return e + V(eta) * g;
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void sent(V p, V d, V& e) const {
    e = p - d;
  }
};

template <class C, class Backend>
class ef14 : public error_feedback<ef14_rule, C, Backend> {
 public:
  using error_feedback<ef14_rule, C, Backend>::error_feedback;
  using typename error_feedback<ef14_rule, C, Backend>::space;
  /// @param eta the rate of this step, > 0, rounded to float
  message const& compress(view<float const, space> g, double eta) {
    require(float(eta) > 0 && eta <= 0x1p127, "eta", "a float of (0, 1.7e38]", eta);
    return this->exchange(g, {float(eta)});
  }
};
template <class B, class C, class... More>
ef14(B, layout, C, More...) -> ef14<C, B>;

}  // namespace v0
}  // namespace frugal
