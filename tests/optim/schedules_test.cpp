// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <frugal/optim/schedules.hpp>
#include <frugal/optim/step_law.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using namespace frugal::schedules;

std::function<double(std::int64_t)> schedule_of(golden_case const& c) {
  const auto steps = std::int64_t(c.config("steps")), warmup = std::int64_t(c.config("warmup"));
  const double floor = c.config("floor");
  if (c.name == "cosine") return cosine{steps, warmup, floor};
  if (c.name == "linear_decay") return linear_decay{steps, warmup, floor};
  if (c.name == "inverse_sqrt") return inverse_sqrt{warmup};
  return warmup_stable_decay{steps, warmup, std::int64_t(c.config("decay")), floor,
                             c.name == "wsd_sqrt" ? decay_shape::one_minus_sqrt : decay_shape::linear};
}

TEST(schedules, golden_curves) {
  int cases = 0;
  for (golden_case const& c : read_golden("schedules.txt")) {
    if (c.name == "step_law") continue;
    const auto f = schedule_of(c);
    const auto want = c.numbers<double>("factor");
    for (std::size_t t = 0; t < want.size(); ++t)
      ASSERT_NEAR(f(std::int64_t(t)), want[t], 3e-16) << c.name << ", case " << cases << ", t = " << t;
    ++cases;
  }
  EXPECT_EQ(cases, 11);
}

TEST(schedules, ends_are_exact) {
  const cosine c{.steps = 1000, .warmup = 10, .floor = 0.1};
  EXPECT_EQ(c(0), 0);
  EXPECT_EQ(c(5), 0.5);
  EXPECT_EQ(c(10), 1);
  EXPECT_EQ(c(505), 0.55);
  EXPECT_EQ(c(1000), 0.1);
  EXPECT_EQ(c(std::numeric_limits<std::int64_t>::max()), 0.1);
  EXPECT_EQ((linear_decay{.steps = 100}(100)), 0);
  EXPECT_EQ((warmup_stable_decay{.steps = 100, .warmup = 10, .decay = 20}(79)), 1);
  EXPECT_EQ((warmup_stable_decay{.steps = 100, .warmup = 10, .decay = 20}(90)), 0.5);
  EXPECT_EQ((warmup_stable_decay{.steps = 100, .decay = 0}(1000)), 1);
  EXPECT_EQ((inverse_sqrt{.warmup = 100}(400)), 0.5);
}

TEST(schedules, come_down_and_never_go_below_the_floor) {
  const cosine c{.steps = 100000, .floor = 0.125};
  double last = 1;
  for (std::int64_t t = 0; t <= 100010; ++t) {
    const double now = c(t);
    ASSERT_TRUE(now <= last && now >= 0.125) << t;
    last = now;
  }
  for (std::int64_t steps : {777777777, 1000000000})  // the series passes -1 by a rounding
    for (std::int64_t left = 1; left <= 10; ++left) ASSERT_GE((cosine{.steps = steps}(steps - left)), 0) << left;
}

TEST(schedules, the_cosine_is_the_library_s_but_for_the_last_bits) {
  for (int k = 0; k <= 10000; ++k)  // the argument of the other has two roundings, of up to 2 units of 2^-53 pi
    ASSERT_NEAR(detail::cosine_of_half_turn(k / 10000.), std::cos(std::numbers::pi * k / 10000.), 8e-16) << k;
}

TEST(schedules, wrong_lengths_are_refused) {
  EXPECT_TRUE(refused([] { cosine{.steps = 0}(0); }, "the steps of a schedule", ">= 1", "0"));
  EXPECT_TRUE(refused([] { cosine{.steps = 5, .warmup = -1}(0); }, "the warm-up", ">= 0", "-1"));
  EXPECT_TRUE(refused([] { linear_decay{.steps = 5, .warmup = 6}(0); }, "the warm-up", "at most its 5 steps", "6"));
  EXPECT_TRUE(refused([] { linear_decay{.steps = 5}(-1); }, "the step of a schedule", ">= 0", "-1"));
  EXPECT_TRUE(refused([] { cosine{.steps = 5, .floor = 1.5}(0); }, "the floor", "[0, 1]", "1.5"));
  EXPECT_TRUE(refused([] { cosine{.steps = 5, .floor = std::nan("")}(0); }, "the floor", "[0, 1]", "nan"));
  EXPECT_TRUE(
      refused([] { warmup_stable_decay{.steps = 9, .warmup = 5, .decay = 5}(0); }, "the decay", "in [0, 4]", "5"));
  EXPECT_TRUE(refused([] { warmup_stable_decay{.steps = 9, .decay = -1}(0); }, "the decay", "in [0, 9]", "-1"));
  EXPECT_TRUE(refused([] { inverse_sqrt{.warmup = 0}(0); }, "the warm-up", ">= 1", "0"));
}

TEST(step_law, golden_values) {
  int cases = 0;
  for (golden_case const& c : read_golden("schedules.txt"))
    for (std::size_t k = 0; k < c.count("optimum"); ++k, ++cases) {
      const auto v = c.numbers<double>("optimum", k);
      const auto best = frugal::step_law(v[0], v[1]);
      EXPECT_NEAR(best.lr, v[2], 1e-14 * v[2]);
      EXPECT_NEAR(best.batch_tokens, v[3], 1e-14 * v[3]);
    }
  EXPECT_EQ(cases, 5);
}

TEST(step_law, what_is_no_model_or_no_data_is_refused) {
  EXPECT_TRUE(refused([] { frugal::step_law(7, 1e9); }, "the parameters of a model", "[1e+06, 1e+12]", "7"));
  EXPECT_TRUE(refused([] { frugal::step_law(7e9, 2); }, "the tokens of a training", "[1e+08, 1e+15]", "2"));
  EXPECT_TRUE(refused([] { frugal::step_law(std::nan(""), 1e9); }, "the parameters", "[1e+06, 1e+12]", "nan"));
}

}  // namespace
