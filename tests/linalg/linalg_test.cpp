// SPDX-License-Identifier: Apache-2.0
// Products against three nested loops, bit for bit, and against an independent script; every backend and provider.
#include <frugal/core/hash.hpp>
#include <frugal/linalg/eigen.hpp>

#include <limits>

#include "linalg/linalg_bits.hpp"
#include "support/allocations.hpp"
#include "support/backends.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace frugal_test {
namespace {

using frugal::index_t;
using frugal::linalg;
using frugal::transposed;
using cpu = frugal::serial_backend;

// What the builtin provider promises: alpha sum_k a_ik b_kj + beta c_ij, each operation rounded, k ascending.
template <class T>
std::vector<T> by_loops(T alpha, std::vector<T> const& a, bool fa, index_t lda, std::vector<T> const& b, bool fb,
                        index_t ldb, T beta, std::vector<T> c, index_t ldc, index_t m, index_t n, index_t k) {
  using one = frugal::lanes<T, 1>;
  const auto at = [](std::vector<T> const& x, index_t i, index_t j, index_t ld, bool flipped) {
    return one(x[std::size_t(flipped ? j * ld + i : i * ld + j)]);
  };
  for (index_t i = 0; i < m; ++i)
    for (index_t j = 0; j < n; ++j) {
      one sum(T(0));
      for (index_t p = 0; p < k; ++p) sum = sum + at(a, i, p, lda, fa) * at(b, p, j, ldb, fb);
      T& to = c[std::size_t(i * ldc + j)];
      to = beta == T(0) ? (one(alpha) * sum).v[0] : (one(alpha) * sum + one(beta) * one(to)).v[0];
    }
  return c;
}

template <class T>
void products_are_the_loops(index_t m, index_t n, index_t k) {
  const linalg la{cpu{}};
  for (int way = 0; way < 4; ++way) {
    const bool fa = way & 1, fb = way & 2;
    const index_t gap = way;
    const placed<T, cpu> a(cpu{}, fa ? k : m, fa ? m : k, 1, gap), b(cpu{}, fb ? n : k, fb ? k : n, 2, 2 * gap),
        c(cpu{}, m, n, 3, gap);
    const frugal::operand<T> x(a(), fa), y(b(), fb);
    const T alpha = way == 1 ? T(-0.3) : T(1), beta = way == 0 ? T(0) : way == 2 ? T(0.7) : T(1);
    const auto expected =
        by_loops<T>(alpha, a.get(), fa, a().ld(), b.get(), fb, b().ld(), beta, c.get(), c().ld(), m, n, k);
    la.gemm(double(alpha), x, y, double(beta), c());
    EXPECT_TRUE(same_bits(c.get(), expected)) << m << " x " << n << " x " << k << ", way " << way;
  }
}
TEST(linalg, products_are_three_loops) {
  for (index_t n : {0, 1, 2, 3, 31, 33, 64, 65, 100}) {
    products_are_the_loops<float>(n, n, n);
    products_are_the_loops<double>(n, n, n);
  }
  for (auto [m, n, k] :
       {std::array<index_t, 3>{257, 1, 3}, {1, 257, 40}, {2, 3, 257}, {5, 7, 0}, {0, 4, 4}, {70, 129, 33}})
    products_are_the_loops<float>(m, n, k);
}

TEST(linalg, gives_the_same_bits_on_every_backend) {
  for (auto const& d : {std::array<index_t, 3>{70, 33, 100}, {1, 1, 1}, {3, 130, 5}})
    same_on_every_backend([&](auto b) { return products<float>(linalg(b), d[0], d[1], d[2]); });
  EXPECT_TRUE(same_bits(products<double>(linalg(cpu{}), 33, 20, 50),
                        products<double>(linalg(frugal::emulated_backend{}), 33, 20, 50)));
}

template <class T>
double largest_difference(std::vector<T> const& a, std::vector<T> const& b) {
  EXPECT_EQ(a.size(), b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(double(a[i]) - double(b[i])));
  return most;
}
TEST(linalg, providers_agree) {
  // Sums of at most 150 products below 1 each, twice in a row.
  const linalg builtin{cpu{}};
  const linalg eigen(cpu{}, frugal::eigen_linalg{});
  EXPECT_LT(largest_difference(products<float>(builtin, 70, 33, 100), products<float>(eigen, 70, 33, 100)), 1e-4);
  EXPECT_LT(largest_difference(products<double>(builtin, 70, 33, 100), products<double>(eigen, 70, 33, 100)), 1e-12);
}

template <class T, class Provider>
void modes_are_golden(Provider p, double tolerance) {
  const linalg la(cpu{}, p);
  int cases = 0;
  for (golden_case const& g : read_golden("linalg.txt")) {
    if (!g.name.starts_with("mode_")) continue;
    ++cases;
    auto shape = g.numbers<index_t>("shape");
    const index_t axis = g.number<index_t>("axis"), d = shape[std::size_t(axis)];
    auto t = g.numbers<T>("a"), u = g.numbers<T>("u");
    const auto y = g.numbers<T>("y"), gram = g.numbers<T>("gram");
    std::vector<T> out(y.size()), square(gram.size());
    const frugal::axis_view<T> in(t, shape, axis);
    shape[std::size_t(axis)] = 5;
    la.mode_product(1, frugal::mat_view<T>(u.data(), 5, d), in, 0, frugal::axis_view<T>(out, shape, axis));
    la.mode_syrk(1, in, 0, frugal::mat_view<T>(square.data(), d, d));
    EXPECT_LT(largest_difference(out, y), tolerance) << g.name;
    EXPECT_LT(largest_difference(square, gram), tolerance) << g.name;
  }
  EXPECT_EQ(cases, 4);
}
TEST(linalg, products_along_an_axis_are_golden) {
  modes_are_golden<double>(frugal::builtin_linalg{}, 1e-14);
  modes_are_golden<float>(frugal::builtin_linalg{}, 1e-5);
  modes_are_golden<double>(frugal::eigen_linalg{}, 1e-14);
}

template <class Provider>
void symmetric_products(Provider p) {
  const linalg la(cpu{}, p);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (index_t n : {1, 5, 64, 65, 130}) {
    const placed<float, cpu> a(cpu{}, n, 40, 1), full(cpu{}, n, n, 2), c(cpu{}, n, n, 2);
    for (index_t i = 0; i < n; ++i)
      for (index_t j = i + 1; j < n; ++j) {
        full()(i, j) = full()(j, i);
        c()(i, j) = nan;
      }
    la.syrk(0.5, a(), 0.9, c());
    la.gemm(0.5, a(), transposed(a()), 0.9, full());
    if (std::is_same_v<Provider, frugal::builtin_linalg>) EXPECT_TRUE(same_bits(c.get(), full.get())) << n;
    else EXPECT_LT(largest_difference(c.get(), full.get()), 1e-4) << n;
    for (index_t i = 0; i < n; ++i)
      for (index_t j = 0; j < i; ++j) ASSERT_EQ(c()(i, j), c()(j, i));
  }
}
TEST(linalg, symmetric_products_read_the_lower_triangle) {
  symmetric_products(frugal::builtin_linalg{});
  symmetric_products(frugal::eigen_linalg{});
}

template <class Provider>
void unread_results(Provider p) {
  const linalg la(cpu{}, p);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const placed<float, cpu> a(cpu{}, 3, 4, 1), b(cpu{}, 4, 2, 2), none(cpu{}, 3, 0, 3), empty(cpu{}, 0, 2, 3);
  const placed<float, cpu> c(cpu{}, 3, 2, std::vector<float>(6, nan)), y(cpu{}, 3, 1, std::vector<float>(3, nan)),
      s(cpu{}, 3, 3, std::vector<float>(9, nan)), v(cpu{}, 0, 1, 1);
  la.gemm(1, a(), b(), 0, c());
  la.syrk(1, a(), 0, s());
  la.gemv(1, a(), frugal::view<float>(b().data(), 4), 0, y.flat());
  for (auto const& x : {c.get(), s.get(), y.get()})
    for (float e : x) EXPECT_EQ(e, e);
  // A sum of nothing is zero, whatever was there.
  la.gemm(1, none(), empty(), 0, c());
  la.gemv(1, none(), v.flat(), 0, y.flat());
  EXPECT_TRUE(same_bits(c.get(), std::vector<float>(6, 0.f)));
  EXPECT_TRUE(same_bits(y.get(), std::vector<float>(3, 0.f)));
  const placed<float, cpu> twos(cpu{}, 3, 2, std::vector<float>(6, 2.f));
  la.gemm(1, none(), empty(), 0.5, twos());
  EXPECT_TRUE(same_bits(twos.get(), std::vector<float>(6, 1.f)));
}
TEST(linalg, results_are_not_read_where_beta_is_zero) {
  unread_results(frugal::builtin_linalg{});
  unread_results(frugal::eigen_linalg{});
}

TEST(linalg, a_rank_1_update_keeps_symmetry) {
  const linalg la{cpu{}};
  const placed<float, cpu> a(cpu{}, 50, 50, 1), u(cpu{}, 50, 1, 2);
  const placed<float, cpu> s(cpu{}, 50, 50, 4);
  la.syrk(1, a(), 0, s());
  const auto before = s.get();
  la.rank_1(-0.3, u.flat(), u.flat(), 0.95, s());
  using one = frugal::lanes<float, 1>;
  for (index_t i = 0; i < 50; ++i)
    for (index_t j = 0; j < 50; ++j) {
      ASSERT_EQ(s()(i, j), s()(j, i));
      const one uu = one(u()(i, 0)) * one(u()(j, 0));
      ASSERT_EQ(s()(i, j), (one(-0.3f) * uu + one(0.95f) * one(before[std::size_t(i * 50 + j)])).v[0]);
    }
}

TEST(linalg, orders_values) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x{1, -0.f, 3, 0.f, -inf, 3, inf, nan, -2};
  std::vector<std::uint32_t> order(x.size());
  const linalg la{cpu{}};
  la.sort_order(frugal::view<float const>(x), false, frugal::view<std::uint32_t>(order));
  EXPECT_EQ(order, (std::vector<std::uint32_t>{4, 8, 1, 3, 0, 2, 5, 6, 7}));
  la.sort_order(frugal::view<float const>(x), true, frugal::view<std::uint32_t>(order));
  EXPECT_EQ(order, (std::vector<std::uint32_t>{7, 6, 2, 5, 0, 1, 3, 8, 4}));
  std::vector<float> t{1, 2, 3, 4, 5, 6}, out(6);
  const std::vector<std::uint32_t> swap{2, 0, 1};
  la.take(frugal::axis_view<float>(t, std::array<index_t, 2>{2, 3}, 1), frugal::view<std::uint32_t const>(swap),
          frugal::axis_view<float>(out, std::array<index_t, 2>{2, 3}, 1));
  EXPECT_EQ(out, (std::vector<float>{3, 1, 2, 6, 4, 5}));
}

TEST(linalg, refuses_wrong_shapes_and_shared_memory) {
  const linalg la{cpu{}};
  std::vector<float> m(100, 1.f), out(100, 2.f);
  const auto mat = [&](std::vector<float>& v, index_t r, index_t c) { return frugal::mat_view<float>(v.data(), r, c); };
  const auto a = mat(m, 3, 4), c = mat(out, 3, 5);
  EXPECT_TRUE(refused([&] { la.gemm(1, a, mat(m, 5, 5), 0, c); }, "the second factor of a product", "4 x 5", "5 x 5"));
  EXPECT_TRUE(
      refused([&] { la.gemm(1, transposed(a), mat(m, 3, 5), 0, c); }, "the result of a product", "4 x 5", "3 x 5"));
  EXPECT_TRUE(refused([&] { la.gemm(1, a, mat(m, 4, 5), 0, frugal::mat_view<float>(m.data() + 10, 3, 5)); },
                      "the result of a product", "memory of its own", "an overlap"));
  EXPECT_TRUE(refused([&] { la.syrk(1, a, 0, c); }, "the result of a symmetric product", "3 x 3", "3 x 5"));
  EXPECT_TRUE(refused([&] { la.gemv(1, a, frugal::view<float>(m.data(), 3), 0, frugal::view<float>(out.data(), 3)); },
                      "the vector of a product", "4", "3"));
  EXPECT_TRUE(refused([&] { la.rank_1(1, frugal::view<float>(m.data(), 3), frugal::view<float>(m.data(), 4), 1, c); },
                      "the right vector of an update", "5", "4"));
  EXPECT_TRUE(refused([&] { frugal::mat_view<float>(m.data(), 3, 4, 3); }, "the leading dimension of a matrix",
                      "at least its columns", "3"));
  EXPECT_TRUE(refused([&] { frugal::mat_view<float>(nullptr, 3, 4); }, "a matrix", "a pointer", "null"));
  EXPECT_TRUE(refused([&] { frugal::mat_view<float>(m.data(), -1, 4); }, "the rows of a matrix", ">= 0", "-1"));
  EXPECT_TRUE(refused([&] { a.block(1, 0, 3, 4); }, "the rows of a block", "within 3", "1 to 4"));
  EXPECT_TRUE(refused(
      [&] {
        frugal::axis_view<float>(m, std::array<index_t, 2>{5, 5}, 0);
      },
      "the size of a tensor", "25", "100"));
  EXPECT_TRUE(refused(
      [&] {
        frugal::axis_view<float>(m, std::array<index_t, 2>{10, 10}, 2);
      },
      "an axis", "0 to 1", "2"));
  EXPECT_TRUE(same_bits(out, std::vector<float>(100, 2.f)));
}

TEST(linalg, allocates_nothing_in_a_call) {
  const linalg la{cpu{}};
  const placed<float, cpu> a(cpu{}, 130, 70, 1), b(cpu{}, 70, 90, 2), c(cpu{}, 130, 90, 3), s(cpu{}, 130, 130, 4),
      x(cpu{}, 70, 1, 5), y(cpu{}, 130, 1, 6);
  const long before = allocations;
  la.gemm(1, a(), b(), 0, c());
  la.syrk(1, a(), 0.5, s());
  la.gemv(1, a(), x.flat(), 0, y.flat());
  la.gemv(1, transposed(a()), y.flat(), 0, x.flat());
  la.rank_1(1, y.flat(), x.flat(), 1, a());
  EXPECT_EQ(allocations, before);
}

TEST(linalg, takes_eigen_matrices) {
  const linalg la{cpu{}};
  Eigen::MatrixXd a = Eigen::MatrixXd::Random(6, 4);
  Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> b = Eigen::MatrixXd::Random(7, 9),
                                                                         c = Eigen::MatrixXd::Zero(6, 5);
  auto part = b.block(1, 2, 4, 5);
  la.gemm(1, frugal::operand_of(a), frugal::operand_of(part), 0, frugal::matrix_of(c));
  EXPECT_LT((c - a * part).cwiseAbs().maxCoeff(), 1e-15);
  auto square = b.block(0, 0, 4, 4);
  la.syrk(1, transposed(frugal::operand_of(a)), 0, frugal::matrix_of(square));
  EXPECT_LT((square - a.transpose() * a).cwiseAbs().maxCoeff(), 1e-15);
}

// One digest, whatever compiler, flags and processor: linalg_native_test.cpp has the same.
TEST(linalg, has_one_digest) { EXPECT_EQ(digest_of_dense_algebra(), dense_algebra_digest); }

}  // namespace
}  // namespace frugal_test
