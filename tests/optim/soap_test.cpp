// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/soap.hpp>

#include <cmath>

#include "support/backends.hpp"
#include "support/dense_suite.hpp"
#include "support/kronecker.hpp"
#include "support/narrow_moments.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using frugal::layout;
using frugal::soap;
using frugal::soap_config;
using frugal::types;
const frugal::serial_backend cpu;

soap_config config_of(golden_case const& c) {
  soap_config how{.lr = c.config("lr"),
                  .beta1 = c.config("beta1"),
                  .beta2 = c.config("beta2"),
                  .epsilon = c.config("eps"),
                  .weight_decay = c.config("wd"),
                  .statistics_beta = c.config("b"),
                  .frequency = index_t(c.config("f")),
                  .correct_bias = c.config("bias") != 0,
                  .normalise = c.config("normalise") != 0};
  how.vectors = c.name == "vector";
  if (c.name == "merged") how.merge_limit = 4;
  if (c.name == "long_side_left_out") how.one_sided = true;
  return how;
}

TEST(soap, defaults_are_the_released_code_s) {
  const soap_config c;
  EXPECT_EQ(c.lr, 3e-3);
  EXPECT_EQ(c.beta1, 0.95);
  EXPECT_EQ(c.beta2, 0.95);
  EXPECT_LT(c.statistics_beta, 0);
  EXPECT_EQ(c.epsilon, 1e-8);
  EXPECT_EQ(c.weight_decay, 0.01);
  EXPECT_EQ(c.frequency, 10);
  EXPECT_EQ(c.max_dim, 10000);
  EXPECT_TRUE(c.correct_bias);
  EXPECT_FALSE(c.normalise || c.one_sided || c.vectors || c.spread);
}

TEST(soap, golden_in_double) {
  for (golden_case const& c : read_golden("soap.txt")) {
    SCOPED_TRACE(c.name);
    const layout l{{"w", c.numbers<index_t>("given")}};
    soap opt(cpu, l, config_of(c), types<double>{});
    follow<double>(opt, c, 2e-11);
  }
}
TEST(soap, golden_in_float) {
  for (golden_case const& c : read_golden("soap.txt")) {
    SCOPED_TRACE(c.name);
    const layout l{{"w", c.numbers<index_t>("given")}};
    soap opt(cpu, l, config_of(c));
    follow<float>(opt, c, 2e-4);
  }
}

TEST(soap, an_axis_above_the_limit_has_no_basis) {
  // The limit and the option say the same.
  const layout l{{"w", {7, 4}}};
  soap a(cpu, l, {.frequency = 2, .max_dim = 5}), b(cpu, l, {.frequency = 2, .one_sided = true});
  auto x = numbers(28, 1), y = x;
  for (int t = 0; t < 6; ++t) a.step(x, numbers(28, 2 + t)), b.step(y, numbers(28, 2 + t));
  EXPECT_TRUE(same_bits(x, y));
  EXPECT_TRUE(same_bits(frugal::save_state(a), frugal::save_state(b)));
  EXPECT_EQ(a.state_bytes(), 4 * (2 * 28 + 2 * 16u));
}

// Turned coordinates: the steps turn with them.
TEST(soap, is_equivariant) {
  for (auto const& shape : {std::vector<index_t>{5, 5}, {3, 4, 3}}) {
    const layout l{{"w", shape}};
    const soap_config how{.lr = 0.1, .frequency = 3};
    soap plain(cpu, l, how, types<double>{}), turned(cpu, l, how, types<double>{});
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
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(y[i], want[i], 1e-12) << i;
  }
}

TEST(soap, signs_and_order_of_a_basis_do_not_matter) {
  const layout l{{"w", {4, 5}}};
  const soap_config how{.lr = 0.1, .frequency = 4};
  soap a(cpu, l, how, types<double>{}), b(cpu, l, how, types<double>{});
  auto x = normals(20, 1);
  for (int t = 0; t < 6; ++t) a.step(x, normals(20, std::uint64_t(t + 2)));
  frugal::snapshot s = frugal::save_state(a);
  auto m = piece<double>(s, "m"), v = piece<double>(s, "v"), q = piece<double>(s, "w.q0");
  for (int i = 0; i < 4; ++i) std::swap(q[std::size_t(4 * i)], q[std::size_t(4 * i + 2)]);  // columns 0 and 2
  for (int i = 0; i < 4; ++i) q[std::size_t(4 * i + 1)] = -q[std::size_t(4 * i + 1)];
  for (std::size_t j = 0; j < 5; ++j) {
    std::swap(m[j], m[10 + j]);
    std::swap(v[j], v[10 + j]);
    m[5 + j] = -m[5 + j];
  }
  inject(s, "m", m);
  inject(s, "v", v);
  inject(s, "w.q0", q);
  frugal::restore_state(b, s);
  auto y = x;
  for (int t = 0; t < 6; ++t) {
    a.step(x, normals(20, std::uint64_t(t + 20)));
    b.step(y, normals(20, std::uint64_t(t + 20)));
  }
  for (std::size_t i = 0; i < 20; ++i) EXPECT_NEAR(x[i], y[i], 1e-13);
}

TEST(soap, bases_stay_orthonormal_and_find_the_eigenvectors) {
  constexpr index_t n = 20;
  soap opt(cpu, layout{{"w", {n, n}}}, {.lr = 0, .statistics_beta = 0.9, .frequency = 1});
  std::vector<float> x(n * n);
  auto g = numbers(n * n, 1);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) g[std::size_t(i * n + j)] *= 1.f / float(1 + i);
  opt.step(x, numbers(n * n, 2));
  double first = 0;
  for (int t = 0; t < 400; ++t) {
    opt.step(x, g);
    const auto s = frugal::save_state(opt);
    const auto q = piece<float>(s, "w.q0"), p = piece<float>(s, "w.p0");
    double gram = 0, off = 0, all = 0;
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j) {
        double dot = 0, image = 0;
        for (int k = 0; k < n; ++k) {
          dot += double(q[std::size_t(k * n + i)]) * q[std::size_t(k * n + j)];
          double pq = 0;
          for (int h = 0; h < n && t % 100 == 99; ++h)
            pq += double(p[std::size_t(k * n + h)]) * q[std::size_t(h * n + j)];
          image += double(q[std::size_t(k * n + i)]) * pq;
        }
        gram = std::max(gram, std::abs(dot - (i == j)));
        all = std::max(all, std::abs(image));
        if (i != j) off = std::max(off, std::abs(image));
      }
    ASSERT_LT(gram, 50 * n * 0x1p-24) << t;
    if (t == 99) first = off / all;
    if (t == 399) {
      EXPECT_LT(off / all, first);
      EXPECT_LT(off / all, 1e-3);
    }
  }
}

// With nothing to turn it is Adam, whose first gradient went elsewhere, and whose epsilon is not corrected.
TEST(soap, without_axes_it_is_adam) {
  const double beta1 = 0.9, beta2 = 0.99, eps = 1e-3, lr = 0.1;
  for (layout const& l : {layout(12), layout{{"w", {3, 4}}}}) {
    soap opt(cpu, l, {.lr = lr, .beta1 = beta1, .beta2 = beta2, .epsilon = eps, .weight_decay = 0, .max_dim = 2},
             types<double>{});
    auto x = normals(12, 1), want = x;
    std::vector<double> m(12), v(12);
    opt.step(x, normals(12, 2));
    EXPECT_TRUE(same_bits(x, want));
    for (int t = 1; t <= 10; ++t) {
      const auto g = normals(12, std::uint64_t(2 + t));
      opt.step(x, g);
      for (std::size_t i = 0; i < 12; ++i) {
        m[i] = beta1 * m[i] + (1 - beta1) * g[i];
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
        const double c1 = 1 - std::pow(beta1, t), c2 = 1 - std::pow(beta2, t);
        want[i] -= lr * (m[i] / c1) / (std::sqrt(v[i] / c2) + eps / std::sqrt(c2));
        EXPECT_NEAR(x[i], want[i], 1e-13);
      }
    }
  }
}

TEST(soap, merged_axes) {
  using shape = std::vector<index_t>;
  EXPECT_EQ(frugal::merged_axes({2, 3, 4}, 6), (shape{6, 4}));
  EXPECT_EQ(frugal::merged_axes({64, 3, 3, 3}, 10), (shape{64, 9, 3}));
  EXPECT_EQ(frugal::merged_axes({7, 1, 11}, 8), (shape{7, 11}));
  EXPECT_EQ(frugal::merged_axes({20, 20}, 10), (shape{20, 20}));
  EXPECT_EQ(frugal::merged_axes({1, 1, 5}, 10), (shape{5}));
  EXPECT_EQ(frugal::merged_axes({1, 1}, 10), (shape{1}));
  EXPECT_EQ(frugal::merged_axes({2, 3}, 0), (shape{2, 3}));
}

TEST(soap, spread_bases_move_in_different_steps) {
  const std::vector<double> cost{8, 1, 27, 1, 1};
  EXPECT_EQ(frugal::detail::refresh_phases(cost, 10, false), (std::vector<index_t>{0, 0, 0, 0, 0}));
  EXPECT_EQ(frugal::detail::refresh_phases(cost, 10, true), (std::vector<index_t>{2, 4, 0, 6, 8}));
  EXPECT_EQ(frugal::detail::refresh_phases(cost, 2, true), (std::vector<index_t>{1, 1, 0, 1, 1}));
  const layout l{{"a", {5, 5}}, {"b", {4, 4}}};
  soap opt(cpu, l, {.frequency = 4, .spread = true});
  auto x = numbers(41, 1);
  std::vector<int> moved;
  opt.step(x, numbers(41, 2));
  for (int t = 1; t <= 8; ++t) {
    const auto before = frugal::save_state(opt);
    opt.step(x, numbers(41, std::uint64_t(2 + t)));
    const auto after = frugal::save_state(opt);
    for (int tensor = 0; tensor < 2; ++tensor) {
      const std::string name = tensor == 0 ? "a.q0" : "b.q0";
      if (!same_bits(piece<float>(before, name), piece<float>(after, name))) moved.push_back(10 * t + tensor);
    }
  }
  EXPECT_EQ(moved, (std::vector<int>{21, 40, 61, 80}));
}

TEST(soap, each_backend_gives_the_same_bits) {
  const layout l({{"w", {9, 5}, "slow"}, {"t", {3, 4, 2}}, {"b", {9}}}, {{.name = "slow", .lr = 0.5}});
  auto how = few_steps<soap_config>();
  for (bool normalise : {false, true}) {
    how.normalise = normalise;
    same_on_every_backend([&](auto const& b) { return trained<float>(soap(b, l, how), 6); });
  }
}
TEST(soap, a_device_gives_the_bits_of_serial) {  // which are these
  const auto how = few_steps<soap_config>();
  EXPECT_EQ(digest_of(trained<float>(soap(cpu, few_tensors(), how), 6)), soap_digest);
  EXPECT_EQ(digest_of(trained<frugal::bf16>(soap(cpu, few_tensors(), how, in_16_bits{}, at_random), 4)),
            soap_digest_in_16_bits);
}

TEST(soap, houses_options) {
  test_options([](layout const& l) { return soap(cpu, l, soap_config{.lr = 0.01, .frequency = 2}); });
}

// Where bases turn, moments turn with them, and are rounded once more.
TEST(soap, moments_of_16_bits) {
  auto how = few_steps<soap_config>();
  how.frequency = 100;
  expect_rounded_moments([&](auto storage) { return soap(cpu, few_tensors(), how, storage); });
  how.frequency = 1;
  const layout one{{"w", {30, 41}}};
  soap full(cpu, one, how);
  soap narrow(cpu, one, how, frugal::bf16_state{});
  const index_t n = one.size();
  auto x = numbers(n, 1), y = x;
  for (int t = 0; t < 12; ++t) {
    const auto g = numbers(n, std::uint64_t(2 + t));
    full.step(x, g), narrow.step(y, g);
  }
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], 2e-3) << i;  // of 0.1, a last place is 4e-4
  const auto m = piece<float>(frugal::save_state(full), "m");
  const auto m16 = piece<frugal::bf16>(frugal::save_state(narrow), "m");
  double error = 0, all = 0;
  for (std::size_t i = 0; i < m16.size(); ++i) {
    error += std::pow(m[i] - frugal::to_float(m16[i]), 2);
    all += std::pow(m[i], 2);
  }
  EXPECT_LT(std::sqrt(error / all), 0.02);
}

TEST(soap, refusals) {
  const layout l{{"w", {3, 3}}};
  const auto with = [&](soap_config c) { return [=] { soap(cpu, l, c); }; };
  EXPECT_TRUE(refused(with({.lr = -1}), "lr", "[0, 1e+30]", "-1"));
  EXPECT_TRUE(refused(with({.beta1 = 1}), "beta1", "[0, 1)", "1"));
  EXPECT_TRUE(refused(with({.statistics_beta = 1}), "statistics_beta", "[0, 1)", "1"));
  EXPECT_TRUE(refused(with({.frequency = 0}), "frequency", ">= 1", "0"));
  EXPECT_TRUE(refused(with({.max_dim = 0}), "max_dim", ">= 1", "0"));
  EXPECT_TRUE(refused(with({.merge_limit = -1}), "merge_limit", ">= 0", "-1"));
  EXPECT_TRUE(refused(with({.lr = 10, .weight_decay = 1}), "lr * weight_decay", "[0, 1]", "10"));
}

}  // namespace
