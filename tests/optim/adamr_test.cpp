// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adamr.hpp>

#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adam.hpp>

#include "support/experiments.hpp"
#include "support/optimizer_suite.hpp"

namespace {
using namespace frugal_test;

struct adamr {
  template <class B, class S, class P, class T>
  using optimizer = frugal::adamr<B, S, P, T>;
  using config = frugal::adamr_config;
  static constexpr char const* name = "adamr";
  static constexpr bool nan_reaches_x = true;
  static constexpr reach moves = reach::the_model;
  static constexpr bool anchored = true;
  static std::vector<std::string> states() { return {"m", "v"}; }
  static config from(golden_case const& c) {
    return {c.config("lr"),           c.config("beta1"),   c.config("beta2"),     c.config("eps"),
            c.config("weight_decay"), c.config("l1") != 0, c.config("clamp") != 0};
  }
  static config usual() { return {.lr = 0.01, .weight_decay = 0.5}; }
};

TEST(adamr, defaults) {
  const frugal::adamr_config c;
  EXPECT_EQ(c.lr, 1e-3);
  EXPECT_EQ(c.beta1, 0.9);
  EXPECT_EQ(c.beta2, 0.999);
  EXPECT_EQ(c.epsilon, 1e-8);
  EXPECT_EQ(c.weight_decay, 1e-4);
  EXPECT_EQ(c.l1, false);
  EXPECT_EQ(c.clamp, false);
}

using frugal::serial_backend;
const frugal::types<double> doubles{};

TEST(adamr, worked_number) {
  frugal::adamr opt(serial_backend{}, frugal::layout{{"a", {2}}, {"b", {1}}}, {.lr = 0.1, .weight_decay = 0.2},
                    doubles);
  std::vector<double> x{1, 2, 3};
  opt.anchor(std::vector<double>{0.5, 2.5, 2});
  opt.step(x, std::vector<double>{0.3, -0.4, 1.2});
  EXPECT_NEAR(x[0], 0.8866765356, 5e-11);
  EXPECT_NEAR(x[1], 2.1133234653, 5e-11);
  EXPECT_NEAR(x[2], 2.8733530653, 5e-11);
}

TEST(adamr, without_decay_it_is_adam) {
  const frugal::layout l(1000);
  std::vector<float> x = start_of(l);
  frugal::adam plain(serial_backend{}, l, {.lr = 0.01});
  const auto d = make<adamr>(serial(), l, x, {.lr = 0.01, .weight_decay = 0});
  for (int t = 1; t <= 5; ++t) {
    plain.step(x, gradient_of(l, t));
    d->step(gradient_of(l, t));
  }
  EXPECT_TRUE(same_bits(x, d->x()));
}

// Without gradients s is 1, and what is left is the pull.
TEST(adamr, without_gradients_the_distance_shrinks) {
  for (bool l1 : {false, true}) {
    frugal::adamr opt(serial_backend{}, 2, {.lr = 0.5, .weight_decay = 0.25, .l1 = l1}, doubles);
    std::vector<double> x{3, -4}, zero(2);
    opt.anchor(std::vector<double>{1, 1});
    for (int t = 1; t <= 3; ++t) opt.step(x, zero);
    EXPECT_DOUBLE_EQ(x[0], l1 ? 3 - 0.375 : 1 + 2 * std::pow(0.875, 3));
    EXPECT_DOUBLE_EQ(x[1], l1 ? -4 + 0.375 : 1 - 5 * std::pow(0.875, 3));
  }
}

// s is of the model: x and the anchor moved alike, or another cut into tensors, change nothing.
TEST(adamr, shifts_and_cuts) {
  const frugal::layout l(1000), cut{{"a", {300}}, {"b", {200, 3}}, {"c", {100}}};
  const auto run = [&](frugal::layout const& layout, double shift) {
    auto x = numbers<double>(1000, 99);
    for (double& v : x) v += shift;
    const auto d = make<adamr, double>(serial(), layout, x, {.lr = 0.01, .weight_decay = 3});
    for (std::uint64_t t = 1; t <= 5; ++t) d->step(numbers<double>(1000, t));
    return d->x();
  };
  const auto plain = run(l, 0), moved = run(l, 4), pieces = run(cut, 0);
  for (std::size_t i = 0; i < 1000; ++i) {
    ASSERT_NEAR(plain[i] + 4, moved[i], 1e-13);
    ASSERT_NEAR(plain[i], pieces[i], 1e-14);
  }
}

// The anchor is where the parameters were at the first step, or what was given; it is a part of the state.
TEST(adamr, the_anchor) {
  const frugal::layout l{{"a", {40, 10}}, {"b", {5000}}};
  const auto on = [&](auto cpu) {
    const auto run = [&](bool given, bool list, bool resumed) {
      frugal::adamr opt(cpu, l, {.lr = 0.01, .weight_decay = 100}, frugal::blockwise8{});
      there<float, decltype(cpu)> x(cpu, start_of(l)), g(cpu, start_of(l));
      const auto constant = x.constant();
      if (given && !list) opt.anchor(constant);
      using view = decltype(x.constant());
      if (list) opt.anchor(std::vector<view>{view(constant.data(), 400), view(constant.data() + 400, 5000)});
      if (given) x.set(numbers(l.size(), 98));
      for (int t = 1; t <= 2; ++t) {
        g.set(gradient_of(l, t));
        opt.step(x.all(), g.constant());
      }
      if (resumed) {
        frugal::adamr again(cpu, l, {.lr = 0.01, .weight_decay = 100}, frugal::blockwise8{});
        frugal::restore_state(again, frugal::save_state(opt));
        again.step(x.all(), g.constant());
      } else {
        opt.step(x.all(), g.constant());
      }
      return x.get();
    };
    const auto plain = run(false, false, false), given = run(true, false, false);
    EXPECT_TRUE(same_bits(plain, run(false, false, true)));
    EXPECT_TRUE(same_bits(given, run(true, false, true)));
    EXPECT_TRUE(same_bits(given, run(true, true, false)));
    EXPECT_FALSE(same_bits(plain, given));
    return given;
  };
  const auto host = on(serial_backend{});
  EXPECT_TRUE(same_bits(host, on(frugal::emulated_backend({.seed = 1, .lanes = 5}))));
}

// A fresh state that is restored asks for the anchor again.
TEST(adamr, a_fresh_state_has_no_anchor) {
  frugal::adamr opt(serial_backend{}, 300, {.lr = 0.01, .weight_decay = 100}),
      other(serial_backend{}, 300, {.lr = 0.01, .weight_decay = 100});
  const auto fresh = frugal::save_state(opt);
  auto x = start_of(300), y = numbers(300, 5);
  opt.step(y, gradient_of(300, 1));
  frugal::restore_state(opt, fresh);
  y = x;
  for (int t = 1; t <= 3; ++t) {
    opt.step(y, gradient_of(300, t));
    other.step(x, gradient_of(300, t));
  }
  EXPECT_TRUE(same_bits(x, y));
}

TEST(adamr, a_wrong_anchor_is_refused) {
  frugal::adamr opt(serial_backend{}, 300);
  EXPECT_THROW(opt.anchor(std::vector<float>(299)), frugal::invalid_argument);
  EXPECT_THROW(opt.anchor(frugal::view<float const>(nullptr, 300)), frugal::invalid_argument);
  auto x = start_of(300), y = x;
  opt.step(x, gradient_of(300, 1));
  frugal::adamr(serial_backend{}, 300).step(y, gradient_of(300, 1));
  EXPECT_TRUE(same_bits(x, y));
}

// Only what is owned counts.
TEST(adamr, s_is_of_what_is_owned) {
  const frugal::layout l(5000);
  std::vector<std::uint8_t> on(5000);
  std::vector<frugal::index_t> at;
  for (std::size_t i = 0; i < 5000; i += 3) {
    on[i] = 1;
    at.push_back(frugal::index_t(i));
  }
  const auto run = [&](auto... support) {
    frugal::adamr opt(serial_backend{}, l, {.lr = 0.01, .weight_decay = 10}, doubles, support...);
    auto x = numbers<double>(5000, 99);
    for (std::uint64_t t = 1; t <= 3; ++t) opt.step(x, numbers<double>(5000, t));
    return x;
  };
  const auto masked = run(frugal::mask{on}), listed = run(frugal::indices{at});
  for (std::size_t i = 0; i < 5000; ++i) ASSERT_NEAR(masked[i], listed[i], 1e-14);
}

// The stronger the pull, the closer x stays to its anchor.
TEST(adamr, the_distance_falls_with_the_pull) {
  double last = 1e9;
  for (double decay : {0., 0.01, 0.1, 1., 10.}) {
    const auto d = make<adamr, double>(serial(), 5, {1, -2, 3, 0.5, -0.1}, {.lr = 0.02, .weight_decay = decay});
    const auto start = d->x();
    on_quadratic(d, {0.1, 1, 3, 10, 100}, 300, [](int) {});
    double distance = 0;
    for (std::size_t i = 0; i < 5; ++i) distance += std::pow(d->x()[i] - start[i], 2);
    EXPECT_LT(distance, last) << decay;
    last = distance;
  }
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(adamr, optimizer_suite, the<adamr>());
}
