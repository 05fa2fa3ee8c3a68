// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adagrad.hpp>

#include "support/experiments.hpp"
#include "support/optimizer_suite.hpp"

namespace {
using namespace frugal_test;

struct adagrad {
  template <class B, class S, class P, class T>
  using optimizer = frugal::adagrad<B, S, P, T>;
  using config = frugal::adagrad_config;
  static constexpr char const* name = "adagrad";
  static constexpr bool nan_reaches_x = true;
  static std::vector<std::string> states() { return {"v"}; }
  static config from(golden_case const& c) { return {c.config("lr"), c.config("eps"), c.config("weight_decay")}; }
  static config usual() { return {.lr = 0.01, .weight_decay = 0.05}; }
};

TEST(adagrad, defaults) {
  const frugal::adagrad_config c;
  EXPECT_EQ(c.lr, 1e-2);
  EXPECT_EQ(c.epsilon, 1e-10);
  EXPECT_EQ(c.weight_decay, 0);
}

// The t-th step under one gradient is lr / sqrt(t), whatever the gradient.
TEST(adagrad, under_a_constant_gradient_steps_fall_as_the_root) {
  const std::vector<double> g{3, -0.01, 1e-4, -50};
  const auto x =
      under_constant_gradient(make<adagrad, double>(serial(), 4, {1, 2, -3, 0}, {.lr = 0.1, .epsilon = 0}), g, 100);
  double sum = 0;
  for (std::size_t t = 0; t < x.size(); ++t) {
    if (t > 0) sum += 1 / std::sqrt(double(t));
    for (std::size_t i = 0; i < 4; ++i) ASSERT_NEAR(x[t][i], x[0][i] - 0.1 * sum * (g[i] > 0 ? 1 : -1), 1e-11) << t;
  }
}

TEST(adagrad, scaling_gradients_and_epsilon_changes_nothing) {
  const frugal::layout l(1000);
  const auto run = [&](float scale) {
    const auto d = make<adagrad>(serial(), l, start_of(l), {.lr = 0.01, .epsilon = 1e-8 * scale});
    for (int t = 1; t <= 5; ++t) {
      auto g = gradient_of(l, t);
      for (float& x : g) x *= scale;
      d->step(g);
    }
    return d->x();
  };
  EXPECT_TRUE(same_bits(run(1), run(1024)));
}

// Regret on linear losses (Theorem 5 of the paper, diagonal case): with |x - x*| <= D, sum g (x - x*) is at most
// (D^2 / (2 lr) + lr) times the sum of the roots of the sums of squares.
TEST(adagrad, regret_is_bounded) {
  const double lr = 1 / std::sqrt(2.);
  const std::size_t n = 8, steps = 2000;
  const auto d = make<adagrad, double>(serial(), n, std::vector<double>(n), {.lr = lr, .epsilon = 0});
  std::vector<double> sum(n), squares(n);
  double paid = 0, reach = 0;
  for (std::size_t t = 1; t <= steps; ++t) {
    const auto x = d->x();
    auto g = numbers<double>(frugal::index_t(n), t);
    for (std::size_t i = 0; i < n; ++i) {
      g[i] *= std::pow(10., double(i) - 4);
      paid += g[i] * x[i];
      sum[i] += g[i];
      squares[i] += g[i] * g[i];
      reach = std::max(reach, std::abs(x[i]));
    }
    d->step(g);
  }
  double best = 0, bound = 0;  // over the box |x| <= 1
  for (std::size_t i = 0; i < n; ++i) {
    best -= std::abs(sum[i]);
    bound += std::sqrt(squares[i]);
  }
  const double farthest = reach + 1;
  EXPECT_LE(paid - best, (farthest * farthest / (2 * lr) + lr) * bound);
  EXPECT_GT(bound, 1);
}

// At a constant rate: the steps fall by themselves.
TEST(adagrad, converges_at_a_constant_rate) {
  const auto d = make<adagrad, double>(serial(), 5, {1, -2, 3, 0.5, -0.1}, {.lr = 1});
  const auto size = on_quadratic(d, {0.1, 1, 3, 10, 100}, 2000, [](int) {});
  EXPECT_LT(size[1999], 1e-6);
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(adagrad, optimizer_suite, the<adagrad>());
}
