// SPDX-License-Identifier: Apache-2.0
#include <frugal/linalg/eigen.hpp>
#include <frugal/optim/kfac.hpp>

#include <cmath>
#include <limits>

#include "optim/linear_layers.hpp"

namespace {
using namespace frugal_test;
using frugal::kfac;
using frugal::kfac_config;
using frugal::kfac_damping;
const frugal::serial_backend cpu;

kfac_config config_of(golden_case const& c) {
  kfac_config to{.damping = c.config("damping"),
                 .damped = c.words("damped")[0] == "by_traces" ? kfac_damping::by_traces : kfac_damping::each_factor};
  read_golden_config(to, c);
  return to;
}

// Condition numbers are at most those of factors in the thousands over a damping of 0.03, 1e5, twice.
TEST(kfac, golden) {
  for (golden_case const& c : read_golden("kfac.txt")) {
    kfac wide(cpu, golden_layers, config_of(c), frugal::types<double>{});
    follows_golden<double>(wide, c, 1e-11);
    kfac narrow(cpu, golden_layers, config_of(c));
    follows_golden<float>(narrow, c, 1e-3);
    kfac eigen(cpu, golden_layers, config_of(c), frugal::types<double>{}, frugal::eigen_linalg{});
    follows_golden<double>(eigen, c, 1e-11);
  }
}

// Theorem 1 of the paper: where the inputs of a layer are z' = C z and its weights W' = W C^-1, the directions are
// D' = D C^-1, but for what the damping adds.
TEST(kfac, is_invariant_to_a_change_of_its_inputs) {
  const index_t in = 5, out = 3, rows = 40;
  const frugal::layout l{{"w", {out, in}}};
  const kfac_config how{.gamma = 0, .refresh_every = 1, .damping = 1e-12};
  kfac plain(cpu, l, how, frugal::types<double>{}), changed(cpu, l, how, frugal::types<double>{});
  const auto z = rows_of<double>(cpu, rows, in, 1), dy = rows_of<double>(cpu, rows, out, 2),
             c = rows_of<double>(cpu, in, in, 3), z2 = rows_of<double>(cpu, rows, in, 4);
  for (index_t i = 0; i < in; ++i) c()(i, i) += 3;
  const frugal::linalg la(cpu);
  la.gemm(1, z(), transposed(c()), 0, z2());
  std::vector<double> g(std::size_t(out * in), 0.), g2 = g, back = g;
  const frugal::mat_view<double> gm(g.data(), out, in), g2m(g2.data(), out, in), backm(back.data(), out, in);
  la.gemm(1, transposed(dy()), z(), 0, gm);
  la.gemm(1, transposed(dy()), z2(), 0, g2m);
  plain.observe(0, z(), dy());
  changed.observe(0, z2(), dy());
  plain.precondition(g);
  changed.precondition(g2);
  la.gemm(1, g2m, c(), 0, backm);
  EXPECT_TRUE(close_to(back, g, 1e-9));
}

// The moments are those of the samples, borders of a bias and micro-batches included, and J their damped inverse.
TEST(kfac, moments_and_inverses) {
  const index_t in = 20, out = 7, n = in + 1;
  kfac pre(cpu, frugal::layout{{"fc.weight", {out, in}}, {"fc.bias", {out}}},
           {.gamma = 0.8, .refresh_every = 1, .damping = 0.1, .micro_batches = 2}, frugal::types<double>{});
  std::vector<double> f(std::size_t(n * n), 0.), product(f.size());
  for (index_t i = 0; i < n; ++i) f[std::size_t(i * n + i)] = 1;
  for (int t = 0; t < 10; ++t) {
    for (double& x : f) x *= 0.8;
    for (int m = 0; m < 2; ++m) {
      const auto a = rows_of<double>(cpu, 9, in, std::uint32_t(10 * t + m), 1, 0.2),
                 dy = rows_of<double>(cpu, 9, out, std::uint32_t(500 + t));
      const auto z = [&](index_t r, index_t j) { return j == in ? 1 : a()(r, j); };
      for (index_t r = 0; r < 9; ++r)
        for (index_t i = 0; i < n; ++i)
          for (index_t j = 0; j < n; ++j) f[std::size_t(i * n + j)] += 0.2 / 18 * z(r, i) * z(r, j);
      pre.observe(0, a(), dy());
    }
    std::vector<double> g(std::size_t(out * n), 1.);
    pre.precondition(g);
    EXPECT_TRUE(close_to(frugal::to_host(cpu, frugal::view<double>(pre.statistics().data(), n * n)), f, 1e-14));
    std::vector<double> damped = f, eye(f.size(), 0.);
    for (index_t i = 0; i < n; ++i) damped[std::size_t(i * n + i)] += 0.1, eye[std::size_t(i * n + i)] = 1;
    const frugal::linalg la(cpu);
    la.gemm(1, pre.input_factor(0), frugal::mat_view<double const>(damped.data(), n, n), 0,
            frugal::mat_view<double>(product.data(), n, n));
    EXPECT_TRUE(close_to(product, eye, 1e-11)) << t;
  }
}

// Least squares, rows W' = rows W*', with rows'rows / 16 = Q diag(1 .. 1e-4) Q', and output gradients as the model
// draws them, whose covariance is I: the step of rate 1 is Newton's, but for the damping. Each direction's error falls
// by 1 - lambda / ((lambda + damping) (1 + damping)) a step; the best rate of a gradient's own steps leaves 1 - 2e-4 of
// the outer ones.
TEST(kfac, converges_where_gradients_crawl) {
  constexpr index_t in = 8, out = 3, rows = 16;
  const double damping = 1e-6;
  const auto sign = [](index_t i, index_t j) { return __builtin_popcountll(std::uint64_t(i & j)) % 2 ? -1. : 1.; };
  const auto q = [](index_t i, index_t j) { return (i == j) - 2. / in; };
  const auto lambda = [](index_t k) { return std::pow(10., -4. * double(k) / (in - 1)); };
  std::vector<double> z(rows * in), drawn(rows * out), covariance(in * in);
  for (index_t r = 0; r < rows; ++r) {
    for (index_t j = 0; j < in; ++j)
      for (index_t k = 0; k < in; ++k) z[std::size_t(r * in + j)] += sign(r, k + 1) * std::sqrt(lambda(k)) * q(k, j);
    for (index_t o = 0; o < out; ++o) drawn[std::size_t(r * out + o)] = sign(r, o + 12) / rows;
  }
  for (index_t i = 0; i < in; ++i)
    for (index_t j = 0; j < in; ++j)
      for (index_t r = 0; r < rows; ++r)
        covariance[std::size_t(i * in + j)] += z[std::size_t(r * in + i)] * z[std::size_t(r * in + j)] / rows;
  const auto start = even_numbers<double>(out * in, 1);
  const auto gradient = [&](std::vector<double> const& error) {
    std::vector<double> g(error.size());
    for (index_t o = 0; o < out; ++o)
      for (index_t i = 0; i < in; ++i)
        for (index_t j = 0; j < in; ++j)
          g[std::size_t(o * in + i)] += error[std::size_t(o * in + j)] * covariance[std::size_t(j * in + i)];
    return g;
  };
  // The part of an error along each direction.
  const auto turned = [&](std::vector<double> const& error) {
    std::vector<double> t(error.size());
    for (index_t o = 0; o < out; ++o)
      for (index_t k = 0; k < in; ++k)
        for (index_t j = 0; j < in; ++j) t[std::size_t(o * in + k)] += q(k, j) * error[std::size_t(o * in + j)];
    return t;
  };
  kfac pre(cpu, frugal::layout{{"w", {out, in}}}, {.gamma = 0, .refresh_every = 1, .damping = damping},
           frugal::types<double>{});
  auto with = start, without = start;
  constexpr int steps = 5;
  for (int t = 1; t <= steps; ++t) {
    auto g = gradient(with);
    pre.observe(0, frugal::mat_view<double const>(z.data(), rows, in),
                frugal::mat_view<double const>(drawn.data(), rows, out));
    pre.precondition(g);
    for (std::size_t i = 0; i < g.size(); ++i) with[i] -= g[i];
    g = gradient(without);
    for (std::size_t i = 0; i < g.size(); ++i) without[i] -= 2 / (1 + 1e-4) * g[i];
    const auto now = turned(with), then = turned(start);
    for (index_t i = 0; i < out * in; ++i) {
      const double l = lambda(i % in), kept = 1 - l / ((l + damping) * (1 + damping));
      EXPECT_NEAR(now[std::size_t(i)], std::pow(kept, t) * then[std::size_t(i)], 1e-10) << t << ", " << i;
    }
  }
  const auto left = turned(without), first = turned(start);
  for (std::size_t i = 0; i < with.size(); ++i) EXPECT_LT(std::abs(with[i]), 1e-9);
  for (std::size_t o = 0; o < out; ++o)
    EXPECT_NEAR(left[o * in + in - 1], std::pow(1 - 2e-4 / (1 + 1e-4), steps) * first[o * in + in - 1], 1e-10);
}

TEST(kfac, every_backend_gives_the_same_bits) {
  for (auto d : {kfac_damping::each_factor, kfac_damping::by_traces})
    same_on_every_backend([&](auto const& b) {
      return directions(
          kfac(b, many_layers, {.refresh_every = 2, .damped = d, .rescale = d == kfac_damping::by_traces}));
    });
}
TEST(kfac, a_device_gives_the_bits_of_serial) {  // which are these
  EXPECT_EQ(digest_of(directions(kfac(cpu, device_layers, {.refresh_every = 2, .damped = kfac_damping::by_traces}))),
            kfac_digest);
}

TEST(kfac, keeps_the_inverse_where_there_is_none) {
  kfac pre(cpu, golden_layers, {.refresh_every = 1});
  golden_step<float>(pre, 0);
  const auto before = numbers_of<float>(cpu, pre.input_factor(0)), other = numbers_of<float>(cpu, pre.input_factor(1));
  observe_golden<float>(pre, 1);
  pre.statistics()[0] = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> g(29, 1.f);
  pre.precondition(g);
  EXPECT_TRUE(same_bits(before, numbers_of<float>(cpu, pre.input_factor(0))));
  EXPECT_FALSE(same_bits(other, numbers_of<float>(cpu, pre.input_factor(1))));
  EXPECT_EQ(g[3], g[3]);
}

TEST(kfac, refusals) {
  const auto made = [](kfac_config c) { return [c] { kfac(cpu, golden_layers, c); }; };
  EXPECT_TRUE(refused(made({.gamma = 1}), "gamma", "[0, 1)", "1"));
  EXPECT_TRUE(refused(made({.refresh_every = 0}), "refresh_every", ">= 1", "0"));
  EXPECT_TRUE(refused(made({.warmup_steps = -1}), "warmup_steps", ">= 0", "-1"));
  EXPECT_TRUE(refused(made({.damping = 0}), "damping", "(0, 1e30]", "0"));
  EXPECT_TRUE(refused(made({.damping = std::nan("")}), "damping", "(0, 1e30]", ""));
  EXPECT_TRUE(refused(made({.micro_batches = 0}), "micro_batches", ">= 1", "0"));
  EXPECT_TRUE(refused(made({.gradient_scale = -1}), "gradient_scale", "(0, 1e300]", "-1"));
  EXPECT_TRUE(refused(made({.fall_back = {.window = 0}}), "fall_back.window", ">= 1", "0"));
  kfac pre(cpu, golden_layers, {.refresh_every = 1});
  const auto before = frugal::save_state(pre);
  std::vector<float> g(29, 1.f);
  EXPECT_TRUE(
      refused([&] { pre.precondition(g); }, "the observations of layer 'fc1.weight' before this step", "1", "0"));
  EXPECT_TRUE(same_bits(before, frugal::save_state(pre)));
  pre.config().refresh_every = 0;
  EXPECT_TRUE(refused([&] { pre.due(); }, "refresh_every", ">= 1", "0"));
  EXPECT_EQ(pre.state_bytes(), 2 * 4u * (32 + 32 + 32 + 32));  // 2 s ((i + 1)^2 + o^2), of multiples of 32
}

TEST(kfac, allocates_nothing) {
  kfac pre(cpu, golden_layers, {.refresh_every = 1, .damped = kfac_damping::by_traces});
  const auto a1 = rows_of<float>(cpu, 6, 3, 1), d1 = rows_of<float>(cpu, 6, 4, 2), a2 = rows_of<float>(cpu, 6, 4, 3),
             d2 = rows_of<float>(cpu, 6, 2, 4);
  std::vector<float> g(29, 1.f);
  const long before = allocations;
  for (int t = 0; t < 3; ++t) {
    pre.observe(0, a1(), d1());
    pre.observe(1, a2(), d2());
    pre.precondition(g);
  }
  EXPECT_EQ(allocations, before);
}

}  // namespace
