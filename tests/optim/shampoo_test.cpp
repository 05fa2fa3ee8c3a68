// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/shampoo.hpp>

#include <cmath>

#include "support/backends.hpp"
#include "support/dense_suite.hpp"
#include "support/kronecker.hpp"
#include "support/narrow_moments.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using frugal::layout;
using frugal::shampoo;
using frugal::shampoo_config;
using frugal::types;
const frugal::serial_backend cpu;

shampoo_config config_of(golden_case const& c) {
  return {.lr = c.config("lr"),
          .beta1 = c.config("beta1"),
          .beta2 = c.config("beta2"),
          .epsilon = c.config("eps"),
          .graft_epsilon = c.config("eps_g"),
          .weight_decay = c.config("wd"),
          .exponent = c.config("exponent"),
          .frequency = index_t(c.config("f")),
          .accumulate = c.config("accumulate") != 0,
          .graft = c.config("graft") != 0,
          .max_dim = index_t(c.config("most")),
          .merge_limit = c.name == "merged" ? 4 : 0,
          .vectors = c.name == "vector"};
}

TEST(shampoo, golden) {
  for (golden_case const& c : read_golden("shampoo.txt")) {
    SCOPED_TRACE(c.name);
    const layout l{{"w", c.numbers<index_t>("given")}};
    shampoo wide(cpu, l, config_of(c), types<double>{});
    follow<double>(wide, c, 1e-9);  // eigenvalues of 0 err by the largest's rounding, beside an epsilon of 1e-6
    shampoo opt(cpu, l, config_of(c));
    follow<float>(opt, c, 2e-3);
  }
}

TEST(shampoo, defaults) {
  const shampoo_config c;
  EXPECT_EQ(c.beta1, 0.9);
  EXPECT_EQ(c.beta2, 0.999);
  EXPECT_EQ(c.graft_epsilon, 1e-8);
  EXPECT_EQ(c.frequency, 20);
  EXPECT_EQ(c.max_dim, 1024);
  EXPECT_TRUE(c.graft);
}

// Of a 1 x 1 tensor it is Adagrad.
TEST(shampoo, of_one_number_is_adagrad) {
  shampoo opt(cpu, layout{{"w", {1, 1}}},
              {.lr = 0.1, .beta1 = 0, .epsilon = 0.01, .frequency = 1, .accumulate = true, .graft = false},
              types<double>{});
  std::vector<double> x{2};
  double want = 2, sum = 0.01;
  opt.step(x, std::vector<double>{3});
  EXPECT_NEAR(x[0], 1.9000555093, 5e-11);
  want = x[0], sum += 9;
  for (double g : {-1., 0.5, 4.}) {
    opt.step(x, std::vector<double>{g});
    want -= 0.1 * g / std::sqrt(sum += g * g);
    EXPECT_NEAR(x[0], want, 1e-14);
  }
}
// Gradients with a diagonal only: each entry is by itself.
TEST(shampoo, of_diagonals_is_the_diagonal_formula) {
  shampoo opt(cpu, layout{{"w", {3, 3}}},
              {.lr = 0.1, .beta1 = 0, .epsilon = 1e-4, .frequency = 1, .accumulate = true, .graft = false},
              types<double>{});
  std::vector<double> x(9), want(3), sum(3, 1e-4);
  for (int t = 0; t < 10; ++t) {
    std::vector<double> g(9);
    for (std::size_t i = 0; i < 3; ++i) {
      g[4 * i] = normals(3, std::uint64_t(t))[i];
      sum[i] += g[4 * i] * g[4 * i];
      want[i] -= 0.1 * g[4 * i] / std::sqrt(sum[i]);
    }
    opt.step(x, g);
    for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(x[i], i % 4 == 0 ? want[i / 4] : 0, 1e-13);
  }
}

TEST(shampoo, is_equivariant) {
  const shampoo_config how{.lr = 0.1, .epsilon = 1e-2, .frequency = 3, .graft = false};
  for (auto const& shape : {std::vector<index_t>{6, 4}, {3, 4, 3}})
    EXPECT_LT(turned_apart(shape, [&](layout const& l) { return shampoo(cpu, l, how, types<double>{}); }), 1e-12);
}

// root^(1 / e) (P + epsilon I) = I.
TEST(shampoo, roots_are_roots) {
  constexpr int n = 6;
  shampoo opt(cpu, layout{{"w", {n, 2 * n}}}, {.beta1 = 0, .epsilon = 1e-3, .frequency = 1, .accumulate = true},
              types<double>{});
  std::vector<double> x(2 * n * n);
  for (int t = 0; t < 3; ++t) opt.step(x, normals(2 * n * n, std::uint64_t(t)));
  const auto s = frugal::save_state(opt);
  const auto p = piece<double>(s, "w.p0"), q = piece<double>(s, "w.q0");
  auto product = p;
  for (int i = 0; i < n; ++i) product[std::size_t(i * n + i)] += 1e-3;
  for (int k = 0; k < 4; ++k) product = along(product, {n, n}, 0, q);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) EXPECT_NEAR(product[std::size_t(i * n + j)], i == j, 1e-8);
}

// The norm of a grafted step is that of Adam's, and tensors without matrices go along Adam.
TEST(shampoo, steps_are_as_long_as_adam_s) {
  const double beta1 = 0.9, beta2 = 0.999, lr = 0.1;
  shampoo opt(cpu, layout{{"w", {4, 5}}, {"b", {6}}}, {.lr = lr, .frequency = 2}, types<double>{});
  auto x = normals(26, 1);
  std::vector<double> m(26), v(26);
  for (int t = 1; t <= 8; ++t) {
    const auto g = normals(26, std::uint64_t(t + 5)), before = x;
    opt.step(x, g);
    double adam = 0, own = 0;
    for (std::size_t i = 0; i < 26; ++i) {
      m[i] = beta1 * m[i] + (1 - beta1) * g[i];
      v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
      const double a = lr * m[i] / (1 - std::pow(beta1, t)) / (std::sqrt(v[i] / (1 - std::pow(beta2, t))) + 1e-8);
      if (i >= 20) EXPECT_NEAR(before[i] - x[i], a, 1e-13);
      else adam += a * a, own += (x[i] - before[i]) * (x[i] - before[i]);
    }
    EXPECT_NEAR(std::sqrt(own / adam), 1, 1e-12) << t;
  }
}

// Regret (Theorem 7 of Gupta et al.): online regression with gradients of rank one.
TEST(shampoo, regret_is_bounded) {
  constexpr index_t m = 6, n = 4;
  const double lr = 0.5;
  shampoo opt(cpu, layout{{"w", {m, n}}},
              {.lr = lr, .beta1 = 0, .epsilon = 1e-4, .frequency = 1, .accumulate = true, .graft = false},
              types<double>{});
  const auto target = normals(m * n, 1);
  std::vector<double> x(m * n);
  double regret = 0, far = 0;
  for (int t = 0; t < 400; ++t) {  // f = |x b - target b|^2 / 2 along one row a: (a^T (x - target) b)^2 / 2
    const auto a = normals(m, std::uint64_t(100 + t)), b = normals(n, std::uint64_t(900 + t));
    double r = 0, distance = 0;
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        const double d = x[i * n + j] - target[i * n + j];
        r += a[i] * d * b[j];
        distance += d * d;
      }
    regret += r * r / 2;
    far = std::max(far, distance);
    std::vector<double> g(m * n);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j) g[i * n + j] = r * a[i] * b[j];
    opt.step(x, g);
  }
  const auto s = frugal::save_state(opt);
  const auto trace_of_root = [&](std::string const& name, index_t d) {
    const frugal::linalg la(cpu);
    auto p = piece<double>(s, name);
    std::vector<double> w(p.size() / std::size_t(d)), vectors(p.size());
    auto eigen = la.eigen<double>(d);
    eigen(frugal::mat_view<double>(p.data(), d, d), w, frugal::mat_view<double>(vectors.data(), d, d));
    double sum = 0;
    for (double each : w) sum += std::pow(each + 1e-4, 0.25);
    return sum;
  };
  EXPECT_LT(regret, (far / (2 * lr) + lr) * trace_of_root("w.p0", m) * trace_of_root("w.p1", n));
  EXPECT_GT(regret, 0);
}

TEST(shampoo, blocks_are_tensors_of_their_own) {
  // Without a graft, a tensor in two blocks is two tensors.
  const shampoo_config how{.lr = 0.1, .frequency = 2, .graft = false, .max_dim = 3};
  shampoo one(cpu, layout{{"w", {6, 3}}}, how), two(cpu, layout{{"a", {3, 3}}, {"b", {3, 3}}}, how);
  auto x = numbers(18, 1), y = x;
  for (int t = 0; t < 6; ++t)
    one.step(x, numbers(18, std::uint64_t(t + 2))), two.step(y, numbers(18, std::uint64_t(t + 2)));
  EXPECT_TRUE(same_bits(x, y));
  EXPECT_TRUE(
      same_bits(piece<float>(frugal::save_state(one), "w[3,0].q1"), piece<float>(frugal::save_state(two), "b.q1")));
}

// Which roots are renewed when; and that nothing else differs.
TEST(shampoo, spread_roots_are_renewed_in_different_steps) {
  const layout l{{"a", {5, 5}}, {"b", {4, 4}}};
  shampoo apart(cpu, l, {.frequency = 4, .spread = true}), at_once(cpu, l, {.frequency = 4}),
      always(cpu, l, {.frequency = 1});
  auto x = numbers(41, 1), y = x, z = x;
  std::vector<int> moved;
  for (int t = 1; t <= 9; ++t) {
    const auto before = frugal::save_state(apart);
    const auto g = numbers(41, std::uint64_t(2 + t));
    apart.step(x, g), at_once.step(y, g), always.step(z, g);
    const auto after = frugal::save_state(apart), other = frugal::save_state(at_once), now = frugal::save_state(always);
    for (int tensor = 0; tensor < 2; ++tensor) {
      const std::string name = tensor == 0 ? "a.q0" : "b.q0";
      if (same_bits(piece<float>(before, name), piece<float>(after, name))) continue;
      moved.push_back(10 * t + tensor);
      EXPECT_TRUE(same_bits(piece<float>(after, name), piece<float>(now, name))) << t << ", " << name;
    }
    for (char const* name : {"m", "v", "a.p0", "a.q0", "a.q1", "b.p0", "b.p1"})  // a's turn is as without
      EXPECT_TRUE(same_bits(piece<float>(after, name), piece<float>(other, name))) << t << ", " << name;
    EXPECT_EQ(same_bits(std::vector<float>(x.begin(), x.begin() + 25), {y.begin(), y.begin() + 25}), true) << t;
    EXPECT_EQ(same_bits(std::vector<float>(x.begin() + 25, x.end()), {y.begin() + 25, y.end()}), t < 2) << t;
  }
  EXPECT_EQ(moved, (std::vector<int>{10, 11, 21, 40, 61, 80}));  // all in the first
}

// 2 m n + 2 m^2 + 2 n^2 numbers, of each block.
TEST(shampoo, state_bytes) {
  const layout l{{"w", {7, 4}}};
  EXPECT_EQ(shampoo(cpu, l).state_bytes(), 744u);  // 4 (56 + 98 + 32)
  EXPECT_EQ(shampoo(cpu, l, {}, types<double>{}).state_bytes(), 1488u);
  EXPECT_EQ(shampoo(cpu, l, {}, frugal::bf16_state{}).state_bytes(), 632u);  // 2 * 56 + 4 (98 + 32)
  // 4 x 4 and 3 x 4: 4 (32 + 32 + 32) and 4 (24 + 18 + 32)
  EXPECT_EQ(shampoo(cpu, l, {.max_dim = 4}).state_bytes(), 680u);
}

TEST(shampoo, each_backend_gives_the_same_bits) {
  const layout l({{"w", {9, 5}, "slow"}, {"t", {3, 4, 2}}, {"b", {9}}}, {{.name = "slow", .lr = 0.5}});
  same_on_every_backend([&](auto const& b) { return trained<float>(shampoo(b, l, few_steps<shampoo_config>(4)), 6); });
  const auto how = few_steps<shampoo_config>(12);
  const auto on = [&](auto const& b) { return trained<float>(shampoo(b, odd_extents(), how), 3); };
  EXPECT_TRUE(same_bits(on(cpu), on(frugal::emulated_backend({.seed = 1, .lanes = 5}))));
}
TEST(shampoo, a_device_gives_the_bits_of_serial) {  // which are these
  const auto how = few_steps<shampoo_config>(32);
  EXPECT_EQ(digest_of(trained<float>(shampoo(cpu, few_tensors(), how), 6)), shampoo_digest);
}

TEST(shampoo, houses_options) {
  test_options([](layout const& l, auto... p) {
    return shampoo(cpu, l, shampoo_config{.lr = 0.01, .weight_decay = 0.1, .frequency = 2, .max_dim = 5}, p...);
  });
}

TEST(shampoo, moments_of_16_bits) {
  auto how = few_steps<shampoo_config>(32);
  how.graft = false;  // whose norm is that of the rounded moments
  expect_rounded_moments([&](auto storage) { return shampoo(cpu, few_tensors(), how, storage); });
}

TEST(shampoo, refusals) {
  const layout l{{"w", {3, 3}}};
  const auto with = [&](shampoo_config c) { return [=] { shampoo(cpu, l, c); }; };
  EXPECT_TRUE(refused(with({.lr = -1}), "lr", "[0, 1e+30]", "-1"));
  EXPECT_TRUE(refused(with({.beta2 = 1}), "beta2", "[0, 1)", "1"));
  for (double epsilon : {1e-320, 9e-31, 2e30, std::nan("")})
    EXPECT_TRUE(refused(with({.epsilon = epsilon}), "epsilon", "[1e-30, 1e30], 0 or less", ""));
  shampoo(cpu, l, {.epsilon = 1e-30}), shampoo(cpu, l, {.epsilon = 0});
  EXPECT_TRUE(refused(with({.graft_epsilon = -1}), "graft_epsilon", "[0, 1e+30]", "-1"));
  EXPECT_TRUE(refused(with({.exponent = -0.5}), "exponent", "[0, 100]", "-0.5"));
  EXPECT_TRUE(refused(with({.frequency = 0}), "frequency", ">= 1", "0"));
  EXPECT_TRUE(refused(with({.max_dim = 0}), "max_dim", ">= 1", "0"));
  const layout many{{"w", std::vector<index_t>(10, 2)}};
  EXPECT_TRUE(refused([&] { shampoo(cpu, many, {.max_dim = 1}); }, "the axes of tensor 'w', which is cut into blocks",
                      "at most 9", "10"));
}

}  // namespace
