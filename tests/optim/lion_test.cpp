// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/lion.hpp>

#include "support/experiments.hpp"
#include "support/optimizer_suite.hpp"

namespace {
using namespace frugal_test;

struct lion {
  template <class B, class S, class P, class T>
  using optimizer = frugal::lion<B, S, P, T>;
  using config = frugal::lion_config;
  static constexpr char const* name = "lion";
  static constexpr bool nan_reaches_x = false;  // sign(NaN) = 0
  static std::vector<std::string> states() { return {"m"}; }
  static config from(golden_case const& c) {
    return {c.config("lr"), c.config("beta1"), c.config("beta2"), c.config("weight_decay")};
  }
  static config usual() { return {.lr = 0.01, .weight_decay = 0.5}; }
};

// x whose sums with multiples of 1/1024 are exact.
std::vector<float> coarse(frugal::layout const& l) {
  auto x = start_of(l);
  for (float& v : x) v = std::round(v * 1024) / 1024;
  return x;
}

TEST(lion, defaults_are_the_paper_s) {
  const frugal::lion_config c;
  EXPECT_EQ(c.lr, 1e-4);
  EXPECT_EQ(c.beta1, 0.9);
  EXPECT_EQ(c.beta2, 0.99);
  EXPECT_EQ(c.weight_decay, 0);
}

TEST(lion, worked_numbers) {
  const auto d = make<lion, double>(serial(), 3, {1, -2, 0.5}, {.lr = 0.1, .weight_decay = 0.5});
  const auto expect = [&](std::vector<double> const& g, std::vector<double> const& x, std::vector<double> const& m) {
    d->step(g);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(d->x()[i], x[i], 1e-14);
      EXPECT_NEAR(piece<double>(d->save(), "m")[i], m[i], 1e-16);
    }
  };
  expect({0.3, -0.1, 0}, {0.85, -1.8, 0.475}, {0.003, -0.001, 0});
  expect({-0.1, 0.4, 0}, {0.9075, -1.81, 0.45125}, {0.00197, 0.00301, 0});
}

TEST(lion, every_step_is_the_rate_or_zero) {
  const frugal::layout l(1000);
  const auto d = make<lion>(serial(), l, coarse(l), {.lr = 1. / 1024});
  for (int t = 1; t <= 10; ++t) {
    const auto before = d->x();
    auto g = gradient_of(l, t);
    g[17] = 0;
    d->step(g);
    const auto after = d->x();
    for (std::size_t i = 0; i < after.size(); ++i) {
      const float step = std::abs(after[i] - before[i]);
      if (i == 17) ASSERT_EQ(step, 0);
      else ASSERT_TRUE(step == 1.f / 1024 || (t == 1 && g[i] == 0 && step == 0)) << i << " " << step;
    }
  }
}

TEST(lion, scaling_gradients_by_a_power_of_two_changes_nothing) {
  const frugal::layout l(1000);
  const auto run = [&](float scale) {
    const auto d = make<lion>(serial(), l, start_of(l), lion::usual());
    for (int t = 1; t <= 10; ++t) {
      auto g = gradient_of(l, t);
      for (float& x : g) x *= scale;
      d->step(g);
    }
    return d->x();
  };
  EXPECT_TRUE(same_bits(run(1), run(0x1p20f)));
  EXPECT_TRUE(same_bits(run(1), run(0x1p-20f)));
}

TEST(lion, with_equal_betas_it_is_signum) {
  const frugal::layout l(1000);
  const auto d = make<lion>(serial(), l, coarse(l), {.lr = 1. / 1024, .beta1 = 0.95, .beta2 = 0.95});
  for (int t = 1; t <= 10; ++t) {
    auto want = d->x();
    d->step(gradient_of(l, t));
    const auto m = piece<float>(d->save(), "m");  // the new one
    for (std::size_t i = 0; i < want.size(); ++i) want[i] -= m[i] > 0 ? 1.f / 1024 : m[i] < 0 ? -1.f / 1024 : 0.f;
    ASSERT_TRUE(same_bits(want, d->x())) << t;
  }
}

TEST(lion, without_memory_it_is_the_sign_of_the_gradient) {
  const frugal::layout l(1000);
  const auto d = make<lion>(serial(), l, coarse(l), {.lr = 1. / 1024, .beta1 = 0, .beta2 = 0});
  for (int t = 1; t <= 5; ++t) {
    auto want = d->x();
    const auto g = gradient_of(l, t);
    d->step(g);
    for (std::size_t i = 0; i < want.size(); ++i) want[i] -= g[i] > 0 ? 1.f / 1024 : g[i] < 0 ? -1.f / 1024 : 0.f;
    ASSERT_TRUE(same_bits(want, d->x())) << t;
  }
}

TEST(lion, stays_in_the_box_and_returns_to_it) {
  const frugal::layout l(1000);
  const double decay = 2, lr = 0.01;
  auto x0 = start_of(l);
  for (std::size_t i = 0; i < x0.size(); ++i) x0[i] = i % 2 ? std::clamp(x0[i], -0.5f, 0.5f) : 3 * x0[i];
  const auto d = make<lion>(serial(), l, x0, {.lr = lr, .weight_decay = decay});
  double factor = 1;
  for (int t = 1; t <= 200; ++t) {
    d->step(gradient_of(l, t));
    factor *= 1 - lr * decay;
    const auto x = d->x();
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double outside = std::max(0., std::abs(double(x0[i])) - 1 / decay);
      ASSERT_LE(std::abs(double(x[i])), 1 / decay + factor * outside + 1e-5 * (1 + outside)) << i << ", step " << t;
    }
  }
}

TEST(lion, under_a_constant_gradient_it_decays_to_the_box) {
  const std::vector<double> g{3, -0.01, 1e-4, -50};
  const auto d = make<lion, double>(serial(), 4, {1, 2, -3, 0}, {.lr = 0.05, .weight_decay = 0.4});
  expect_decay_to_the_box(under_constant_gradient(d, g, 300), g, 0.05, 0.4);
}

// With noisy gradients of |x - c|^2 / 2 it minimises over the box that the decay describes: x tends to clip(c).
TEST(lion, minimises_over_the_box) {
  constexpr std::size_t n = 50;
  dice d(11);
  std::vector<float> c(n), g(n);
  for (float& v : c) v = float(d.between(-3, 3));
  for (machine const& m : {serial(), emulated()}) {
    const auto opt = make<lion>(m, n, std::vector<float>(n), {.weight_decay = 1});
    for (int t = 1; t <= 4000; ++t) {
      const auto x = opt->x();
      for (std::size_t i = 0; i < n; ++i) g[i] = x[i] - c[i] + 0.1f * float(d.normal());
      opt->lr() = 0.05 / std::sqrt(t);
      opt->step(g);
    }
    const auto x = opt->x();
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_NEAR(x[i], std::clamp(c[i], -1.f, 1.f), 0.1f) << m.name;
      EXPECT_LE(std::abs(x[i]), 1) << m.name;
    }
  }
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(lion, optimizer_suite, the<lion>());
}
