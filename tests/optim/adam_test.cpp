// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adam.hpp>

#include "support/experiments.hpp"
#include "support/optimizer_suite.hpp"

namespace {
using namespace frugal_test;

struct adam {
  template <class B, class S, class P, class T>
  using optimizer = frugal::adam<B, S, P, T>;
  using config = frugal::adam_config;
  static constexpr char const* name = "adam";
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
  static config usual() { return {.lr = 0.01, .weight_decay = 0.05}; }
};

TEST(adam, defaults_are_the_paper_s) {
  const frugal::adam_config c;
  EXPECT_EQ(c.lr, 1e-3);
  EXPECT_EQ(c.beta1, 0.9);
  EXPECT_EQ(c.beta2, 0.999);
  EXPECT_EQ(c.epsilon, 1e-8);
  EXPECT_EQ(c.weight_decay, 0);
  EXPECT_EQ(c.start, frugal::moment_start::zero);
}

TEST(adam, without_memory_it_steps_by_the_sign) {
  const frugal::layout l(1000);
  const auto d = make<adam>(serial(), l, start_of(l), {.lr = 0.01, .beta1 = 0, .beta2 = 0, .epsilon = 1e-30});
  for (int t = 1; t <= 5; ++t) {
    const auto before = d->x(), g = gradient_of(l, t);
    d->step(g);
    auto want = before;
    for (std::size_t i = 0; i < want.size(); ++i) want[i] -= g[i] > 0 ? 0.01f : g[i] < 0 ? -0.01f : 0.f;
    ASSERT_TRUE(same_bits(want, d->x())) << t;
  }
}

// The means begin at the first gradient, whatever the storage; a step that is skipped is not the first, and a saved
// state is past it.
TEST(adam, moments_from_the_first_gradient) {
  const frugal::layout l(5000);
  const frugal::adam_config c{.lr = 0.01, .epsilon = 0, .start = frugal::moment_start::first_gradient};
  on_cpu_and_device([&](machine const& m, stored s) {
    const auto d = make<adam>(m, l, start_of(l), c, s),
               zero = make<adam>(m, l, start_of(l), {.lr = 0.01, .epsilon = 0}, s);
    auto g = gradient_of(l, 1);
    for (float& v : g) v = v == 0 ? 1 : v;
    d->set({.found_inf = 1.f});
    d->step(g);
    d->set({});
    d->step(g);
    const auto x = d->x();
    for (std::size_t i = 0; i < x.size(); ++i)
      ASSERT_NEAR(x[i], start_of(l)[i] - std::copysign(0.00316227766f, g[i]), 1e-6f * (1 + std::abs(x[i]))) << i;
    // From here on the rule is that of means that began at zero.
    zero->step(g);
    zero->restore(d->save());
    zero->set_x(x);
    d->step(g);
    zero->step(g);
    EXPECT_TRUE(same_bits(d->x(), zero->x()));
  });
}

TEST(adam, scaling_gradients_and_epsilon_changes_nothing) {
  const frugal::layout l(1000);
  const auto run = [&](float scale) {
    const auto d = make<adam>(serial(), l, start_of(l), {.lr = 0.01, .epsilon = 1e-8 * scale});
    for (int t = 1; t <= 5; ++t) {
      auto g = gradient_of(l, t);
      for (float& x : g) x *= scale;
      d->step(g);
    }
    return d->x();
  };
  EXPECT_TRUE(same_bits(run(1), run(1024)));
}

TEST(adam, under_a_constant_gradient_every_step_is_the_rate) {
  const std::vector<double> g{3, -0.01, 1e-4, -50};
  const auto x =
      under_constant_gradient(make<adam, double>(serial(), 4, {1, 2, -3, 0}, {.lr = 0.1, .epsilon = 0}), g, 100);
  for (std::size_t t = 0; t < x.size(); ++t)
    for (std::size_t i = 0; i < 4; ++i)
      ASSERT_NEAR(x[t][i], x[0][i] - 0.1 * double(t) * (g[i] > 0 ? 1 : -1), 1e-11) << t;
}

TEST(adam, converges_as_the_rate_falls) {
  const auto d = make<adam, double>(serial(), 5, {1, -2, 3, 0.5, -0.1}, {.lr = 0.1, .beta2 = 0.99});
  const auto size = on_quadratic(d, {0.1, 1, 3, 10, 100}, 4000, [&](int t) { d->lr() = 0.1 / std::sqrt(t); });
  for (int t : {1000, 2000, 4000}) EXPECT_LT(size[std::size_t(t - 1)], 0.1 / std::sqrt(t)) << t;
}

// Least squares with columns of very different scales, in batches: 8-bit states must reach what full states reach.
TEST(adam, least_squares_with_8_bit_states) {
  constexpr std::size_t rows = 2048, columns = 4096, batch = 64, steps = 400;
  dice d(3);
  std::vector<float> a(rows * columns), y(rows), scale(columns), truth(columns);
  for (std::size_t j = 0; j < columns; ++j) {
    scale[j] = j % 512 == 100 ? 30.f : float(std::exp(d.normal()));
    truth[j] = float(d.normal()) / scale[j] / 64;
  }
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      a[i * columns + j] = float(d.between(-1.7, 1.7)) * scale[j];
      y[i] += a[i * columns + j] * truth[j];
    }
    y[i] += 0.3f * float(d.normal());
  }
  const auto residual = [&](std::vector<float> const& x, std::size_t i) {
    float sum[8] = {};
    for (std::size_t j = 0; j < columns; ++j) sum[j % 8] += a[i * columns + j] * x[j];
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7] - y[i];
  };
  const auto loss = [&](std::vector<float> const& x) {
    double sum = 0;
    for (std::size_t i = 0; i < rows; ++i) sum += 0.5 * residual(x, i) * residual(x, i) / double(rows);
    return sum;
  };
  const auto train = [&](stored storage) {
    const auto opt = make<adam>(serial(), columns, std::vector<float>(columns), {.beta2 = 0.99}, storage);
    std::vector<float> g(columns);
    for (std::size_t t = 0; t < steps; ++t) {
      const auto x = opt->x();
      std::fill(g.begin(), g.end(), 0.f);
      for (std::size_t k = 0; k < batch; ++k) {
        const std::size_t i = (t * batch + k) % rows;
        const float r = residual(x, i) / batch;
        for (std::size_t j = 0; j < columns; ++j) g[j] += r * a[i * columns + j];
      }
      opt->lr() = 0.02 * (1 - double(t) / steps);
      opt->step(g);
    }
    return loss(opt->x());
  };
  const double start = loss(std::vector<float>(columns)), full = train(stored::full),
               coded = train(stored::large_in_8_bits);
  EXPECT_LT(full, start / 10);
  EXPECT_NEAR(coded, full, 0.15 * full);
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(adam, optimizer_suite, the<adam>());
}
