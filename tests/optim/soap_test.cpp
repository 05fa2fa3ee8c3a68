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
}
// 2 m n + 2 m^2 + 2 n^2 numbers, of one side 2 m n + 2 s^2.
TEST(soap, state_bytes) {
  const layout l{{"w", {7, 4}}};
  EXPECT_EQ(soap(cpu, l).state_bytes(), 744u);  // 4 (56 + 98 + 32)
  EXPECT_EQ(soap(cpu, l, {}, types<double>{}).state_bytes(), 1488u);
  EXPECT_EQ(soap(cpu, l, {}, frugal::bf16_state{}).state_bytes(), 632u);  // 2 * 56 + 4 (98 + 32)
  EXPECT_EQ(soap(cpu, l, {.one_sided = true}).state_bytes(), 352u);       // 4 (56 + 32)
}

TEST(soap, is_equivariant) {
  for (auto const& shape : {std::vector<index_t>{5, 5}, {3, 4, 3}}) {
    const auto apart = [&](soap_config const& how) {
      return turned_apart(shape, [&](layout const& l) { return soap(cpu, l, how, types<double>{}); });
    };
    EXPECT_LT(apart({.lr = 0.1, .frequency = 3}), 1e-12);
    EXPECT_GT(apart({.lr = 0.1, .frequency = 3, .max_dim = 2}), 0.1) << "without bases, elementwise";
  }
}

std::vector<double> times(std::vector<double> const& a, std::vector<double> const& b, index_t n) {
  return along(b, {n, index_t(b.size()) / n}, 0, a);
}
std::vector<double> transpose(std::vector<double> const& a, index_t rows) {
  const auto m = std::size_t(rows), n = a.size() / m;
  std::vector<double> t(a.size());
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) t[j * m + i] = a[i * n + j];
  return t;
}
// a^(-1/2), by Newton's iteration.
std::vector<double> inverse_root(std::vector<double> y, index_t n) {
  double norm = 0;
  for (double v : y) norm += v * v;
  norm = std::sqrt(norm);
  std::vector<double> z(y.size());
  for (std::size_t i = 0; i < y.size(); ++i) y[i] /= norm, z[i] = i % std::size_t(n + 1) == 0;
  for (int k = 0; k < 40; ++k) {
    auto t = times(z, y, n);
    for (std::size_t i = 0; i < t.size(); ++i) t[i] = (i % std::size_t(n + 1) == 0 ? 1.5 : 0) - t[i] / 2;
    y = times(y, t, n), z = times(t, z, n);
  }
  for (double& v : z) v /= std::sqrt(norm);
  return z;
}
// Shampoo with the power 1/2 is Adafactor in the eigenbasis of its statistics (Claim 1 of the paper), for any gradient:
// with L, R and A the same means of G G^T, G^T G and the squares of Q_0^T G Q_1, sqrt(tr L) L^(-1/2) G R^(-1/2) is Q_0
// (Q_0^T G Q_1 / sqrt(row sums of A * column sums / sum)) Q_1^T. L, R and A are SOAP's P and v.
TEST(soap, its_moments_are_those_of_shampoo_and_adafactor) {
  constexpr index_t m = 4, n = 5;
  const soap_config how{.lr = 0.1, .beta2 = 0.8, .frequency = 100};
  const auto run = [&](std::vector<double> const& q0, std::vector<double> const& q1) {
    soap opt(cpu, layout{{"w", {m, n}}}, how, types<double>{});
    std::vector<double> x(m * n);
    opt.step(x, std::vector<double>(m * n));  // begins with P = 0
    auto s = frugal::save_state(opt);
    inject(s, "w.q0", q0), inject(s, "w.q1", q1);
    frugal::restore_state(opt, s);
    for (int t = 0; t < 12; ++t) opt.step(x, normals(m * n, std::uint64_t(t)));
    return frugal::save_state(opt);
  };
  const auto any0 = orthogonal(m, 1), any1 = orthogonal(n, 2);
  const auto s = run(any0, any1);
  const auto L = piece<double>(s, "w.p0"), R = piece<double>(s, "w.p1");
  const auto basis = [](std::vector<double> p, index_t d) {
    std::vector<double> w(static_cast<std::size_t>(d)), q(p.size());
    const frugal::linalg la(cpu);
    auto eigen = la.eigen<double>(d);
    eigen(frugal::mat_view<double>(p.data(), d, d), w, frugal::mat_view<double>(q.data(), d, d));
    return q;
  };
  const auto q0 = basis(L, m), q1 = basis(R, n);
  const auto rootL = inverse_root(L, m), rootR = inverse_root(R, n);
  double trace = 0;
  for (std::size_t i = 0; i < m; ++i) trace += L[i * (m + 1)];
  const auto apart = [&](std::vector<double> const& u, std::vector<double> const& v, std::vector<double> const& g) {
    const auto a = piece<double>(run(u, v), "v");
    std::vector<double> rows(m), cols(n);
    double all = 0;
    for (std::size_t i = 0; i < m * n; ++i) rows[i / n] += a[i], cols[i % n] += a[i], all += a[i];
    auto d = along(along(g, {m, n}, 0, transpose(u, m)), {m, n}, 1, transpose(v, n));
    for (std::size_t i = 0; i < m * n; ++i) d[i] /= std::sqrt(rows[i / n] * cols[i % n] / all);
    d = along(along(d, {m, n}, 0, u), {m, n}, 1, v);
    const auto want = along(along(g, {m, n}, 0, rootL), {m, n}, 1, rootR);
    double most = 0;
    for (std::size_t i = 0; i < m * n; ++i) most = std::max(most, std::abs(d[i] - std::sqrt(trace) * want[i]));
    return most;
  };
  for (std::uint64_t seed : {3, 99}) {  // one of the gradients, and another
    EXPECT_LT(apart(q0, q1, normals(m * n, seed)), 1e-10);
    EXPECT_GT(apart(any0, any1, normals(m * n, seed)), 0.1) << "in another basis";
  }
}

// |A (X - X*) A|^2 / 2, A of condition 30 in a basis of its own: the Hessian's is 30^4. The best of some rates, which
// fall to 0; final over initial loss.
TEST(soap, converges_where_adam_crawls) {
  constexpr index_t n = 8;
  std::vector<double> a(n * n);
  const auto turn = orthogonal(n, 5);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t k = 0; k < n; ++k)
        a[i * n + j] += turn[k * n + i] * std::pow(30., -double(k) / (n - 1)) * turn[k * n + j];
  const auto target = normals(n * n, 6);
  const auto best = [&](index_t max_dim) {
    double least = 1;
    for (double lr : {0.01, 0.03, 0.1, 0.3, 1.}) {
      soap opt(cpu, layout{{"w", {n, n}}}, {.weight_decay = 0, .max_dim = max_dim}, types<double>{});
      std::vector<double> x(n * n), r(n * n);
      const auto loss = [&] {
        for (std::size_t i = 0; i < r.size(); ++i) r[i] = x[i] - target[i];
        r = along(along(r, {n, n}, 0, a), {n, n}, 1, a);
        double sum = 0;
        for (double v : r) sum += v * v / 2;
        return sum;
      };
      const double first = loss();
      constexpr int steps = 400;
      for (int t = 0; t < steps; ++t) {
        loss();
        opt.config().lr = lr * (1 - double(t) / steps);
        opt.step(x, along(along(r, {n, n}, 0, a), {n, n}, 1, a));
      }
      least = std::min(least, loss() / first);
    }
    return least;
  };
  const double with = best(n), without = best(1);
  RecordProperty("losses", std::to_string(with) + " and " + std::to_string(without));
  EXPECT_LT(with, without / 1000) << with << " and " << without;
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
  how = few_steps<soap_config>(40);
  const auto on = [&](auto const& b) { return trained<float>(soap(b, odd_extents(), how), 4); };
  EXPECT_TRUE(same_bits(on(cpu), on(frugal::emulated_backend({.seed = 1, .lanes = 5}))));
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
