// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/schedule_free_adamw.hpp>

#include <frugal/optim/adamw.hpp>

#include <numeric>

#include "support/experiments.hpp"
#include "support/optimizer_suite.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
const frugal::serial_backend cpu;

struct schedule_free_adamw {
  template <class B, class S, class P, class T>
  using optimizer = frugal::schedule_free_adamw<B, S, P, T>;
  using config = frugal::schedule_free_adamw_config;
  static constexpr char const* name = "schedule_free_adamw";
  static constexpr bool nan_reaches_x = true;
  static constexpr bool remembers_rates = true;  // in the weights of the average
  static std::vector<std::string> states() { return {"d", "v"}; }
  static config from(golden_case const& c) {
    return {c.config("lr"),
            c.config("beta1"),
            c.config("beta2"),
            c.config("eps"),
            c.config("weight_decay"),
            std::int64_t(c.config("warmup")),
            c.config("paper") != 0 ? frugal::bias_correction::of_the_rate : frugal::bias_correction::of_the_moment};
  }
  static config usual() { return {.lr = 0.01, .weight_decay = 0.5, .warmup = 2}; }
};

TEST(schedule_free_adamw, defaults_are_the_authors) {
  const frugal::schedule_free_adamw_config c;
  EXPECT_EQ(c.lr, 2.5e-3);
  EXPECT_EQ(c.beta1, 0.9);
  EXPECT_EQ(c.beta2, 0.999);
  EXPECT_EQ(c.epsilon, 1e-8);
  EXPECT_EQ(c.weight_decay, 0);
  EXPECT_EQ(c.warmup, 0);
}

TEST(schedule_free_adamw, the_first_step_is_a_step_of_z) {
  const auto d = make<schedule_free_adamw, double>(serial(), 1, {2}, {.lr = 0.01, .weight_decay = 0.1});
  d->step({0.5});
  EXPECT_NEAR(d->x()[0], 2 - 0.01 * (0.5 / (0.5 + 1e-8) + 0.2), 1e-15);
  EXPECT_EQ(piece<double>(d->save(), "d")[0], 0);
}

// ---- the average ----------------------------------------------------------------------------------------------------
TEST(schedule_free_adamw, golden_averages) {
  for (golden_case const& c : read_golden("schedule_free_adamw.txt")) {
    auto y = c.numbers<double>("x0");
    frugal::schedule_free_adamw opt(cpu, y.size(), schedule_free_adamw::from(c), frugal::types<double>{});
    for (std::size_t t = 0; t < c.count("step"); ++t) {
      opt.config().lr = c.number<double>("lr", t);
      opt.step(y, c.numbers<double>("g", t));
    }
    auto x = y, keep = y;
    opt.average(y, x);
    const auto want = c.numbers<double>("average64");
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], want[i], 1e-12 * std::max(1., std::abs(want[i])));
    auto w = y;
    opt.evaluation_mode(w, keep);
    EXPECT_TRUE(same_bits(x, w));
    opt.training_mode(w, keep);
    EXPECT_TRUE(same_bits(y, w));
  }
}

// x after some steps, of any storage, support and types, on one backend; training goes on as if nobody had looked.
template <class P, class B, class... Policies>
std::vector<P> averaged(B const& b, frugal::layout const& l, Policies const&... policies) {
  const there<P, B> y(b, numbers<P>(l.size(), 99), 3), twin(b, y.get()), x(b, y.get(), 1);
  there<P, B> g(b, y.get());
  const frugal::schedule_free_adamw_config c{.lr = 0.01, .weight_decay = 0.1, .warmup = 2};
  frugal::schedule_free_adamw opt(b, l, c, frugal::types<P>{}, policies...),
      other(b, l, c, frugal::types<P>{}, policies...);
  for (int t = 1; t <= 6; ++t) {
    g.set(numbers<P>(l.size(), std::uint64_t(t)));
    opt.step(y.all(), g.constant());
    other.step(twin.all(), g.constant());
    if (t != 4) continue;
    opt.average(y.constant(), x.all());
    opt.evaluation_mode(y.all(), g.all());
    EXPECT_TRUE(same_bits(x.get(), y.get()));
    opt.training_mode(y.all(), g.all());
  }
  EXPECT_TRUE(same_bits(twin.get(), y.get()));
  EXPECT_TRUE(same_bits(frugal::save_state(other), frugal::save_state(opt)));
  return x.get();
}

TEST(schedule_free_adamw, averages_on_every_backend) {
  const frugal::layout l{{{"w", {30, 70}}, {"b", {333}, "frozen"}, {"none", {0}}, {"v", {5000}}},
                         {{.name = "frozen", .frozen = true}}};
  const auto x = same_on_every_backend([&](auto const& b) { return averaged<float>(b, l); });
  same_on_every_backend([&](auto const& b) { return averaged<float>(b, l, frugal::blockwise8{}); });
  const auto start = numbers(l.size(), 99);
  EXPECT_TRUE(same_bits(part(start, l.tensors()[1]), part(x, l.tensors()[1])));
  EXPECT_FALSE(same_bits(part(start, l.tensors()[3]), part(x, l.tensors()[3])));
}
TEST(schedule_free_adamw, averages_of_any_storage_and_support) {
  std::vector<std::uint8_t> some(1000, 1);
  for (std::size_t i = 0; i < some.size(); i += 3) some[i] = 0;
  const auto start = numbers(1000, 99), masked = averaged<float>(cpu, 1000, frugal::mask{some});
  const auto all = averaged<float>(cpu, 1000), listed = averaged<float>(cpu, 1000, frugal::indices{{1, 5, 999}});
  for (std::size_t i = 0; i < some.size(); ++i) {
    EXPECT_EQ(masked[i], some[i] ? all[i] : start[i]) << i;
    EXPECT_EQ(listed[i], i == 1 || i == 5 || i == 999 ? all[i] : start[i]) << i;
  }
  averaged<frugal::bf16>(cpu, 1000, frugal::float_master{}, frugal::bf16_state{}, frugal::range{7, 900});
}

TEST(schedule_free_adamw, the_average_is_that_of_its_definition) {
  // Under one gradient that never changes z goes down a line; x is the weighted mean of where it was.
  const double lr = 0.01;
  std::vector<double> y{1}, x{0};
  frugal::schedule_free_adamw opt(cpu, 1, {.lr = lr, .epsilon = 0, .warmup = 4}, frugal::types<double>{});
  double z = 1, sum = 0, weights = 0;
  for (int t = 1; t <= 50; ++t) {
    opt.step(y, std::vector<double>{0.5});
    const double gamma = lr * std::min(1., t / 4.);
    z -= gamma;
    sum += gamma * gamma * z;
    weights += gamma * gamma;
    opt.average(y, x);
    ASSERT_NEAR(x[0], sum / weights, 1e-13) << t;
    ASSERT_NEAR(y[0], 0.1 * z + 0.9 * x[0], 1e-13) << t;
  }
}

TEST(schedule_free_adamw, misuse_of_modes_is_refused) {
  std::vector<float> w{1, 2, 3}, g{1, 1, 1};
  frugal::schedule_free_adamw opt(frugal::serial_backend{}, 3);
  opt.step(w, g);
  EXPECT_TRUE(
      refused([&] { opt.training_mode(w, g); }, "training_mode()", "an object in evaluation mode", "one that trains"));
  EXPECT_TRUE(refused([&] { opt.evaluation_mode(w, w); }, "parameters and their average", "memory of their own each",
                      "an overlap"));
  std::vector<float> small(2);
  EXPECT_TRUE(refused([&] { opt.evaluation_mode(w, small); }, "written", "3 elements", "2"));
  EXPECT_FALSE(opt.evaluating());
  const auto saved = frugal::save_state(opt);
  opt.evaluation_mode(w, g);
  EXPECT_TRUE(
      refused([&] { opt.step(w, g); }, "a step of schedule_free_adamw", "training_mode() before", "evaluation mode"));
  EXPECT_TRUE(refused([&] { opt.evaluation_mode(w, g); }, "a step", "training_mode() before", "evaluation mode"));
  // The weights of a state are y, which are elsewhere now.
  const auto in_evaluation = [&](auto const& f) {
    return refused(f, "a state of schedule_free_adamw", "training_mode() before", "evaluation mode");
  };
  EXPECT_TRUE(in_evaluation([&] { frugal::save_state(opt); }));
  EXPECT_TRUE(in_evaluation([&] { frugal::restore_state(opt, saved); }));
  opt.training_mode(w, g);
  EXPECT_TRUE(same_bits(saved, frugal::save_state(opt)));
  frugal::restore_state(opt, saved);
  opt.config().beta1 = 0;
  auto x = w;
  EXPECT_TRUE(refused([&] { opt.average(w, x); }, "beta1", "(0, 1)", "0"));
  EXPECT_TRUE(refused([&] { opt.evaluation_mode(w, x); }, "beta1", "(0, 1)", "0"));
  EXPECT_TRUE(same_bits(w, x));
  opt.config().beta1 = 0.9;
  opt.step(w, g);
}

// On a quadratic with noise, the average of one constant rate comes nearer than AdamW's last iterate: here by a factor
// of 8.
TEST(schedule_free_adamw, needs_no_schedule) {
  constexpr std::size_t n = 50;
  std::vector<double> y(n, 3), g(n), w = y, x = y;
  frugal::schedule_free_adamw opt(cpu, n, {.lr = 0.05}, frugal::types<double>{});
  frugal::adamw plain(cpu, n, {.lr = 0.05, .weight_decay = 0}, frugal::types<double>{});
  dice noise(5);
  for (int t = 0; t < 2000; ++t) {
    for (std::size_t i = 0; i < n; ++i) g[i] = y[i] + noise.normal();
    opt.step(y, g);
    for (std::size_t i = 0; i < n; ++i) g[i] = w[i] + noise.normal();
    plain.step(w, g);
  }
  opt.average(y, x);
  EXPECT_LT(std::inner_product(x.begin(), x.end(), x.begin(), 0.),
            0.25 * std::inner_product(w.begin(), w.end(), w.begin(), 0.));
}

TEST(schedule_free_adamw, bad_settings_are_refused) {
  const auto at = [](frugal::schedule_free_adamw_config const& c) {
    return [c] { frugal::schedule_free_adamw(frugal::serial_backend{}, 5, c); };
  };
  EXPECT_TRUE(refused(at({.beta1 = 0}), "beta1", "(0, 1)", "0"));
  EXPECT_TRUE(refused(at({.beta1 = 1}), "beta1", "(0, 1)", "1"));
  EXPECT_TRUE(refused(at({.beta1 = std::nan("")}), "beta1", "(0, 1)", "nan"));
  EXPECT_TRUE(refused(at({.beta2 = 1}), "beta2", "[0, 1)", "1"));
  EXPECT_TRUE(refused(at({.epsilon = -1}), "epsilon", "[0, 1e+30]", "-1"));
  EXPECT_TRUE(refused(at({.lr = 2, .weight_decay = 1}), "lr * weight_decay", "[0, 1]", "2"));
  EXPECT_TRUE(refused(at({.warmup = -1}), "warmup", ">= 0", "-1"));
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(schedule_free_adamw, optimizer_suite, the<schedule_free_adamw>());
}
