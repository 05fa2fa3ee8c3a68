// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/momentum.hpp>

#include "support/experiments.hpp"
#include "support/optimizer_suite.hpp"

namespace {
using namespace frugal_test;

struct momentum {
  template <class B, class S, class P, class T>
  using optimizer = frugal::momentum<B, S, P, T>;
  using config = frugal::momentum_config;
  static constexpr char const* name = "momentum";
  static constexpr bool nan_reaches_x = true;
  static std::vector<std::string> states() { return {"m"}; }
  static config from(golden_case const& c) {
    return {c.config("lr"), c.config("mu"), c.config("weight_decay"), c.config("nesterov") != 0};
  }
  static config usual() { return {.lr = 0.01, .weight_decay = 0.05, .nesterov = true}; }
};

TEST(momentum, defaults) {
  const frugal::momentum_config c;
  EXPECT_EQ(c.lr, 1e-2);
  EXPECT_EQ(c.momentum, 0.9);
  EXPECT_EQ(c.weight_decay, 0);
  EXPECT_FALSE(c.nesterov);
}

TEST(momentum, without_memory_it_is_gradient_descent) {
  const frugal::layout l(1000);
  const auto d = make<momentum>(serial(), l, start_of(l), {.lr = 0.25, .momentum = 0});
  auto want = start_of(l);
  for (int t = 1; t <= 5; ++t) {
    const auto g = gradient_of(l, t);
    d->step(g);
    for (std::size_t i = 0; i < want.size(); ++i) want[i] -= 0.25f * g[i];
    ASSERT_TRUE(same_bits(want, d->x())) << t;
  }
}

TEST(momentum, under_a_constant_gradient) {
  const std::vector<double> g{3, -0.01};
  const double lr = 0.1, mu = 0.8;
  const auto x =
      under_constant_gradient(make<momentum, double>(serial(), 2, {1, 2}, {.lr = lr, .momentum = mu}), g, 50);
  double sum = 0;  // of the momenta, in units of g
  for (std::size_t t = 0; t < x.size(); ++t) {
    sum += (1 - std::pow(mu, double(t))) / (1 - mu);
    for (std::size_t i = 0; i < 2; ++i) ASSERT_NEAR(x[t][i], x[0][i] - lr * sum * g[i], 1e-11) << t;
  }
}

// With the same gradients, Nesterov's x is the heavy ball's, one look ahead: less lr mu m.
TEST(momentum, nesterov_looks_ahead) {
  const std::vector<double> x0{1, -2, 3};
  const double lr = 0.05, mu = 0.9;
  const auto ball = make<momentum, double>(serial(), 3, x0, {.lr = lr, .momentum = mu});
  const auto nesterov = make<momentum, double>(serial(), 3, x0, {.lr = lr, .momentum = mu, .nesterov = true});
  for (std::uint64_t t = 1; t <= 30; ++t) {
    const auto g = numbers<double>(3, t);
    ball->step(g);
    nesterov->step(g);
    const auto m = piece<double>(ball->save(), "m");
    EXPECT_EQ(m, piece<double>(nesterov->save(), "m"));
    for (std::size_t i = 0; i < 3; ++i) ASSERT_NEAR(nesterov->x()[i], ball->x()[i] - lr * mu * m[i], 1e-11) << t;
  }
}

// The rate of a long run: error(last) = error(first) rate^(last - first).
double rate_of(frugal::momentum_config const& c, std::vector<double> const& h) {
  const auto d = make<momentum, double>(serial(), h.size(), std::vector<double>(h.size(), 1), c);
  const auto size = on_quadratic(d, h, 1200, [](int) {});
  return std::pow(size[1199] / size[599], 1. / 600);
}

// Polyak's parameters for curvatures between 1 and 100: both ends shrink by (sqrt(100) - 1) / (sqrt(100) + 1) a step.
TEST(momentum, heavy_ball_converges_at_its_rate) {
  const double rate = 9. / 11;
  EXPECT_NEAR(rate_of({.lr = 4. / (11 * 11), .momentum = rate * rate}, {1, 5, 30, 100}), rate, 0.005);
}

// Nesterov's parameters for the same: 1 - 1 / sqrt(100).
TEST(momentum, nesterov_converges_at_its_rate) {
  EXPECT_NEAR(rate_of({.lr = 1. / 100, .momentum = 9. / 11, .nesterov = true}, {1, 5, 30, 100}), 0.9, 0.005);
}

// Coupled decay is a curvature more, and moves the minimum.
TEST(momentum, decay_is_coupled) {
  const double rate = 9. / 11;
  EXPECT_NEAR(rate_of({.lr = 4. / (11 * 11), .momentum = rate * rate, .weight_decay = 0.9}, {0.1, 4.1, 99.1}), rate,
              0.005);
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(momentum, optimizer_suite, the<momentum>());
}
