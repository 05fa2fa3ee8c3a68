// SPDX-License-Identifier: Apache-2.0
// What the tests of SOAP and Shampoo share: golden trajectories of tensors, small orthogonal matrices, and the options
// that both have from their base.
#pragma once
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/core/moments.hpp>

#include <cmath>

#include "bits.hpp"
#include "driver.hpp"
#include "golden.hpp"
#include "kronecker_training.hpp"
#include "refusal.hpp"

namespace frugal_test {

inline std::vector<double> normals(frugal::index_t n, std::uint64_t seed) {
  dice d(seed);
  std::vector<double> v(std::size_t(n), 0.);
  for (double& x : v) x = d.normal();
  return v;
}
// n x n, in rows: Gram and Schmidt, twice.
inline std::vector<double> orthogonal(frugal::index_t n, std::uint64_t seed) {
  auto q = normals(n * n, seed);
  const auto size = std::size_t(n);
  for (std::size_t i = 0; i < size; ++i)
    for (int pass = 0; pass < 2; ++pass) {
      double norm = 0;
      for (std::size_t h = 0; h < i; ++h) {
        double dot = 0;
        for (std::size_t k = 0; k < size; ++k) dot += q[i * size + k] * q[h * size + k];
        for (std::size_t k = 0; k < size; ++k) q[i * size + k] -= dot * q[h * size + k];
      }
      for (std::size_t k = 0; k < size; ++k) norm += q[i * size + k] * q[i * size + k];
      for (std::size_t k = 0; k < size; ++k) q[i * size + k] /= std::sqrt(norm);
    }
  return q;
}
// u times the unfolding of a tensor along an axis, u square.
inline std::vector<double> along(std::vector<double> const& t, std::vector<frugal::index_t> const& shape,
                                 std::size_t axis, std::vector<double> const& u) {
  std::size_t inner = 1, d = std::size_t(shape[axis]);
  for (std::size_t a = axis + 1; a < shape.size(); ++a) inner *= std::size_t(shape[a]);
  std::vector<double> out(t.size());
  for (std::size_t at = 0; at < t.size(); ++at) {
    const std::size_t i = at / inner % d, start = at - i * inner;
    for (std::size_t k = 0; k < d; ++k) out[at] += u[i * d + k] * t[start + k * inner];
  }
  return out;
}

// How far steps in turned coordinates are from the turned steps.
// make(layout): an optimizer of doubles.
template <class Make>
double turned_apart(std::vector<frugal::index_t> const& shape, Make const& make) {
  const frugal::layout l{{"w", shape}};
  auto plain = make(l), turned = make(l);
  const auto turn = [&](std::vector<double> t) {
    for (std::size_t k = 0; k < shape.size(); ++k) t = along(t, shape, k, orthogonal(shape[k], k + 1));
    return t;
  };
  auto x = normals(l.size(), 4), y = turn(x);
  for (int t = 0; t < 20; ++t) {
    const auto g = normals(l.size(), std::uint64_t(10 + t));
    plain.step(x, g);
    turned.step(y, turn(g));
  }
  const auto want = turn(x);
  double most = 0;
  for (std::size_t i = 0; i < x.size(); ++i) most = std::max(most, std::abs(y[i] - want[i]));
  return most;
}

// Every step of a case, x to within `bound` of what it should be, relative to its largest.
template <class T, class Optimizer>
void follow(Optimizer& opt, golden_case const& c, double bound) {
  auto x = c.numbers<T>("x0");
  for (std::size_t t = 0; t < c.count("g"); ++t) {
    opt.step(x, c.numbers<T>("g", t));
    const auto want = c.numbers<double>("x64", t);
    double most = 0;
    for (double w : want) most = std::max(most, std::abs(w));
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], want[i], bound * most) << "step " << t << ", " << i;
  }
  const auto saved = frugal::save_state(opt);
  const auto axes = c.words("axes");
  for (std::size_t k = 0; k < c.count("p64"); ++k) {
    const auto p = piece<T>(saved, "w.p" + axes[k]);
    const auto want = c.numbers<double>("p64", k);
    ASSERT_EQ(p.size(), want.size());
    for (std::size_t i = 0; i < p.size(); ++i) ASSERT_NEAR(p[i], want[i], bound * (1 + std::abs(want[0])));
  }
}

template <class T>
void inject(frugal::snapshot& s, std::string const& name, std::vector<T> const& values) {
  for (auto& p : s.pieces)
    if (p.name == name) {
      ASSERT_EQ(p.bytes.size(), values.size() * sizeof(T));
      std::memcpy(p.bytes.data(), values.data(), p.bytes.size());
      return;
    }
  FAIL() << "no piece " << name;
}

// Matrices of one row and of one column, of sides beside powers of two, and vectors beside a block's size.
inline frugal::layout odd_extents() {
  return {{"row", {1, 257}},  {"column", {33, 1}}, {"one", {1, 1}},  {"w", {17, 33}},
          {"long", {2, 255}}, {"tall", {63, 3}},   {"below", {255}}, {"above", {257}}};
}

// make(layout, policies...), or make(layout), on the serial backend.
template <class Make>
void test_options(Make const& make) {
  using frugal::layout;
  const layout l({{"w", {9, 5}}, {"b", {7}}, {"f", {3, 4}, "frozen"}, {"s", {4, 4}, "slow"}},
                 {{.name = "frozen", .frozen = true}, {.name = "slow", .lr = 0.5}});
  const frugal::index_t n = l.size();
  const auto g = [&](int t) { return numbers(n, std::uint64_t(t + 2)); };
  const auto run = [&](auto const& change, auto const& gradient, int steps = 5) {
    auto opt = make(l);
    change(opt.options());
    auto x = numbers(n, 1);
    for (int t = 0; t < steps; ++t) opt.step(x, gradient(t));
    return x;
  };
  const auto nothing = [](auto&) {};
  const auto plain = run(nothing, g);
  for (std::size_t i = 52; i < 64; ++i) EXPECT_EQ(plain[i], numbers(n, 1)[i]) << "frozen";
  EXPECT_NE(plain[64], numbers(n, 1)[64]);
  // Scales: of the options, and in the backend's memory.
  const auto doubled = [&](int t) {
    auto v = g(t);
    for (float& x : v) x *= 2;
    return v;
  };
  EXPECT_TRUE(same_bits(plain, run([](auto& o) { o.gradient_scale = 0.5; }, doubled)));
  const std::vector<float> half{0.5f}, zero{0.f}, one{1.f};
  EXPECT_TRUE(same_bits(plain, run([&](auto& o) { o.more_scale = half, o.found_inf = zero; }, doubled)));
  // Clipping multiplies by the factor.
  const auto clipped = [&](int t) {
    auto v = g(t);
    frugal::serial_backend b;
    double sum = 0;
    const auto& ts = l.tensors();
    for (std::size_t i : {0u, 1u, 3u})
      sum += frugal::sum_of_squares(b, frugal::view<float>(v.data() + ts[i].offset, ts[i].size));
    const float factor = float(0.25 / (std::sqrt(sum) + 1e-6));
    for (float& x : v) x *= factor;
    return v;
  };
  EXPECT_TRUE(same_bits(run(nothing, clipped), run([](auto& o) { o.clip_norm = 0.25; }, g)));
  // A rate in memory.
  const std::vector<double> rate{0.25};
  {
    auto a = make(l), b = make(l);
    a.config().lr = 0.25;
    b.options().lr = rate;
    auto x = numbers(n, 1), y = x;
    for (int t = 0; t < 3; ++t) a.step(x, g(t)), b.step(y, g(t));
    EXPECT_TRUE(same_bits(x, y));
    EXPECT_EQ(a.report().skipped, 0);
  }
  // Steps that change nothing.
  {
    auto opt = make(l);
    auto x = numbers(n, 1);
    opt.step(x, g(0));
    opt.step(x, g(1));
    const auto before = x;
    const auto state = frugal::save_state(opt);
    auto bad = g(2);
    bad[3] = std::numeric_limits<float>::quiet_NaN();
    opt.options().skip_nonfinite = true;
    opt.step(x, bad);
    opt.options().found_inf = one;
    opt.step(x, g(3));
    EXPECT_EQ(opt.report().skipped, 2);
    EXPECT_TRUE(same_bits(x, before));
    EXPECT_TRUE(same_bits(state, frugal::save_state(opt)));
    // Arguments that are refused.
    std::vector<float> few(std::size_t(n - 1));
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { opt.step(x, few); }, {"gradient", std::to_string(n)}));
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { opt.step(few, x); }, {"parameters", std::to_string(n)}));
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { opt.step(x, x); }, {"overlap"}));
    const std::vector<double> two(2);
    opt.options().lr = two;
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { opt.step(x, g(3)); }, {"the view lr", "one number"}));
    opt.options().lr = {};
    EXPECT_TRUE(same_bits(x, before));
    EXPECT_TRUE(same_bits(state, frugal::save_state(opt)));
    auto other = make(layout{{"w", {9, 6}}});
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { frugal::restore_state(other, state); }, {"layout"}));
  }
  // Separate tensors, and nothing is allocated.
  {
    auto opt = make(l);
    auto x = numbers(n, 1);
    std::vector<frugal::view<float>> xs, gs;
    std::vector<float> now(x.size());
    for (frugal::tensor const& t : l.tensors()) {
      xs.emplace_back(x.data() + t.offset, t.size);
      gs.emplace_back(now.data() + t.offset, t.size);
    }
    for (int t = 0; t < 5; ++t) {
      now = g(t);
      for (std::size_t i = 0; i < gs.size(); ++i) gs[i] = {now.data() + l.tensors()[i].offset, gs[i].size()};
      const long before = allocations;
      opt.step(xs, gs);
      EXPECT_EQ(allocations, before) << "step " << t;
    }
    EXPECT_TRUE(same_bits(plain, x));
  }
  // A group's factors change.
  {
    auto a = make(l), b = make(l);
    a.set_group({.name = "slow", .lr = 0.25});
    auto x = numbers(n, 1), y = x;
    for (int t = 0; t < 3; ++t) a.step(x, g(t)), b.step(y, g(t));
    for (frugal::index_t i = 0; i < n; ++i) EXPECT_EQ(x[std::size_t(i)] == y[std::size_t(i)], i < 64) << i;
    EXPECT_TRUE(refused([&] { a.set_group({.name = "none"}); }, "a group", "one of the layout's groups", "'none'"));
    EXPECT_TRUE(refused([&] { a.set_group({.name = "slow", .frozen = true}); }, "group 'slow'", "frozen as constructed",
                        "a change"));
    EXPECT_TRUE(
        throws<frugal::invalid_argument>([&] { a.set_group({.name = "slow", .lr = 1e5}); }, {"lr * weight_decay"}));
  }
  // From a state that was saved, by another object.
  {
    auto a = make(l);
    auto x = numbers(n, 1);
    for (int t = 0; t < 3; ++t) a.step(x, g(t));
    auto b = make(l);
    frugal::restore_state(b, frugal::save_state(a));
    auto y = x;
    for (int t = 3; t < 7; ++t) a.step(x, g(t)), b.step(y, g(t));
    EXPECT_TRUE(same_bits(x, y));
    EXPECT_TRUE(same_bits(frugal::save_state(a), frugal::save_state(b)));
    EXPECT_EQ(a.report().steps, b.report().steps);
  }
  // A float master is what float parameters would be: of whom policies can be given to.
  using frugal::bf16;
  if constexpr (requires { make(l, frugal::types<bf16, float>{}, frugal::float_master{}); }) {
    auto a = make(l);
    auto b = make(l, frugal::types<bf16, float>{}, frugal::float_master{});
    auto y = numbers<bf16>(n, 1);
    std::vector<float> x;
    for (bf16 v : y) x.push_back(frugal::to_float(v));
    for (int t = 0; t < 5; ++t) a.step(x, g(t)), b.step(y, g(t));
    for (frugal::index_t i = 0; i < n; ++i)
      EXPECT_EQ(y[std::size_t(i)].bits, frugal::to_bf16(x[std::size_t(i)]).bits) << i;
  }
  // Sizes of vectors and of matrices; nothing at all.
  std::vector<layout> sizes{odd_extents()};
  for (frugal::index_t size : {0, 1, 255, 256, 257, 4095, 4097, 100003}) sizes.emplace_back(size);
  for (layout const& each : sizes) {
    auto opt = make(each);
    const auto start = numbers(each.size(), 1);
    auto x = start;
    const auto up = numbers(each.size(), 2);
    for (int t = 0; t < 3; ++t) opt.step(x, up);
    EXPECT_GT(opt.report().steps, 1);
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_TRUE(std::isfinite(x[i])) << i << " of " << x.size();
    for (frugal::tensor const& t : each.tensors())
      EXPECT_EQ(t.size == 0, std::equal(x.begin() + t.offset, x.begin() + t.offset + t.size, start.begin() + t.offset))
          << t.name << " of " << t.size;
  }
  auto none = make(layout{{"a", {0, 5}}, {"b", {3, 3}}});
  auto x = numbers(9, 1);
  none.step(x, numbers(9, 2));
  none.step(x, numbers(9, 3));
}

}  // namespace frugal_test
