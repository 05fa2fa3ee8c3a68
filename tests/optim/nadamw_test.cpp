// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/nadamw.hpp>

#include <frugal/optim/adamw.hpp>

#include "support/experiments.hpp"
#include "support/optimizer_suite.hpp"

namespace {
using namespace frugal_test;

struct nadamw {
  template <class B, class S, class P, class T>
  using optimizer = frugal::nadamw<B, S, P, T>;
  using config = frugal::nadamw_config;
  static constexpr char const* name = "nadamw";
  static constexpr bool nan_reaches_x = true;
  static std::vector<std::string> states() { return {"m", "v"}; }
  static config from(golden_case const& c) {
    return {c.config("lr"), c.config("beta1"), c.config("beta2"), c.config("eps"), c.config("weight_decay")};
  }
  static config usual() { return {.lr = 0.01, .weight_decay = 0.5}; }
};

TEST(nadamw, defaults) {
  const frugal::nadamw_config c;
  EXPECT_EQ(c.lr, 1e-3);
  EXPECT_EQ(c.beta1, 0.9);
  EXPECT_EQ(c.beta2, 0.999);
  EXPECT_EQ(c.epsilon, 1e-8);
  EXPECT_EQ(c.weight_decay, 1e-2);
}

TEST(nadamw, worked_number) {
  const auto d = make<nadamw, double>(serial(), 1, {1}, {.lr = 0.1, .weight_decay = 0.01});
  d->step({0.5});
  EXPECT_NEAR(d->x()[0], 0.8090000038, 5e-11);
}

// The states are AdamW's; x is AdamW's, had its momentum seen one more gradient of the same kind.
TEST(nadamw, is_adamw_one_look_ahead) {
  const frugal::layout l(1000);
  std::vector<double> x(1000, 1.), y = x;
  frugal::adamw plain(frugal::serial_backend{}, l, {.lr = 0.01}, frugal::types<double>{});
  const auto d = make<nadamw, double>(serial(), l, x, {.lr = 0.01});
  for (std::uint64_t t = 1; t <= 5; ++t) {
    const auto before = d->x();
    x = before;
    plain.step(x, numbers<double>(1000, t));
    d->step(numbers<double>(1000, t));
    const auto s = frugal::save_state(plain);
    const auto m = piece<double>(s, "m"), v = piece<double>(s, "v");
    EXPECT_EQ(m, piece<double>(d->save(), "m"));
    EXPECT_EQ(v, piece<double>(d->save(), "v"));
    const auto g = numbers<double>(1000, t), now = d->x();
    const double c1 = 1 - std::pow(0.9, double(t)), c2 = 1 - std::pow(0.999, double(t));
    for (std::size_t i = 0; i < g.size(); ++i)
      ASSERT_NEAR(now[i] - x[i], -0.01 / c1 * 0.1 * (g[i] - m[i]) / (std::sqrt(v[i] / c2) + 1e-8), 1e-13) << t;
  }
}

TEST(nadamw, without_momentum_it_is_adamw) {
  const frugal::layout l(1000);
  std::vector<float> x = start_of(l);
  frugal::adamw plain(frugal::serial_backend{}, l, {.lr = 0.01, .beta1 = 0});
  const auto d = make<nadamw>(serial(), l, x, {.lr = 0.01, .beta1 = 0});
  for (int t = 1; t <= 5; ++t) {
    plain.step(x, gradient_of(l, t));
    d->step(gradient_of(l, t));
  }
  EXPECT_TRUE(same_bits(x, d->x()));
}

TEST(nadamw, converges_as_the_rate_falls) {
  const auto d = make<nadamw, double>(serial(), 5, {1, -2, 3, 0.5, -0.1}, {.lr = 0.1, .beta2 = 0.99});
  const auto size = on_quadratic(d, {0.1, 1, 3, 10, 100}, 4000, [&](int t) { d->lr() = 0.1 / std::sqrt(t); });
  for (int t : {1000, 2000, 4000}) EXPECT_LT(size[std::size_t(t - 1)], 0.1 / std::sqrt(t)) << t;
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(nadamw, optimizer_suite, the<nadamw>());
}
