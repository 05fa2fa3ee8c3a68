// SPDX-License-Identifier: Apache-2.0
// With the registers of this processor; and statistics, which take long without optimisation.
#include <cmath>

#include "very_sparse_digest.hpp"
#include "very_sparse_golden.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using frugal::very_sparse;
using frugal::very_sparse_config;
const frugal::serial_backend cpu;

TEST(very_sparse_native, golden_products) {
  for (projection_case const& c : projection_cases())
    EXPECT_TRUE(same_bits(expected_products(c), products(cpu, c))) << c.name;
}
TEST(very_sparse_native, a_device_gives_the_bits_of_serial) { EXPECT_EQ(digest_of_products(cpu), very_sparse_digest); }

// Of k n entries the part 1 / s is not zero, half of those are negative, and no place is preferred.
TEST(very_sparse_native, counts_are_within_five_sigma) {
  for (auto [n, k, s] : {std::tuple<index_t, index_t, double>{500, 400, 1},
                         {500, 400, 3},
                         {500, 400, 15.9},
                         {500, 2000, 16},
                         {2048, 500, 100},
                         {8192, 300, 4096},
                         {16384, 200, 5000},
                         {8192, 200, 1e5}}) {
    const very_sparse p(cpu, n, k, {.s = s, .seed = 77});
    const index_t step = s > 50 ? n / 4096 + 1 : 1;  // some of the places, where there are many
    double looked = 0, count = 0, positive = 0, upper = 0;
    for (index_t r = 0; r < k; ++r)
      for (index_t j = r % step; j < n; j += step) {
        const int sign = p.sign(r, j);
        ++looked;
        count += sign != 0;
        positive += sign > 0;
        upper += sign != 0 && j >= n / 2;
      }
    EXPECT_NEAR(count, looked / s, 5 * std::sqrt(looked / s * (1 - 1 / s))) << s;
    EXPECT_NEAR(positive, count / 2, 5 * std::sqrt(count) / 2) << s;
    EXPECT_NEAR(upper, count / 2, 5 * std::sqrt(count) / 2 + double(k)) << s;
  }
}

// Pairs of entries of a row, in one cell and across: both are not zero with 1 / s^2, and their signs agree half the
// time.
TEST(very_sparse_native, entries_are_independent) {
  for (double s : {3., 16., 33.}) {
    constexpr index_t n = 70, rows = 8000;
    const very_sparse p(cpu, n, rows, {.s = s, .seed = 4});
    std::vector<int> both(n * n, 0), agree(n * n, 0);
    std::vector<index_t> at;
    for (index_t r = 0; r < rows; ++r) {
      at.clear();
      for (index_t j = 0; j < n; ++j)
        if (p.sign(r, j) != 0) at.push_back(j);
      for (index_t a : at)
        for (index_t b : at)
          if (a < b) {
            ++both[std::size_t(a * n + b)];
            agree[std::size_t(a * n + b)] += p.sign(r, a) == p.sign(r, b);
          }
    }
    const double rate = 1 / (s * s), sigma = std::sqrt(rows * rate * (1 - rate));
    for (index_t a = 0; a < n; ++a)
      for (index_t b = a + 1; b < n; ++b) {
        const int count = both[std::size_t(a * n + b)];
        ASSERT_NEAR(count, rows * rate, 5 * sigma) << s << ": " << a << ", " << b;
        ASSERT_NEAR(agree[std::size_t(a * n + b)], count / 2., 5 * std::sqrt(count) / 2) << s << ": " << a << ", " << b;
      }
  }
}

// E|Rx|^2 = |x|^2, Var = (2 |x|^4 + (s - 3) sum x^4) / k, and the same of products; R'R is the identity in the mean.
TEST(very_sparse_native, moments) {
  constexpr index_t n = 100, k = 32, seeds = 4000;  // the variance then has a standard error of 2.5 %
  const auto x = integers(n, 21), z = integers(n, 22);
  const double xx = dot(x, x), zz = dot(z, z), xz = dot(x, z);
  double x4 = 0, x2z2 = 0;
  for (std::size_t j = 0; j < x.size(); ++j) {
    const double a = double(x[j]) * double(x[j]), b = double(z[j]) * double(z[j]);
    x4 += a * a;
    x2z2 += a * b;
  }
  for (double s : {1., 3., 16., 40.}) {
    double norm = 0, norm2 = 0, product = 0, product2 = 0;
    std::vector<double> back(n, 0.);
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
      const very_sparse_config how{.s = s, .seed = seed};
      const auto rx = apply(how, x, k), rz = apply(how, z, k), xx_back = transpose(how, rx, n);
      const double a = dot(rx, rx), b = dot(rx, rz);
      norm += a, norm2 += a * a, product += b, product2 += b * b;
      for (std::size_t j = 0; j < x.size(); ++j) back[j] += double(xx_back[j]);
    }
    const double v = (2 * xx * xx + (s - 3) * x4) / k, w = (xx * zz + xz * xz + (s - 3) * x2z2) / k;
    norm /= seeds, norm2 /= seeds, product /= seeds, product2 /= seeds;
    EXPECT_NEAR(norm, xx, 4 * std::sqrt(v / seeds)) << s;
    EXPECT_NEAR(norm2 - norm * norm, v, 0.1 * v) << s;
    EXPECT_NEAR(product, xz, 4 * std::sqrt(w / seeds)) << s;
    EXPECT_NEAR(product2 - product * product, w, 0.1 * w) << s;
    // Column j of R'R x: x_j + the noise of the others, of variance (|x|^2 + (s - 2) x_j^2) / k.
    for (std::size_t j = 0; j < x.size(); ++j) {
      const double u = (xx + (s - 2) * double(x[j]) * double(x[j])) / k;
      EXPECT_NEAR(back[j] / seeds, double(x[j]), 4.5 * std::sqrt(u / seeds)) << s << ": " << j;
    }
  }
}

// Squared distances of 60 points, after over before: their standard deviation is sqrt(2 / k) for every s where the
// points are spread over the coordinates. Where one coordinate of each is large, a pair differs by two such, and by (s
// - 3) / 2 more under the root.
TEST(very_sparse_native, spread_data_keep_their_distances_and_spiky_ones_do_not) {
  constexpr index_t n = 3000, k = 300, points = 60;
  for (bool spiky : {false, true})
    for (double s : {3., 55.}) {
      very_sparse p(cpu, n, k, {.s = s, .seed = 8});
      std::vector<std::vector<float>> x, y;
      dice d(4);
      for (index_t i = 0; i < points; ++i) {
        x.emplace_back(std::size_t(n));
        for (float& v : x.back()) v = float(d.normal());
        if (spiky) x.back()[d.bits() % n] = 1000;
        y.emplace_back(std::size_t(k));
        p.apply(x.back(), y.back());
      }
      double sum = 0, squares = 0, pairs = 0;
      for (std::size_t i = 0; i < x.size(); ++i)
        for (std::size_t j = 0; j < i; ++j, ++pairs) {
          const auto distance = [&](auto const& v) { return dot(v[i], v[i]) - 2 * dot(v[i], v[j]) + dot(v[j], v[j]); };
          const double ratio = distance(y) / distance(x);
          sum += ratio;
          squares += ratio * ratio;
        }
      const double mean = sum / pairs, sigma = std::sqrt((2 + (spiky ? (s - 3) / 2 : 0)) / k);
      EXPECT_NEAR(mean, 1, 0.1) << s << (spiky ? " spiky" : "");
      EXPECT_NEAR(std::sqrt(squares / pairs - mean * mean), sigma, 0.2 * sigma) << s << (spiky ? " spiky" : "");
    }
}

}  // namespace
