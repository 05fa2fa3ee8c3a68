// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adamw.hpp>

#include <frugal/optim/adam.hpp>

#include "support/experiments.hpp"
#include "support/optimizer_suite.hpp"

namespace {
using namespace frugal_test;

struct adamw {
  template <class B, class S, class P, class T>
  using optimizer = frugal::adamw<B, S, P, T>;
  using config = frugal::adamw_config;
  static constexpr char const* name = "adamw";
  static constexpr bool nan_reaches_x = true;
  static std::vector<std::string> states() { return {"m", "v"}; }
  static config from(golden_case const& c) {
    return {c.config("lr"),
            c.config("beta1"),
            c.config("beta2"),
            c.config("eps"),
            c.config("weight_decay"),
            c.config("first_gradient") != 0 ? frugal::moment_start::first_gradient : frugal::moment_start::zero};
  }
  static config usual() { return {.lr = 0.01, .weight_decay = 0.5}; }
};

TEST(adamw, defaults) {
  const frugal::adamw_config c;
  EXPECT_EQ(c.lr, 1e-3);
  EXPECT_EQ(c.beta1, 0.9);
  EXPECT_EQ(c.beta2, 0.999);
  EXPECT_EQ(c.epsilon, 1e-8);
  EXPECT_EQ(c.weight_decay, 1e-2);
  EXPECT_EQ(c.start, frugal::moment_start::zero);
}

TEST(adamw, worked_number) {
  const auto d = make<adamw, double>(serial(), 1, {1}, {.lr = 0.1, .weight_decay = 0.01});
  d->step({0.5});
  EXPECT_NEAR(d->x()[0], 0.8990000020, 5e-11);
}

TEST(adamw, without_decay_it_is_adam) {
  const frugal::layout l(1000);
  std::vector<float> x = start_of(l);
  frugal::adam plain(frugal::serial_backend{}, l, {.lr = 0.01});
  const auto d = make<adamw>(serial(), l, x, {.lr = 0.01, .weight_decay = 0});
  for (int t = 1; t <= 5; ++t) {
    plain.step(x, gradient_of(l, t));
    d->step(gradient_of(l, t));
  }
  EXPECT_TRUE(same_bits(x, d->x()));
}

TEST(adamw, decay_is_decoupled) {
  // Where the gradient is zero x shrinks by a factor, and the states stay zero.
  const frugal::layout l(100);
  const auto d = make<adamw>(serial(), l, start_of(l), {.lr = 0.25, .weight_decay = 0.5});
  auto want = start_of(l);
  for (int t = 1; t <= 3; ++t) {
    d->step(std::vector<float>(100));
    for (float& x : want) x *= 0.875f;
    ASSERT_TRUE(same_bits(want, d->x())) << t;
  }
  EXPECT_TRUE(same_bits(std::vector<float>(100), piece<float>(d->save(), "m")));
}

TEST(adamw, under_a_constant_gradient_it_decays_to_the_box) {
  const std::vector<double> g{3, -0.01, 1e-4, -50};
  const auto d = make<adamw, double>(serial(), 4, {1, 2, -3, 0}, {.lr = 0.05, .epsilon = 0, .weight_decay = 0.4});
  expect_decay_to_the_box(under_constant_gradient(d, g, 300), g, 0.05, 0.4);
}

TEST(adamw, converges_as_the_rate_falls) {
  const auto d = make<adamw, double>(serial(), 5, {1, -2, 3, 0.5, -0.1}, {.lr = 0.1, .beta2 = 0.99});
  const auto size = on_quadratic(d, {0.1, 1, 3, 10, 100}, 4000, [&](int t) { d->lr() = 0.1 / std::sqrt(t); });
  for (int t : {1000, 2000, 4000}) EXPECT_LT(size[std::size_t(t - 1)], 0.1 / std::sqrt(t)) << t;
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(adamw, optimizer_suite, the<adamw>());
}
