// SPDX-License-Identifier: Apache-2.0
/// @file What a step does to gradients before a rule sees them, when it does not happen, and what it says afterwards.
#pragma once
#include <limits>

#include "error.hpp"
#include "view.hpp"

namespace frugal {
inline namespace v0 {

/// What a step does to gradients before the rule sees them, and when it does not happen. Plain and mutable.
template <class Space>
struct step_options {
  double gradient_scale = 1;  ///< every gradient is multiplied by it: 1 / loss scale; any finite number
  double clip_norm =
      std::numeric_limits<double>::infinity();  ///< > 0; times min(1, clip_norm / (norm + 1e-6)), norm over all
  bool skip_nonfinite = false;                  ///< a gradient with an infinite or NaN sum of squares changes nothing
  view<double const, Space> lr = {};         ///< one number in the backend's memory, in place of config().lr; unchecked
  view<float const, Space> more_scale = {};  ///< one number in the backend's memory: a factor on gradient_scale
  view<float const, Space> found_inf = {};   ///< one number in the backend's memory: not zero, and nothing changes
};
template <class Space>
void validate(step_options<Space> const& o) {
  require(o.gradient_scale - o.gradient_scale == 0, "gradient_scale", "a finite number", o.gradient_scale);
  require(o.clip_norm > 0, "clip_norm", "> 0", o.clip_norm);
  const auto check = [](auto v, char const* what) {
    require(v.size() == 0 || v.size() == 1, what, "one number, or none", v.size());
    require(v.size() == 0 || v.data(), what, "a pointer", "null");
  };
  check(o.lr, "the view lr");
  check(o.more_scale, "the view more_scale");
  check(o.found_inf, "the view found_inf");
}

/// What happened so far.
struct step_report {
  std::int64_t steps;    ///< updates applied
  std::int64_t skipped;  ///< steps that changed nothing
  double gradient_norm;  ///< of the last step that measured it (after scaling, before clipping), else 0
};

namespace detail {
/// Do they ask for the gradient's sum of squares?
template <class Space>
bool measure_gradient(step_options<Space> const& o) {
  return o.skip_nonfinite || o.clip_norm < std::numeric_limits<double>::infinity();
}
/// Where the one number is, or null.
template <class T, class Space>
T* number_of(view<T, Space> v) {
  return v.size() == 1 ? v.data() : nullptr;
}
}  // namespace detail

}  // namespace v0
}  // namespace frugal
