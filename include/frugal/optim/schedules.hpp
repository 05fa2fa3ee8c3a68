// SPDX-License-Identifier: Apache-2.0
/// @file Schedules of the learning rate: pure functions of the step, which give a factor on the peak rate. Update
/// number t + 1 takes the factor of t, so t counts the updates made before it:
///
///     const schedules::cosine factor{.steps = 10000, .warmup = 500};
///     opt.config().lr = peak * factor(t);
///
/// A linear warm-up goes from 0 at t = 0 to 1 at t = warmup, as in the schedules of Dahl et al., "Benchmarking Neural
/// Network Training Algorithms", 2023. Behind their end schedules stay where they are. The bits are the same on every
/// machine.
#pragma once
#include <cmath>

#include "../core/error.hpp"
#include "../core/value.hpp"

namespace frugal {
inline namespace v0 {
namespace schedules {

namespace detail {
using frugal::detail::text;

inline void validate_lengths(std::int64_t steps, std::int64_t warmup, double floor) {
  require(steps >= 1, "the steps of a schedule", ">= 1", steps);
  require(warmup >= 0, "the warm-up of a schedule", ">= 0", warmup);
  if (warmup > steps) refuse("the warm-up of a schedule", text("at most its ", steps, " steps"), text(warmup));
  require_range("the floor of a schedule", floor, 0, 1, true);
}
inline void validate_step(std::int64_t t) { require(t >= 0, "the step of a schedule", ">= 0", t); }

/// How far t is in the `length` steps from `from` on, in [0, 1].
inline double progress(std::int64_t t, std::int64_t from, std::int64_t length) {
  return t >= from + length ? 1 : double(t - from) / double(length);
}
/// From 1 to the floor while `left` goes from 1 to 0.
inline double above(double floor, double left) { return (exact(floor) + exact(1 - floor) * exact(left)).v[0]; }

/// cos(pi u) for u in [0, 1], as -sin(pi (u - 1/2)) by its Taylor series: libraries' cosines differ in their last bits.
inline double cosine_of_half_turn(double u) {
  const exact y = exact(3.14159265358979323846) * exact(u - 0.5), square = y * y;
  exact sum(1.0);
  for (int k = 22; k >= 2; k -= 2) sum = exact(1.0) - square * sum / exact(double(k * (k + 1)));
  const double c = -(y * sum).v[0];
  return c < -1 ? -1 : c;  // by a rounding
}
}  // namespace detail

/// Warm-up, then half a period of the cosine down to the floor: Loshchilov and Hutter, "SGDR: Stochastic Gradient
/// Descent with Warm Restarts", ICLR 2017, without restarts.
struct cosine {
  std::int64_t steps = 1;   ///< of the run, the warm-up among them; >= 1
  std::int64_t warmup = 0;  ///< in [0, steps]
  double floor = 0;         ///< of the factor, from the end on; [0, 1]

  double operator()(std::int64_t t) const {
    detail::validate_lengths(steps, warmup, floor);
    detail::validate_step(t);
    if (t < warmup) return double(t) / double(warmup);
    const double u = detail::progress(t, warmup, steps - warmup);
    return detail::above(floor, u == 1 ? 0 : 0.5 * (1 + detail::cosine_of_half_turn(u)));
  }
};

/// Warm-up, then a line down to the floor.
struct linear_decay {
  std::int64_t steps = 1;   ///< until the floor is reached, the warm-up among them; >= 1
  std::int64_t warmup = 0;  ///< in [0, steps]
  double floor = 0;         ///< [0, 1]

  double operator()(std::int64_t t) const {
    detail::validate_lengths(steps, warmup, floor);
    detail::validate_step(t);
    if (t < warmup) return double(t) / double(warmup);
    return detail::above(floor, 1 - detail::progress(t, warmup, steps - warmup));
  }
};

/// How a rate that was constant comes down: by 1 - u, or by 1 - sqrt(u), of the way u. The second is that of Haegele et
/// al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations", NeurIPS 2024.
enum class decay_shape { linear, one_minus_sqrt };

/// WSD: warm-up, a constant rate, and a decay over the last steps: Hu et al., "MiniCPM: Unveiling the Potential of
/// Small Language Models with Scalable Training Strategies", 2024. The constant part may become longer while it runs:
/// only `steps` changes.
struct warmup_stable_decay {
  std::int64_t steps = 1;   ///< of the run, warm-up and decay among them; >= 1
  std::int64_t warmup = 0;  ///< >= 0
  std::int64_t decay = 0;   ///< last steps; >= 0, usually a tenth or a fifth of all; warmup + decay <= steps
  double floor = 0;         ///< [0, 1]
  decay_shape shape = decay_shape::linear;

  double operator()(std::int64_t t) const {
    detail::validate_lengths(steps, warmup, floor);
    detail::validate_step(t);
    if (decay < 0 || decay > steps - warmup)
      refuse("the decay of a schedule", detail::text("in [0, ", steps - warmup, "]"), detail::text(decay));
    if (t < warmup) return double(t) / double(warmup);
    if (decay == 0 || t < steps - decay) return 1;
    const double u = detail::progress(t, steps - decay, decay);
    return detail::above(floor, shape == decay_shape::linear ? 1 - u : 1 - std::sqrt(u));
  }
};

/// Warm-up, then sqrt(warmup / t): Vaswani et al., "Attention Is All You Need", NeurIPS 2017, with a peak of 1.
struct inverse_sqrt {
  std::int64_t warmup = 1;  ///< >= 1; it is also the scale of what follows

  double operator()(std::int64_t t) const {
    require(warmup >= 1, "the warm-up of a schedule", ">= 1", warmup);
    detail::validate_step(t);
    return t < warmup ? double(t) / double(warmup) : std::sqrt(double(warmup) / double(t));
  }
};

}  // namespace schedules
}  // namespace v0
}  // namespace frugal
