// SPDX-License-Identifier: Apache-2.0
/// @file How the step of an optimizer of one rule begins.
#pragma once
#include "buffer.hpp"
#include "element.hpp"
#include "reduce.hpp"
#include "step_options.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Measures the gradient where the options ask for it; decides whether the step happens; then the factor on gradients
/// and each group's coefficients. All of it on the backend, so that no step waits for the host.
/// @param sums sum_scratch(measured.tiles) of them
template <class Rule, class G, class Backend, class Where = everywhere>
void begin_step(Backend const& b, step_options<typename Backend::space> const& options,
                typename Rule::config const& config, buffer<group_factors, Backend> const& factors,
                segment_list const& measured, G const* const* gradients, double* sums, control<Rule>* ctl, Rule* rules,
                Where where = {}) {
  double const* const sum_of_squares =
      measure_gradient(options)
          ? canonical_sum(b, measured, squares<typename Rule::scalar, Where, G>{where, gradients}, sums)
          : nullptr;
  b.run(advance<Rule>{config, options.gradient_scale, options.clip_norm, options.skip_nonfinite,
                      std::int32_t(factors.size()), factors.data(), sum_of_squares, number_of(options.lr),
                      number_of(options.more_scale), number_of(options.found_inf), ctl, rules});
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
