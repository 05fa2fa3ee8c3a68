// SPDX-License-Identifier: Apache-2.0
#include "very_sparse_golden.hpp"

#include <cmath>
#include <limits>

#include "support/allocations.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using frugal::very_sparse;
using frugal::very_sparse_config;
const frugal::serial_backend cpu;

// Of the words: a difference of one would show in one of 2^31 entries.
TEST(very_sparse, golden_limits) {
  for (projection_case const& c : projection_cases()) {
    std::vector<std::int64_t> limits;
    if (c.how.s < 16) limits.push_back(frugal::detail::entry_law(0, c.how.s).last);
    else
      for (std::int32_t last : frugal::detail::cell_law::counts(c.how.s)) limits.push_back(last);
    for (std::int64_t& each : limits) ++each;
    EXPECT_EQ(limits, c.limits) << c.name;
  }
}

TEST(very_sparse, golden_matrices) {
  for (projection_case const& c : projection_cases()) {
    if (c.signs.empty()) continue;
    const very_sparse p(cpu, c.inputs, c.outputs, c.how);
    for (index_t r = 0; r < c.outputs; ++r)
      for (index_t j = 0; j < c.inputs; ++j)
        ASSERT_EQ(p.sign(r, j), c.signs[std::size_t(r * c.inputs + j)]) << c.name << " (" << r << ", " << j << ")";
  }
}

TEST(very_sparse, golden_products_on_every_backend) {
  for (projection_case const& c : projection_cases()) {
    SCOPED_TRACE(c.name);
    const auto got = same_on_every_backend([&](auto const& b) { return products(b, c); });
    EXPECT_TRUE(same_bits(expected_products(c), got));
  }
}

TEST(very_sparse, sizes_on_every_backend) {
  for (auto [inputs, outputs, s] : {std::tuple<index_t, index_t, double>{1, 1, 1},
                                    {1, 1, 0},
                                    {1, 300, 20},
                                    {255, 3, 3},
                                    {256, 257, 16},
                                    {257, 4, 0},
                                    {4095, 2, 1},
                                    {4097, 255, 60},
                                    {100003, 7, 0},
                                    {8193, 513, 5000}}) {
    SCOPED_TRACE(testing::Message() << inputs << " to " << outputs << ", s = " << s);
    const auto x = numbers(inputs, 1), y = numbers(outputs, 2);
    same_on_every_backend([&, n = inputs, k = outputs, s = s](auto const& b) {
      using B = std::decay_t<decltype(b)>;
      very_sparse p(b, n, k, {.s = s, .seed = 11});
      there<float, B> from(b, x, 2), to(b, y), back(b, x, 5);
      p.apply(from.constant(), to.all());
      p.add_transpose(to.constant(), back.all(), 0.37);
      auto out = to.get();
      const auto more = back.get();
      out.insert(out.end(), more.begin(), more.end());
      return out;
    });
  }
}

// s = k: the factor is one.
TEST(very_sparse, products_are_those_of_the_matrix) {
  for (auto [n, k] : {std::pair<index_t, index_t>{50, 1}, {333, 3}, {1000, 16}, {3000, 300}}) {
    const very_sparse_config how{.s = double(k), .seed = 5};
    const very_sparse p(cpu, n, k, how);
    const auto x = integers(n, 1), z = integers(n, 2), y = integers(k, 3);
    std::vector<float> forward(std::size_t(k), 0.f), back(std::size_t(n), 0.f), both(x);
    for (index_t r = 0; r < k; ++r)
      for (index_t j = 0; j < n; ++j) {
        forward[std::size_t(r)] += float(p.sign(r, j)) * x[std::size_t(j)];
        back[std::size_t(j)] += float(p.sign(r, j)) * y[std::size_t(r)];
      }
    const auto rx = apply(how, x, k), rz = apply(how, z, k), ry = transpose(how, y, n);
    EXPECT_EQ(forward, rx);
    EXPECT_EQ(back, ry);
    EXPECT_EQ(dot(rx, y), dot(x, ry));
    for (std::size_t j = 0; j < both.size(); ++j) both[j] = 2 * x[j] - z[j];
    const auto sum = apply(how, both, k);
    for (std::size_t r = 0; r < sum.size(); ++r) EXPECT_EQ(sum[r], 2 * rx[r] - rz[r]);
  }
}

TEST(very_sparse, values_are_zero_or_the_factor) {
  for (double s : {1., 3., 16., 77.5}) {
    const index_t n = 200, k = 40;
    very_sparse p(cpu, n, k, {.s = s, .seed = 2});
    EXPECT_EQ(p.factor(), std::sqrt(s / double(k)));
    std::vector<float> x(std::size_t(n), 0.f), y(std::size_t(k), 0.f);
    for (index_t j = 0; j < n; j += 13) {
      x.assign(x.size(), 0.f);
      x[std::size_t(j)] = 1;
      p.apply(x, y);
      for (index_t r = 0; r < k; ++r)
        EXPECT_EQ(y[std::size_t(r)], float(p.sign(r, j) * p.factor())) << s << " (" << r << ", " << j << ")";
    }
  }
}

TEST(very_sparse, transposes_are_put_or_added_with_a_scale) {
  for (double s : {3., 30.}) {
    very_sparse p(cpu, 100, 40, {.s = s});
    const auto y = numbers(40, 1), x = numbers(100, 2);
    std::vector<float> once(100), twice(100), sum(x);
    p.apply_transpose(y, once);
    p.apply_transpose(y, twice, -2);
    p.add_transpose(y, sum, -2);
    for (std::size_t j = 0; j < 100; ++j) {
      EXPECT_EQ(twice[j], -2 * once[j]);
      EXPECT_EQ(sum[j], x[j] + twice[j]);
    }
  }
}

// An element reaches the outputs whose row has its column, and no others.
TEST(very_sparse, infinities_stay_where_they_belong) {
  for (double s : {3., 16., 40.})
    for (index_t j : {0, 1, 50, 99}) {
      very_sparse p(cpu, 100, 60, {.s = s, .seed = 3});
      auto x = integers(100, 1), y = std::vector<float>(60);
      x[std::size_t(j)] = std::numeric_limits<float>::infinity();
      p.apply(x, y);
      for (index_t r = 0; r < 60; ++r) EXPECT_EQ(std::isinf(y[std::size_t(r)]), p.sign(r, j) != 0);
      y.assign(60, 1.f);
      y[std::size_t(j % 60)] = std::numeric_limits<float>::infinity();
      p.apply_transpose(y, x);
      for (index_t i = 0; i < 100; ++i) EXPECT_EQ(std::isinf(x[std::size_t(i)]), p.sign(j % 60, i) != 0);
    }
}

// R of fewer rows or columns is a part of R.
TEST(very_sparse, entries_depend_on_their_place_alone) {
  for (double s : {3., 40.}) {
    const very_sparse large(cpu, 1000, 50, {.s = s, .seed = 9}), small(cpu, 301, 7, {.s = s, .seed = 9}),
        other(cpu, 301, 7, {.s = s, .seed = 10});
    int differ = 0;
    for (index_t r = 0; r < 7; ++r)
      for (index_t j = 0; j < 301; ++j) {
        ASSERT_EQ(small.sign(r, j), large.sign(r, j));
        differ += small.sign(r, j) != other.sign(r, j);
      }
    EXPECT_GT(differ, 20);
  }
}

TEST(very_sparse, another_seed_is_another_matrix) {
  for (double s : {3., 40.}) {
    very_sparse p(cpu, 500, 30, {.s = s, .seed = 1}), q(cpu, 500, 30, {.s = s, .seed = 2});
    p.reseed(2);
    EXPECT_EQ(p.seed(), 2u);
    const auto x = numbers(500, 1);
    std::vector<float> a(30), b(30), back_a(500), back_b(500);
    p.apply(x, a);
    q.apply(x, b);
    p.apply_transpose(a, back_a);
    q.apply_transpose(b, back_b);
    EXPECT_EQ(a, b);
    EXPECT_EQ(back_a, back_b);
    for (index_t j = 0; j < 500; ++j) ASSERT_EQ(p.sign(3, j), q.sign(3, j));
  }
}

TEST(very_sparse, density_by_the_number_of_inputs) {
  EXPECT_EQ(very_sparse(cpu, 10000, 3).s(), 100);
  EXPECT_EQ(very_sparse(cpu, 10, 3).s(), std::sqrt(10.));
  EXPECT_EQ(very_sparse(cpu, 1, 3).s(), 1);
  EXPECT_EQ(very_sparse(cpu, 10000, 3, {.s = frugal::achlioptas}).s(), 3);
  EXPECT_EQ(very_sparse(cpu, 10000, 3, {.s = frugal::dense_signs}).s(), 1);
}

TEST(very_sparse, outputs_by_johnson_and_lindenstrauss) {
  using frugal::johnson_lindenstrauss_size;
  EXPECT_EQ(johnson_lindenstrauss_size(1e6, 0.5), 663);
  EXPECT_EQ(johnson_lindenstrauss_size(1e6, 0.1), 11841);
  EXPECT_EQ(johnson_lindenstrauss_size(500, 0.2), 1434);
  const auto size = johnson_lindenstrauss_size;
  for (double n : {1., 0., -5., std::nan(""), std::numeric_limits<double>::infinity()})
    EXPECT_THROW(size(n, 0.5), frugal::invalid_argument) << n;
  EXPECT_TRUE(refused([&] { size(-5, 0.5); }, "the number of points", "2 to 1e300", "-5"));
  for (double eps : {0., 1., -0.1, std::nan("")}) EXPECT_THROW(size(100, eps), frugal::invalid_argument) << eps;
  EXPECT_TRUE(refused([&] { size(100, 1); }, "eps", "(0, 1)", "1"));
  EXPECT_TRUE(refused([&] { size(100, 1e-7); }, "the outputs that eps asks for", "1 to 2^40", "3.68414e+15"));
}

TEST(very_sparse, a_product_allocates_nothing) {
  for (double s : {3., 50.}) {
    very_sparse p(cpu, 5000, 30, {.s = s});
    std::vector<float> x(5000, 1.f), y(30);
    const long before = allocations;
    p.apply(x, y);
    p.add_transpose(y, x);
    EXPECT_EQ(allocations, before);
  }
}

TEST(very_sparse, mistakes_are_refused) {
  const auto make = [](index_t n, index_t k, double s) { very_sparse p(cpu, n, k, {.s = s}); };
  EXPECT_TRUE(refused([&] { make(0, 1, 3); }, "the inputs of a projection", "1 to 2^40", "0"));
  EXPECT_TRUE(refused([&] { make(1, 0, 3); }, "the outputs of a projection", "1 to 2^40", "0"));
  EXPECT_TRUE(
      refused([&] { make((index_t(1) << 40) + 1, 1, 3); }, "the inputs of a projection", "1 to 2^40", "1099511627777"));
  for (double s : {-1., 0.5, 0x1p33, std::nan("")}) EXPECT_THROW(make(10, 10, s), frugal::invalid_argument) << s;
  very_sparse p(cpu, 10, 4, {.s = 3});
  std::vector<float> x(10, 1.f), y(4, 2.f);
  EXPECT_TRUE(refused([&] { p.apply(y, y); }, "x of a projection", "10 elements", "4"));
  EXPECT_TRUE(refused([&] { p.apply(x, x); }, "y of a projection", "4 elements", "10"));
  EXPECT_TRUE(refused([&] { p.apply_transpose(x, y); }, "x of a projection", "10 elements", "4"));
  EXPECT_TRUE(refused(
      [&] {
        p.apply({static_cast<float*>(nullptr), 10}, y);
      },
      "x and y of a projection", "pointers", "null"));
  EXPECT_TRUE(refused(
      [&] {
        p.apply(x, {x.data() + 3, 4});
      },
      "x and y of a projection", "memory of their own each", "an overlap"));
  EXPECT_TRUE(
      refused([&] { p.add_transpose(y, x, std::nan("")); }, "the scale of a projection", "[-1e+30, 1e+30]", "nan"));
  EXPECT_TRUE(refused([&] { (void)p.sign(4, 0); }, "a row of R", "below 4", "4"));
  EXPECT_TRUE(refused([&] { (void)p.sign(0, -1); }, "a column of R", "below 10", "-1"));
  EXPECT_EQ(x, std::vector<float>(10, 1.f));
  EXPECT_EQ(y, std::vector<float>(4, 2.f));
}

}  // namespace
