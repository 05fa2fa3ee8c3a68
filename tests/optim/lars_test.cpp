// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/lars.hpp>

#include <frugal/optim/momentum.hpp>

#include "support/experiments.hpp"
#include "support/optimizer_suite.hpp"

namespace {
using namespace frugal_test;

struct lars {
  template <class B, class S, class P, class T>
  using optimizer = frugal::lars<B, S, P, T>;
  using config = frugal::lars_config;
  static constexpr char const* name = "lars";
  static constexpr bool nan_reaches_x = true;
  static constexpr reach moves = reach::its_tensor;
  static std::vector<std::string> states() { return {"m"}; }
  static config from(golden_case const& c) {
    return {c.config("lr"),    c.config("mu"),  c.config("weight_decay"),
            c.config("trust"), c.config("eps"), c.config("max_unorm")};
  }
  static config usual() { return {.lr = 0.5, .weight_decay = 0.05, .trust = 0.02}; }
};

TEST(lars, defaults) {
  const frugal::lars_config c;
  EXPECT_EQ(c.lr, 1);
  EXPECT_EQ(c.momentum, 0.9);
  EXPECT_EQ(c.weight_decay, 0);
  EXPECT_EQ(c.trust, 1e-3);
  EXPECT_EQ(c.epsilon, 1e-8);
  EXPECT_EQ(c.max_unorm, 0);
  for (double wrong : {-1., double(NAN)})
    EXPECT_THROW(make<lars>(serial(), 3, {1, 2, 3}, {.max_unorm = wrong}), frugal::invalid_argument);
}

// The norm of the part of v that is a tensor.
double norm_of(std::vector<double> const& v, frugal::tensor const& t) {
  double sum = 0;
  for (frugal::index_t i = t.offset; i < t.offset + t.size; ++i) sum += v[std::size_t(i)] * v[std::size_t(i)];
  return std::sqrt(sum);
}
frugal::layout tensors() { return {{"w", {300, 70}}, {"scalar", {}}, {"none", {0}}, {"v", {5000}}}; }

// Without momentum and decay every tensor moves by the share lr trust of its norm, along its gradient.
TEST(lars, a_tensor_moves_by_a_share_of_its_norm) {
  const frugal::layout l = tensors();
  const auto d = make<lars, double>(serial(), l, numbers<double>(l.size(), 99),
                                    {.lr = 2, .momentum = 0, .trust = 0.01, .epsilon = 0});
  for (std::uint64_t t = 1; t <= 5; ++t) {
    const auto before = d->x(), g = numbers<double>(l.size(), t);
    d->step(g);
    const auto now = d->x();
    for (frugal::tensor const& one : l.tensors()) {
      const double rate = 0.02 * norm_of(before, one) / norm_of(g, one);
      for (std::size_t i = std::size_t(one.offset); i < std::size_t(one.offset + one.size); ++i)
        ASSERT_NEAR(now[i], before[i] - rate * g[i], 1e-12) << one.name;
    }
  }
}

// With a cap a tensor moves by momentum's step, or less where that is more than the share of its norm; the momentum
// itself is not cut.
TEST(lars, a_cap_only_shortens) {
  const frugal::layout l{{"short", {300}}, {"long", {300}}};
  auto x = numbers<double>(600, 99);
  for (std::size_t i = 0; i < 300; ++i) x[i] *= 1e-3;
  const auto d = make<lars, double>(serial(), l, x, {.lr = 0.01, .weight_decay = 0.1, .max_unorm = 2});
  std::vector<double> m(600);
  for (std::uint64_t t = 1; t <= 3; ++t) {
    const auto before = d->x(), g = numbers<double>(600, t);
    for (std::size_t i = 0; i < 600; ++i) m[i] = 0.9 * m[i] + 0.01 * (g[i] + 0.1 * before[i]);
    d->step(g);
    const auto now = d->x();
    for (frugal::tensor const& one : l.tensors()) {
      const double scale = std::min(1., 0.02 * norm_of(before, one) / norm_of(m, one));
      EXPECT_EQ(scale < 1, one.name == "short");
      for (auto i = std::size_t(one.offset); i < std::size_t(one.offset + one.size); ++i)
        ASSERT_NEAR(now[i], before[i] - scale * m[i], 1e-12) << one.name;
    }
  }
}

// The cap reads states, in whatever they are stored: the bits are equal on all machines, and without one those of
// heavy ball.
TEST(lars, a_cap_on_every_machine) {
  const frugal::layout l = tensors();
  for (stored s : {stored::full, stored::in_8_bits})
    for (machine const& m : machines()) {
      const auto run = [&](machine const& on, double cap) {
        const auto d = make<lars>(on, l, start_of(l), {.lr = 0.1, .max_unorm = cap}, s);
        for (int t = 1; t <= 3; ++t) d->step(gradient_of(l, t));
        return d->x();
      };
      EXPECT_TRUE(same_bits(run(serial(), 0.01), run(m, 0.01))) << m.name;
    }
  const auto eighth = make<lars>(serial(), l, start_of(l), {.lr = 0.1, .max_unorm = 0.01}, stored::in_8_bits);
  const auto wide = [](std::vector<float> const& v) { return std::vector<double>(v.begin(), v.end()); };
  for (int t = 1; t <= 3; ++t) {
    const auto before = wide(eighth->x());
    eighth->step(gradient_of(l, t));
    auto moved = wide(eighth->x());
    for (std::size_t i = 0; i < moved.size(); ++i) moved[i] -= before[i];
    for (frugal::tensor const& one : l.tensors())
      EXPECT_NEAR(norm_of(moved, one), 0.001 * norm_of(before, one), 1e-6 * norm_of(before, one)) << one.name;
  }
  auto x = start_of(l);
  frugal::momentum ball(frugal::serial_backend{}, l, {.lr = 0.25});
  const auto d = make<lars>(serial(), l, x, {.lr = 0.25, .max_unorm = 1e30});
  ball.step(x, gradient_of(l, 1));
  d->step(gradient_of(l, 1));
  EXPECT_TRUE(same_bits(x, d->x()));
}

// Gradients of any scale: without epsilon the bits are the same.
TEST(lars, the_scale_of_gradients_does_not_matter) {
  const frugal::layout l = tensors();
  const auto run = [&](float scale) {
    const auto d = make<lars>(serial(), l, start_of(l), {.lr = 0.5, .trust = 0.02, .epsilon = 0});
    for (int t = 1; t <= 3; ++t) {
      auto g = gradient_of(l, t);
      for (float& v : g) v *= scale;
      d->step(g);
    }
    return d->x();
  };
  EXPECT_TRUE(same_bits(run(1), run(1024)));
}

// Where |x| is 0 the ratio is 1: heavy ball. Where all is 0 nothing moves, epsilon or not.
TEST(lars, norms_of_zero) {
  const frugal::layout l(5000);
  std::vector<float> x(5000);
  frugal::momentum ball(frugal::serial_backend{}, l, {.lr = 0.25});
  const auto d = make<lars>(serial(), l, x, {.lr = 0.25});
  ball.step(x, gradient_of(l, 1));
  d->step(gradient_of(l, 1));
  EXPECT_TRUE(same_bits(x, d->x()));
  const auto still = make<lars>(serial(), l, start_of(l), {.epsilon = 0});
  still->step(std::vector<float>(5000));
  EXPECT_TRUE(same_bits(start_of(l), still->x()));
}

TEST(lars, a_nan_reaches_its_tensor) {
  const frugal::layout l{{"a", {300}}, {"b", {5000}}};
  on_cpu_and_device([&](machine const& m, stored s) {
    const auto d = make<lars>(m, l, start_of(l), {}, s);
    auto g = gradient_of(l, 1);
    g[7] = NAN;
    d->step(g);
    const auto x = d->x();
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(std::isnan(x[i]), i < 300) << i;
  });
}

// x shrinks with its norm as the rate, and along the gradient: on h x^2 / 2 in one dimension, by 1 - lr trust a step.
TEST(lars, converges_at_its_rate) {
  const auto d = make<lars, double>(serial(), 1, {3}, {.lr = 1, .momentum = 0, .trust = 0.1, .epsilon = 0});
  const auto size = on_quadratic(d, {7}, 100, [](int) {});
  for (std::size_t t = 0; t < 100; ++t) ASSERT_NEAR(size[t], 3 * std::pow(0.9, double(t + 1)), 1e-12);
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(lars, optimizer_suite, the<lars>());
}
