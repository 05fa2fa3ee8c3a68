// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/lamb.hpp>

#include "support/experiments.hpp"
#include "support/optimizer_suite.hpp"

namespace {
using namespace frugal_test;

struct lamb {
  template <class B, class S, class P, class T>
  using optimizer = frugal::lamb<B, S, P, T>;
  using config = frugal::lamb_config;
  static constexpr char const* name = "lamb";
  static constexpr bool nan_reaches_x = true;
  static constexpr reach moves = reach::its_tensor;
  static std::vector<std::string> states() { return {"m", "v"}; }
  static config from(golden_case const& c) {
    return {c.config("lr"),  c.config("beta1"),        c.config("beta2"),
            c.config("eps"), c.config("weight_decay"), c.config("max_unorm")};
  }
  static config usual() { return {.lr = 0.01, .weight_decay = 0.5}; }
};

TEST(lamb, defaults) {
  const frugal::lamb_config c;
  EXPECT_EQ(c.lr, 1e-3);
  EXPECT_EQ(c.beta1, 0.9);
  EXPECT_EQ(c.beta2, 0.999);
  EXPECT_EQ(c.epsilon, 1e-6);
  EXPECT_EQ(c.weight_decay, 1e-2);
  EXPECT_EQ(c.max_unorm, 0);
}

// The norm of the part of v that is a tensor.
double norm_of(std::vector<double> const& v, frugal::tensor const& t) {
  double sum = 0;
  for (frugal::index_t i = t.offset; i < t.offset + t.size; ++i) sum += v[std::size_t(i)] * v[std::size_t(i)];
  return std::sqrt(sum);
}
frugal::layout tensors() { return {{"w", {300, 70}}, {"scalar", {}}, {"none", {0}}, {"v", {5000}}}; }

TEST(lamb, worked_number) {
  const auto d = make<lamb, double>(serial(), 2, {3, 4}, {.lr = 0.1, .epsilon = 1e-8, .weight_decay = 0.01});
  d->step({1, -2});
  EXPECT_NEAR(d->x()[0], 2.6342362763, 5e-11);
  EXPECT_NEAR(d->x()[1], 4.3409059965, 5e-11);
}

// Every tensor moves by the share lr of its norm, in the direction of Adam's step and the decay.
TEST(lamb, a_tensor_moves_by_a_share_of_its_norm) {
  const frugal::layout l = tensors();
  const auto d = make<lamb, double>(serial(), l, numbers<double>(l.size(), 99), {.lr = 0.02, .weight_decay = 0.3});
  for (std::uint64_t t = 1; t <= 5; ++t) {
    const auto before = d->x();
    d->step(numbers<double>(l.size(), t));
    auto moved = d->x();
    for (std::size_t i = 0; i < moved.size(); ++i) moved[i] -= before[i];
    for (frugal::tensor const& one : l.tensors()) {
      const double norm = norm_of(before, one);
      EXPECT_NEAR(norm_of(moved, one), 0.02 * norm, 1e-12 * norm) << one.name;
    }
  }
}

// With a cap a tensor moves by Adam's step, or less where that is more than the share of its norm.
TEST(lamb, a_cap_only_shortens) {
  const frugal::layout l{{"short", {300}}, {"long", {300}}};
  auto x = numbers<double>(600, 99);
  for (std::size_t i = 0; i < 300; ++i) x[i] *= 1e-3;
  const auto moved = [&](double cap) {
    const auto d = make<lamb, double>(serial(), l, x, {.lr = 0.01, .weight_decay = 0, .max_unorm = cap});
    d->step(numbers<double>(600, 1));
    auto by = d->x();
    for (std::size_t i = 0; i < by.size(); ++i) by[i] -= x[i];
    return by;
  };
  const auto half = moved(0.5), free = moved(1e30), ratio = moved(0);
  const auto &first = l.tensors()[0], &second = l.tensors()[1];
  EXPECT_NEAR(norm_of(half, first), 0.01 * 0.5 * norm_of(x, first), 1e-12);
  EXPECT_NEAR(norm_of(ratio, first), 0.01 * norm_of(x, first), 1e-12);
  EXPECT_GT(norm_of(free, first), 100 * norm_of(half, first));
  EXPECT_NEAR(norm_of(half, second),
              std::min(1., 0.5 * norm_of(x, second) / (norm_of(free, second) / 0.01)) * norm_of(free, second), 1e-12);
}

// Gradients of any scale, parameters of any scale: the trajectory is the same, or as many times as large.
TEST(lamb, scales) {
  const frugal::layout l = tensors();
  const auto run = [&](float of_x, float of_g) {
    auto x = start_of(l);
    for (float& v : x) v *= of_x;
    const auto d = make<lamb>(serial(), l, x, {.lr = 0.02, .epsilon = 0, .weight_decay = 0});
    for (int t = 1; t <= 3; ++t) {
      auto g = gradient_of(l, t);
      for (float& v : g) v = (v == 0 ? 1 : v) * of_g;  // 0 / 0 where a gradient stays zero
      d->step(g);
    }
    return d->x();
  };
  const auto plain = run(1, 1);
  EXPECT_TRUE(same_bits(plain, run(1, 1024)));
  auto large = run(8, 1);
  for (float& v : large) v /= 8;
  EXPECT_TRUE(same_bits(plain, large));
}

// Where a tensor is zero, or its step, the ratio is 1: Adam's first step.
TEST(lamb, norms_of_zero) {
  const auto d = make<lamb, double>(serial(), 5000, std::vector<double>(5000), {.lr = 0.01, .weight_decay = 0.5});
  const auto g = numbers<double>(5000, 1);
  d->step(g);
  const auto x = d->x();
  for (std::size_t i = 0; i < g.size(); ++i) ASSERT_NEAR(x[i], -0.01 * g[i] / (std::abs(g[i]) + 1e-6), 1e-14);
  const frugal::layout l(5000);
  const auto still = make<lamb>(serial(), l, start_of(l), {.weight_decay = 0});
  still->step(std::vector<float>(5000));
  EXPECT_TRUE(same_bits(start_of(l), still->x()));
}

// Supports: the norms are those of what is owned.
TEST(lamb, a_shard_has_the_norms_of_its_part) {
  const frugal::layout l(5000), part(3000);
  const auto x = start_of(l), g = gradient_of(l, 1);
  const auto cut = [](std::vector<float> const& v) { return std::vector<float>(v.begin() + 1000, v.begin() + 4000); };
  std::vector<float> alone = cut(x);
  frugal::lamb(frugal::serial_backend{}, part, {}).step(alone, cut(g));
  const auto check = [&](auto opt) {
    std::vector<float> now = x;
    opt.step(now, g);
    EXPECT_TRUE(same_bits(alone, cut(now)));
    EXPECT_EQ(now[999], x[999]);
    EXPECT_EQ(now[4000], x[4000]);
  };
  std::vector<frugal::index_t> at;
  for (frugal::index_t i = 1000; i < 4000; ++i) at.push_back(i);
  check(frugal::lamb(frugal::serial_backend{}, l, {}, frugal::range{1000, 4000}));
  check(frugal::lamb(frugal::serial_backend{}, l, {}, frugal::indices{at}));
}

// A NaN reaches its tensor, and no other; steps that are skipped measure nothing.
TEST(lamb, a_nan_reaches_its_tensor) {
  const frugal::layout l{{"a", {300}}, {"b", {5000}}};
  on_cpu_and_device([&](machine const& m, stored s) {
    const auto d = make<lamb>(m, l, start_of(l), {}, s);
    auto g = gradient_of(l, 1);
    g[7] = NAN;
    d->set({.skip_nonfinite = true});
    d->step(g);
    EXPECT_TRUE(same_bits(start_of(l), d->x()));
    d->set({});
    d->step(g);
    const auto x = d->x();
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(std::isnan(x[i]), i < 300) << i;
  });
}

TEST(lamb, converges_as_the_rate_falls) {
  const auto d = make<lamb, double>(serial(), 5, {1, -2, 3, 0.5, -0.1}, {.lr = 0.1, .beta2 = 0.99, .weight_decay = 0});
  const auto size = on_quadratic(d, {0.1, 1, 3, 10, 100}, 4000, [&](int t) { d->lr() = 0.1 / std::sqrt(t); });
  for (int t : {1000, 2000, 4000}) EXPECT_LT(size[std::size_t(t - 1)], 0.5 / std::sqrt(t)) << t;
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(lamb, optimizer_suite, the<lamb>());
}
