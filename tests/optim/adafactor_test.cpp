// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adafactor.hpp>

#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/backend/tbb.hpp>
#include <frugal/core/state.hpp>

#include <bit>
#include <cmath>

#include "adafactor_on_device.hpp"
#include "support/backends.hpp"
#include "support/driver.hpp"
#include "support/golden.hpp"

namespace {
using namespace frugal_test;
using frugal::adafactor, frugal::adafactor_config, frugal::layout, frugal::serial_backend;
const frugal::types<double> doubles{};

// The inputs of the golden script.
template <class T>
std::vector<T> drawn(std::uint64_t t, frugal::index_t n) {
  std::vector<T> out;
  for (std::uint64_t j = 0; j < std::uint64_t(n); ++j) {
    const auto word = std::uint32_t(2654435761u * j + 40503 * t + 12345 * j * t);
    out.push_back(T((double(word >> 22) - 511.5) / 256 * (t == 0 ? 1 : std::ldexp(1., int(t * 7 % 11) - 5))));
  }
  return out;
}
layout shapes() { return {{"matrix", {70, 9}}, {"vector", {37}}, {"batch", {3, 5, 4}}, {"wide", {2, 4100}}}; }
adafactor_config from(golden_case const& c) {
  return {.lr = c.config("lr"),
          .beta1 = c.config("beta1"),
          .decay = c.config("decay"),
          .clip = c.config("clip"),
          .weight_decay = c.config("weight_decay"),
          .relative_step = c.config("min_rms") >= 0,
          .min_rms = std::max(0., c.config("min_rms"))};
}

TEST(adafactor, defaults) {
  const adafactor_config c;
  EXPECT_EQ(c.lr, 1e-3);
  EXPECT_EQ(c.beta1, 0.9);
  EXPECT_EQ(c.decay, 0.99);
  EXPECT_EQ(c.clip, 1);
  EXPECT_EQ(c.epsilon, 1e-30);
  EXPECT_EQ(c.weight_decay, 0);
  EXPECT_LT(c.beta2, 0);
  EXPECT_FALSE(c.relative_step);
  EXPECT_EQ(c.min_rms, 1e-3);
}

TEST(adafactor, worked_number) {
  adafactor opt(serial_backend{}, layout{{"x", {2, 2}}}, {.lr = 0.1}, doubles);
  std::vector<double> x(4, 1);
  opt.step(x, std::vector<double>{1, 2, 3, 4});
  const double want[] = {0.9922540333, 0.9890455488, 0.9896076952, 0.9902020410};
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(x[std::size_t(i)], want[i], 5e-11);
}

template <class T>
void follow_golden(double tolerance) {
  for (golden_case const& c : read_golden("adafactor.txt")) {
    ASSERT_GE(c.count("step"), 20u);
    const layout l = shapes();
    adafactor opt(serial_backend{}, l, from(c), frugal::types<T>{});
    opt.options().gradient_scale = c.config("gradient_scale");
    opt.options().clip_norm = c.config("clip_norm");
    std::vector<T> x = drawn<T>(0, l.size());
    for (std::size_t t = 0; t < c.count("step"); ++t) {
      opt.config().lr = c.number<double>("lr", t);
      opt.step(x, drawn<T>(t + 1, l.size()));
      const auto want = c.numbers<double>("x64", t);
      for (std::size_t k = 0; k + 1 < want.size(); ++k)
        ASSERT_NEAR(double(x[97 * k]), want[k], tolerance * 2) << c.name << ", step " << t + 1 << ", " << 97 * k;
      ASSERT_NEAR(double(x.back()), want.back(), tolerance * 2) << c.name << ", step " << t + 1;
    }
  }
}
// Parameters are below 2, and 20 steps of 0.01, or of up to 0.3, have some tens of roundings each.
TEST(adafactor, double_trajectories) { follow_golden<double>(2e-15); }
TEST(adafactor, float_trajectories) { follow_golden<float>(1e-6); }

// The outcome of four steps, saved and restored in the middle by another object; the third is skipped.
template <class B, class P = float, class... Rounding>
std::vector<unsigned char> trial(B b, layout const& l, adafactor_config const& c, P = {}, Rounding... rounding) {
  const frugal::types<P> types{};
  const there<P, B> x(b, numbers<P>(l.size(), 99), 3);
  there<P, B> g(b, numbers<P>(l.size(), 1));
  const there<float, B> found(b, {1.f});
  adafactor first(b, l, c, types, rounding...), second(b, l, c, types, rounding...);
  for (auto* o : {&first, &second}) {
    o->options().clip_norm = 30;
    o->options().gradient_scale = 0.5;
  }
  first.step(x.all(), g.constant());
  g.set(numbers<P>(l.size(), 2));
  first.step(x.all(), g.constant());
  frugal::restore_state(second, frugal::save_state(first));
  const auto before = x.get();
  second.options().found_inf = found.constant();
  second.step(x.all(), g.constant());
  EXPECT_TRUE(same_bits(before, x.get()));
  EXPECT_TRUE(same_bits(frugal::save_state(first), frugal::save_state(second)));
  second.options().found_inf = {};
  g.set(numbers<P>(l.size(), 3));
  second.step(x.all(), g.constant());
  EXPECT_EQ(second.report().steps, 3);
  EXPECT_EQ(second.report().skipped, 1);
  std::vector<unsigned char> bytes;
  const auto now = x.get();
  bytes.assign(reinterpret_cast<unsigned char const*>(now.data()),
               reinterpret_cast<unsigned char const*>(now.data() + now.size()));
  for (auto const& p : frugal::save_state(second).pieces) bytes.insert(bytes.end(), p.bytes.begin(), p.bytes.end());
  return bytes;
}

TEST(adafactor, every_backend_gives_the_same_bits) {
  const frugal::emulated_backend five({.seed = 1, .lanes = 5});
  std::vector<layout> models{shapes(),
                             layout{{"none", {4, 0}}, {"scalar", {}}, {"long", {1, 20000}}, {"tall", {300, 2}}}};
  for (int n : {0, 1, 255, 256, 257, 4095, 4097, 100003}) models.push_back(layout(n));
  for (layout const& l : models)
    for (double beta1 : {0., 0.9}) {
      const adafactor_config c{.lr = 0.01, .beta1 = beta1, .weight_decay = 0.1, .relative_step = beta1 > 0};
      const auto want = trial(serial_backend{}, l, c);
      EXPECT_EQ(want, trial(frugal::tbb_backend(2), l, c)) << l.size();
      EXPECT_EQ(want, trial(five, l, c)) << l.size();
    }
  const layout tall{{"tall", {16500, 1}}};  // more rows than a tile has
  EXPECT_EQ(trial(serial_backend{}, tall, {}), trial(frugal::tbb_backend(2), tall, {}));
  const frugal::bf16 narrow{};
  const adafactor_config c{.lr = 0.01, .relative_step = true};
  EXPECT_EQ(trial(serial_backend{}, shapes(), c, narrow), trial(five, shapes(), c, narrow));
  const frugal::float_master master{};
  EXPECT_EQ(trial(serial_backend{}, shapes(), c, narrow, master), trial(five, shapes(), c, narrow, master));
  const frugal::stochastic drawn{7};
  EXPECT_EQ(trial(serial_backend{}, shapes(), c, narrow, drawn), trial(five, shapes(), c, narrow, drawn));
}

// What a device is held to.
TEST(adafactor, digests) {
  EXPECT_EQ(trained_adafactor<float>(serial_backend{}), adafactor_digest);
  EXPECT_EQ(trained_adafactor<frugal::bf16>(serial_backend{}, frugal::stochastic{7}), drawn_adafactor_digest);
  EXPECT_EQ(trained_adafactor<frugal::bf16>(serial_backend{}, frugal::float_master{}), copied_adafactor_digest);
}

// A float copy moves as float parameters do; parameters are what it rounds to. Rounded at random they are the draw of
// their step and place.
TEST(adafactor, parameters_of_16_bits) {
  using frugal::bf16;
  const layout l = shapes();
  const adafactor_config c{.lr = 1e-3, .weight_decay = 0.1, .relative_step = true};
  const auto start = numbers<bf16>(l.size(), 99);
  std::vector<float> whole;
  for (bf16 v : start) whole.push_back(frugal::to_float(v));
  auto master = start, drawn = start;
  adafactor floats(serial_backend{}, l, c, frugal::types<float, bf16>{});
  adafactor copied(serial_backend{}, l, c, frugal::types<bf16>{}, frugal::float_master{});
  adafactor random(serial_backend{}, l, c, frugal::types<bf16>{}, frugal::stochastic{7});
  EXPECT_EQ(copied.state_bytes(), floats.state_bytes() + 4u * std::size_t(l.size()));
  for (std::uint64_t t = 1; t <= 3; ++t) {
    const auto g = numbers<bf16>(l.size(), t);
    floats.step(whole, g);
    copied.step(master, g);
    if (t > 1) continue;
    random.step(drawn, g);
    const frugal::random_stream stream{
        frugal::random_stream{7}.derive(frugal::detail::rounding_traits<frugal::stochastic>::tag)};
    for (frugal::tensor const& one : l.tensors())
      for (frugal::index_t j = 0; j < one.size; ++j) {
        const auto at = std::size_t(one.offset + j);
        const std::uint32_t bits = std::bit_cast<std::uint32_t>(whole[at]);
        const std::uint32_t up = (bits + (stream.word(1, one.address + std::uint64_t(j)) >> 16)) >> 16;
        ASSERT_EQ(std::bit_cast<std::uint16_t>(drawn[at]), up) << at;
      }
  }
  EXPECT_TRUE(same_bits(whole, piece<float>(frugal::save_state(copied), "master")));
  for (std::size_t i = 0; i < whole.size(); ++i)
    ASSERT_EQ(frugal::to_float(master[i]), frugal::to_float(frugal::to_bf16(whole[i])));
}

// From zero a step has the floor's size, later the parameters'; the rate falls where 1 / sqrt(t) does.
TEST(adafactor, steps_are_relative) {
  const auto step = [](double lr, double start, int steps, double min_rms) {
    adafactor opt(serial_backend{}, layout{{"x", {20, 30}}},
                  {.lr = lr, .beta1 = 0, .relative_step = true, .min_rms = min_rms}, doubles);
    std::vector<double> x(600, start);
    double last = start;
    for (int t = 0; t < steps; ++t) last = x[0], opt.step(x, std::vector<double>(600, t % 2 == 0 ? 1 : -1));
    return last - x[0];
  };
  EXPECT_NEAR(step(0.01, 0, 1, 1e-3), 1e-5, 1e-17);
  EXPECT_NEAR(step(0.01, -0.25, 1, 1e-3), 0.0025, 1e-15);
  EXPECT_NEAR(step(0.5, 0, 9, 100), 100. / 3, 1e-11);
  EXPECT_NEAR(step(5, 0, 1, 1), 1, 1e-14);
}

TEST(adafactor, options_of_a_step) {
  const layout l{{"w", {6, 9}}, {"b", {5}}};
  const auto start = numbers(l.size(), 1), g = numbers(l.size(), 2);
  auto x = start, y = start, bad = g;
  bad[7] = std::numeric_limits<float>::infinity();
  const std::vector<float> half{0.5f};
  const std::vector<double> rate{0.25};
  adafactor opt(serial_backend{}, l, {.lr = 0.1}), twin(serial_backend{}, l, {.lr = 0.25});
  opt.options().skip_nonfinite = true;
  opt.step(x, bad);
  EXPECT_TRUE(same_bits(start, x));
  EXPECT_EQ(opt.report().skipped, 1);
  EXPECT_TRUE(same_bits(frugal::save_state(twin), frugal::save_state(opt)));
  opt.options().lr = frugal::view<double const>(rate.data(), 1);
  opt.options().more_scale = frugal::view<float const>(half.data(), 1);
  opt.options().gradient_scale = 2;
  opt.step(x, g);
  twin.step(y, g);
  EXPECT_TRUE(same_bits(y, x));
  EXPECT_EQ(opt.report().steps, 1);
  EXPECT_NEAR(opt.report().gradient_norm, std::sqrt(frugal::sum_of_squares(serial_backend{}, g)), 1e-4);
}

// Squares of rank one are reproduced: without momentum and clipping each step is lr sign(g).
TEST(adafactor, squares_of_rank_one_are_exact) {
  const frugal::index_t rows = 70, columns = 4100;
  adafactor opt(serial_backend{}, layout{{"x", {rows, columns}}}, {.lr = 0.5, .beta1 = 0}, doubles);
  const auto a = numbers<double>(rows, 1), b = numbers<double>(columns, 2);
  std::vector<double> x(std::size_t(rows * columns)), g;
  for (double u : a)
    for (double v : b) g.push_back((u == 0 ? 1 : u) * (v == 0 ? 1 : v));
  for (int t = 1; t <= 3; ++t) {
    opt.step(x, g);
    for (std::size_t i = 0; i < g.size(); ++i) ASSERT_NEAR(x[i], -0.5 * t * (g[i] > 0 ? 1 : -1), 1e-12);
  }
}

// A vector has all of its mean squares, whatever else is in the model; gradients of any scale make the same steps.
TEST(adafactor, vectors_are_not_factored) {
  const auto x0 = numbers<double>(300, 9);
  const auto run = [&](double scale) {
    adafactor opt(serial_backend{}, 300, {.lr = 0.1, .beta1 = 0, .clip = 1e30, .beta2 = 0.5}, doubles);
    auto x = x0;
    std::vector<double> v(300), want = x0;
    for (std::uint64_t t = 1; t <= 5; ++t) {
      auto g = numbers<double>(300, t);
      for (double& one : g) one *= scale;
      opt.step(x, g);
      for (std::size_t i = 0; i < 300; ++i) {
        v[i] = 0.5 * v[i] + 0.5 * (g[i] * g[i] + 1e-30);
        want[i] -= 0.1 * g[i] / std::sqrt(v[i]);
      }
    }
    for (std::size_t i = 0; i < 300; ++i) EXPECT_NEAR(x[i], want[i], 1e-12);
    return x;
  };
  const auto one = run(1), large = run(1024);
  for (std::size_t i = 0; i < 300; ++i) EXPECT_NEAR(one[i], large[i], 1e-12);
}

// What had no gradients yet stays, up to the smallest epsilon.
TEST(adafactor, columns_without_gradients) {
  adafactor opt(serial_backend{}, layout{{"w", {2, 3}}, {"b", {3}}}, {.epsilon = 1e-37});
  std::vector<float> x(9, 1);
  for (int t = 1; t <= 3; ++t) opt.step(x, std::vector<float>{0, 1, 2, 0, 3, 4, 0, 1, 0});
  for (std::size_t i = 0; i < 9; ++i) EXPECT_EQ(i % 3 == 0 || i == 8 ? x[i] == 1 : x[i] < 1, true) << i;
}

TEST(adafactor, updates_are_clipped) {
  const layout l{{"x", {40, 30}}};
  for (double clip : {0.25, 100.}) {
    adafactor opt(serial_backend{}, l, {.lr = 1, .beta1 = 0, .clip = clip}, doubles);
    std::vector<double> x(1200);
    opt.step(x, numbers<double>(1200, 1));
    double sum = 0;
    for (double v : x) sum += v * v;
    const double rms = std::sqrt(sum / 1200);
    if (clip < 1) EXPECT_NEAR(rms, clip, 1e-12);
    else EXPECT_GT(rms, 0.5);
  }
}

TEST(adafactor, groups_and_frozen_tensors) {
  const layout l{{{"a", {20, 30}}, {"b", {50}, "slow"}, {"c", {7, 7}, "frozen"}},
                 {{"slow", 0.5, 0.}, {"frozen", 1., 1., true}}};
  const adafactor_config c{.lr = 0.1, .weight_decay = 0.5};
  adafactor opt(serial_backend{}, l, c);
  adafactor a(serial_backend{}, layout{{"a", {20, 30}}}, c), b(serial_backend{}, 50, {.lr = 0.05});
  auto x = numbers(l.size(), 99);
  const auto start = x;
  std::vector<float> xa(x.begin(), x.begin() + 600), xb(x.begin() + 600, x.begin() + 650);
  for (std::uint64_t t = 1; t <= 3; ++t) {
    if (t == 3) {  // a group may change
      opt.set_group({"slow", 0.25, 0.});
      b.config().lr = 0.025;
    }
    const auto g = numbers(l.size(), t);
    const std::vector<frugal::view<float>> xs{{x.data(), 600}, {x.data() + 600, 50}, {x.data() + 650, 49}};
    const std::vector<frugal::view<float const>> gs{{g.data(), 600}, {g.data() + 600, 50}, {g.data() + 650, 49}};
    opt.step(xs, gs);
    a.step(xa, std::vector<float>(g.begin(), g.begin() + 600));
    b.step(xb, std::vector<float>(g.begin() + 600, g.begin() + 650));
  }
  xa.insert(xa.end(), xb.begin(), xb.end());
  xa.insert(xa.end(), start.begin() + 650, start.end());
  EXPECT_TRUE(same_bits(xa, x));
  EXPECT_THROW(opt.set_group({"frozen", 1., 1., false}), frugal::invalid_argument);
  EXPECT_THROW(opt.set_group({"none"}), frugal::invalid_argument);
  EXPECT_EQ(opt.state_bytes(), 4u * (600 + 50 + 20 + 30 + 1 + 50));
  EXPECT_EQ(adafactor(serial_backend{}, layout{{"a", {20, 30}}}, {.beta1 = 0}).state_bytes(), 4u * 50);
}

TEST(adafactor, converges_as_the_rate_falls) {
  const std::vector<double> h{0.1, 1, 3, 10, 100, 7};
  adafactor opt(serial_backend{}, layout{{"x", {2, 3}}}, {.lr = 0.1}, doubles);
  std::vector<double> x{1, -2, 3, 0.5, -0.1, 2}, g(6);
  for (int t = 1; t <= 4000; ++t) {
    for (std::size_t i = 0; i < 6; ++i) g[i] = h[i] * x[i];
    opt.config().lr = 0.1 / std::sqrt(t);
    opt.step(x, g);
  }
  for (double v : x) EXPECT_LT(std::abs(v), 0.5 / std::sqrt(4000));
}

TEST(adafactor, mistakes_are_refused) {
  adafactor opt(serial_backend{}, 300);
  std::vector<float> x(300, 1), g(300, 1), y(300, 1);
  const auto refused = [&](auto change) {
    const adafactor_config before = opt.config();
    change(opt.config());
    EXPECT_THROW(opt.step(x, g), frugal::invalid_argument);
    opt.config() = before;
  };
  refused([](auto& c) { c.lr = -1; });
  refused([](auto& c) { c.lr = NAN; });
  refused([](auto& c) { c.beta1 = 1; });
  refused([](auto& c) { c.beta1 = 0; });  // there is a momentum
  refused([](auto& c) { c.decay = 0; });
  refused([](auto& c) { c.decay = 1; });
  refused([](auto& c) { c.clip = 0; });
  refused([](auto& c) { c.epsilon = -1; });
  refused([](auto& c) { c.epsilon = 0; });  // a column without gradients would be divided by 0
  refused([](auto& c) { c.epsilon = 1e-50; });
  refused([](auto& c) { c.weight_decay = 1001; });
  refused([](auto& c) { c.beta2 = 1; });
  refused([](auto& c) { c.beta2 = NAN; });
  refused([](auto& c) { c.min_rms = -1; });
  refused([](auto& c) { c.min_rms = NAN; });
  opt.options().clip_norm = 0;
  EXPECT_THROW(opt.step(x, g), frugal::invalid_argument);
  opt.options().clip_norm = 1e30;
  opt.options().gradient_scale = NAN;
  EXPECT_THROW(opt.step(x, g), frugal::invalid_argument);
  opt.options() = {};
  EXPECT_THROW(opt.step(x, std::vector<float>(299)), frugal::invalid_argument);
  EXPECT_THROW(opt.step(x, x), frugal::invalid_argument);
  EXPECT_THROW(opt.step(frugal::view<float>(nullptr, 300), g), frugal::invalid_argument);
  EXPECT_TRUE(same_bits(y, x));
  EXPECT_EQ(opt.report().steps, 0);
  opt.step(x, g);
  adafactor(serial_backend{}, 300).step(y, g);
  EXPECT_TRUE(same_bits(y, x));
  adafactor other(serial_backend{}, 300, {.beta1 = 0});
  EXPECT_THROW(frugal::restore_state(other, frugal::save_state(opt)), frugal::invalid_argument);
}

TEST(adafactor, steps_do_not_allocate) {
  adafactor opt(serial_backend{}, shapes(), {.relative_step = true});
  opt.options().clip_norm = 1;
  std::vector<float> x = numbers(shapes().size(), 1), g = x;
  const long before = allocations;
  for (int t = 0; t < 3; ++t) opt.step(x, g);
  EXPECT_EQ(allocations, before);
}

}  // namespace
