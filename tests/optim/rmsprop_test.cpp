// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/rmsprop.hpp>

#include <frugal/optim/adam.hpp>

#include "support/experiments.hpp"
#include "support/optimizer_suite.hpp"

namespace {
using namespace frugal_test;

struct rmsprop {
  template <class B, class S, class P, class T>
  using optimizer = frugal::rmsprop<B, S, P, T>;
  using config = frugal::rmsprop_config;
  static constexpr char const* name = "rmsprop";
  static constexpr bool nan_reaches_x = true;
  static std::vector<std::string> states() { return {"v"}; }
  static config from(golden_case const& c) {
    return {c.config("lr"), c.config("alpha"), c.config("eps"), c.config("weight_decay")};
  }
  static config usual() { return {.lr = 0.01, .weight_decay = 0.05}; }
};

TEST(rmsprop, defaults) {
  const frugal::rmsprop_config c;
  EXPECT_EQ(c.lr, 1e-2);
  EXPECT_EQ(c.alpha, 0.99);
  EXPECT_EQ(c.epsilon, 1e-8);
  EXPECT_EQ(c.weight_decay, 0);
}

TEST(rmsprop, without_memory_it_steps_by_the_sign) {
  const frugal::layout l(1000);
  const auto d = make<rmsprop>(serial(), l, start_of(l), {.lr = 0.01, .alpha = 0, .epsilon = 1e-30});
  for (int t = 1; t <= 5; ++t) {
    auto want = d->x();
    const auto g = gradient_of(l, t);
    d->step(g);
    for (std::size_t i = 0; i < want.size(); ++i) want[i] -= g[i] > 0 ? 0.01f : g[i] < 0 ? -0.01f : 0.f;
    ASSERT_TRUE(same_bits(want, d->x())) << t;
  }
}

// No bias correction: under one gradient the t-th step is lr / sqrt(1 - alpha^t).
TEST(rmsprop, under_a_constant_gradient) {
  const std::vector<double> g{3, -0.01, 1e-4, -50};
  const auto x = under_constant_gradient(
      make<rmsprop, double>(serial(), 4, {1, 2, -3, 0}, {.lr = 0.1, .alpha = 0.9, .epsilon = 0}), g, 100);
  double sum = 0;
  for (std::size_t t = 0; t < x.size(); ++t) {
    if (t > 0) sum += 1 / std::sqrt(1 - std::pow(0.9, double(t)));
    for (std::size_t i = 0; i < 4; ++i) ASSERT_NEAR(x[t][i], x[0][i] - 0.1 * sum * (g[i] > 0 ? 1 : -1), 1e-11) << t;
  }
}

// It is Adam without momentum and without bias correction, which a rate undoes.
TEST(rmsprop, is_adam_without_momentum_and_correction) {
  const auto x0 = numbers<double>(100, 9);
  auto y = x0;
  frugal::adam adam(frugal::serial_backend{}, 100, {.beta1 = 0, .beta2 = 0.99, .epsilon = 0}, frugal::types<double>{});
  const auto d = make<rmsprop, double>(serial(), 100, x0, {.lr = 0.01, .epsilon = 0});
  for (std::uint64_t t = 1; t <= 10; ++t) {
    const auto g = numbers<double>(100, t);
    adam.config().lr = 0.01 / std::sqrt(1 - std::pow(0.99, double(t)));
    adam.step(y, g);
    d->step(g);
  }
  for (std::size_t i = 0; i < 100; ++i) ASSERT_NEAR(d->x()[i], y[i], 1e-12);
}

TEST(rmsprop, converges_as_the_rate_falls) {
  const auto d = make<rmsprop, double>(serial(), 5, {1, -2, 3, 0.5, -0.1}, {.lr = 0.1});
  const auto size = on_quadratic(d, {0.1, 1, 3, 10, 100}, 4000, [&](int t) { d->lr() = 0.1 / std::sqrt(t); });
  for (int t : {1000, 2000, 4000}) EXPECT_LT(size[std::size_t(t - 1)], 0.1 / std::sqrt(t)) << t;
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(rmsprop, optimizer_suite, the<rmsprop>());
}
