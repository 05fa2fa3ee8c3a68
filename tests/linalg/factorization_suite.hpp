// SPDX-License-Identifier: Apache-2.0
// Factorizations by a provider: what multiplies back to the matrix, within what the theory of rounding errors allows;
// reference values; and what cannot be factorized.
#pragma once
#include <cmath>
#include <limits>
#include <string_view>

#include "linalg/linalg_bits.hpp"
#include "support/backends.hpp"
#include "support/golden.hpp"

namespace frugal_test {

using frugal::index_t;
using frugal::linalg;
using frugal::outcome;
using cpu = frugal::serial_backend;

// Unit roundoff.
template <class T>
constexpr double unit = std::numeric_limits<T>::epsilon() / 2;

// In double, by loops: what is checked, and what it is checked with, have nothing in common.
struct matrix {
  index_t rows, cols;
  std::vector<double> v;
  matrix(index_t m, index_t n, double x = 0) : rows(m), cols(n), v(std::size_t(m * n), x) {}
  double& operator()(index_t i, index_t j) { return v[std::size_t(i * cols + j)]; }
  double operator()(index_t i, index_t j) const { return v[std::size_t(i * cols + j)]; }
  bool operator==(matrix const& o) const { return rows == o.rows && cols == o.cols && v == o.v; }
};
inline matrix operator*(matrix const& a, matrix const& b) {
  matrix c(a.rows, b.cols);
  for (index_t i = 0; i < a.rows; ++i)
    for (index_t k = 0; k < a.cols; ++k)
      for (index_t j = 0; j < b.cols; ++j) c(i, j) += a(i, k) * b(k, j);
  return c;
}
inline matrix operator+(matrix a, matrix const& b) {
  for (std::size_t i = 0; i < a.v.size(); ++i) a.v[i] += b.v[i];
  return a;
}
inline matrix times(double f, matrix a) {
  for (double& x : a.v) x *= f;
  return a;
}
inline matrix operator-(matrix const& a, matrix const& b) { return a + times(-1, b); }
inline matrix flip(matrix const& a) {
  matrix t(a.cols, a.rows);
  for (index_t i = 0; i < a.rows; ++i)
    for (index_t j = 0; j < a.cols; ++j) t(j, i) = a(i, j);
  return t;
}
inline matrix diagonal(std::vector<double> const& w) {
  matrix d(index_t(w.size()), index_t(w.size()));
  for (std::size_t i = 0; i < w.size(); ++i) d(index_t(i), index_t(i)) = w[i];
  return d;
}
inline matrix identity(index_t n) { return diagonal(std::vector<double>(std::size_t(n), 1.)); }
inline matrix column(matrix const& a, index_t j) {
  matrix c(a.rows, 1);
  for (index_t i = 0; i < a.rows; ++i) c(i, 0) = a(i, j);
  return c;
}
inline double norm(matrix const& a) {  // Frobenius, of numbers of any size
  double s = 0;
  for (double x : a.v) s = std::hypot(s, x);
  return s;
}
inline matrix uniform(index_t m, index_t n, std::uint32_t seed) {
  matrix a(m, n);
  a.v = even_numbers<double>(m * n, seed);
  return a;
}
// Turned by three reflections.
inline matrix with_eigenvalues(std::vector<double> const& w, std::uint32_t seed) {
  const index_t n = index_t(w.size());
  matrix q = identity(n);
  for (std::uint32_t k = 0; k < 3; ++k) {
    const matrix u = uniform(n, 1, seed + k);
    q = q - times(2 / (norm(u) * norm(u)), u * (flip(u) * q));
  }
  const matrix a = q * diagonal(w) * flip(q);
  return times(0.5, a + flip(a));
}

// In rows with a gap, so that the leading dimension is never the columns; NaN in the gaps.
template <class T>
struct in_rows {
  index_t rows, cols;
  std::vector<T> v;
  in_rows(index_t m, index_t n) : rows(m), cols(n), v(std::size_t(m * (n + 3)), T(NAN)) {}
  explicit in_rows(matrix const& a) : in_rows(a.rows, a.cols) {
    for (index_t i = 0; i < rows; ++i)
      for (index_t j = 0; j < cols; ++j) (*this)()(i, j) = T(a(i, j));
  }
  frugal::mat_view<T> operator()() { return {v.data(), rows, cols, cols + 3}; }
  matrix get() {
    matrix a(rows, cols);
    for (index_t i = 0; i < rows; ++i)
      for (index_t j = 0; j < cols; ++j) a(i, j) = double((*this)()(i, j));
    return a;
  }
};

// A type of elements and a provider.
template <class T, class P>
struct combination {
  using scalar = T;
  using provider = P;
};
template <class C>
class factorization : public testing::Test {
 public:
  using scalar = typename C::scalar;
  static linalg<cpu, typename C::provider> make() { return linalg(cpu{}, typename C::provider{}); }
  static constexpr bool builtin = std::is_same_v<typename C::provider, frugal::builtin_linalg>;
  static constexpr bool says_where = std::string_view(C::provider::name) != "eigen";
#ifdef EIGEN_USE_LAPACKE
  static constexpr bool lapack = !builtin;
#else
  static constexpr bool lapack = false;
#endif
};
TYPED_TEST_SUITE_P(factorization);

template <class Test>
void check_qr(matrix const& exact, std::string const& what) {
  using T = typename Test::scalar;
  in_rows<T> a(exact), q(a.rows, a.cols), r(a.cols, a.cols);
  auto qr = Test::make().template qr<T>(a.rows, a.cols);
  qr(a(), q(), r());
  EXPECT_TRUE(qr.report().ok()) << what;
  const matrix A = a.get(), Q = q.get(), R = r.get();
  const double bound = 2 * double(a.rows + a.cols) * unit<T>;  // each reflector is of all rows
  EXPECT_LE(norm(flip(Q) * Q - identity(a.cols)), bound) << what;
  // Column by column: the errors of small columns are small.
  const matrix left = A - Q * R;
  for (index_t j = 0; j < a.cols; ++j)
    EXPECT_LE(norm(column(left, j)), bound * norm(column(A, j))) << what << ", column " << j;
  for (index_t i = 0; i < a.cols; ++i) {
    EXPECT_GE(R(i, i), 0) << what;
    for (index_t j = 0; j < i; ++j) EXPECT_EQ(R(i, j), 0) << what;
  }
  in_rows<T> alone(a.rows, a.cols);
  qr(a(), alone());
  EXPECT_EQ(alone.get(), Q) << what;
}
TYPED_TEST_P(factorization, qr_multiplies_back) {
  for (index_t n : {1, 2, 3, 31, 32, 33, 64, 65, 100})
    for (index_t more : {0, 1, 57}) check_qr<TestFixture>(uniform(n + more, n, 3), std::to_string(n));
  check_qr<TestFixture>(uniform(257, 40, 4), "257 x 40");
  matrix a = uniform(40, 40, 5);
  check_qr<TestFixture>(matrix(20, 9), "zero");
  check_qr<TestFixture>(identity(40), "identity");
  check_qr<TestFixture>(matrix(40, 33, 1), "rank 1");
  check_qr<TestFixture>(uniform(40, 3, 5) * uniform(3, 40, 6), "rank 3");
  if (TestFixture::builtin) {
    for (index_t i = 0; i < 40; ++i)
      for (index_t j = 0; j < 40; ++j) a(i, j) = std::ldexp(a(i, j), int(-3 * j));
    check_qr<TestFixture>(a, "graded");
    check_qr<TestFixture>(times(1e-30, uniform(40, 40, 6)), "squares that vanish");
    check_qr<TestFixture>(times(1e30, uniform(40, 40, 7)), "squares that overflow");
  }
}
TYPED_TEST_P(factorization, qr_is_golden) {
  using T = typename TestFixture::scalar;
  for (golden_case const& g : read_golden("linalg.txt")) {
    if (!g.name.starts_with("qr_")) continue;
    const index_t m = g.numbers<index_t>("size")[0], n = g.numbers<index_t>("size")[1];
    auto a = g.numbers<T>("a"), q = a, r = std::vector<T>(std::size_t(n * n));
    const auto golden_q = g.numbers<double>("q"), golden_r = g.numbers<double>("r");
    auto qr = TestFixture::make().template qr<T>(m, n);
    qr(frugal::mat_view<T>(a.data(), m, n), {q.data(), m, n}, {r.data(), n, n});
    // Of the condition of the columns, each scaled to length 1.
    for (std::size_t i = 0; i < q.size(); ++i) EXPECT_NEAR(double(q[i]), golden_q[i], 100 * unit<T>) << g.name;
    for (std::size_t i = 0; i < r.size(); ++i)
      EXPECT_NEAR(double(r[i]), golden_r[i],
                  100 * unit<T> * std::abs(golden_r[i % std::size_t(n)]) + 100 * unit<T> * std::abs(golden_r[i]) +
                      300 * unit<T> * std::pow(10., -6. * double(i % std::size_t(n)) / 5))
          << g.name;
  }
}

template <class Test>
std::vector<double> check_eigen(matrix const& exact, std::string const& what) {
  using T = typename Test::scalar;
  in_rows<T> a(exact), v(a.rows, a.rows);
  const matrix A = a.get();
  for (index_t i = 0; i < a.rows; ++i)
    for (index_t j = i + 1; j < a.rows; ++j) a()(i, j) = T(NAN);  // not read
  std::vector<T> w(std::size_t(a.rows));
  auto eigen = Test::make().template eigen<T>(a.rows);
  eigen(a(), frugal::view<T>(w), v());
  EXPECT_TRUE(eigen.report().ok()) << what;
  const matrix V = v.get();
  const std::vector<double> W(w.begin(), w.end());
  const double bound = 4 * double(a.rows) * unit<T>;
  // Of a provider no more is asked than LAPACK's own tests do: 30 n ulp.
  EXPECT_LE(norm(flip(V) * V - identity(a.rows)), Test::builtin ? bound : 15 * bound) << what;
  EXPECT_LE(norm(A * V - V * diagonal(W)), bound * norm(A)) << what;
  EXPECT_TRUE(std::is_sorted(w.begin(), w.end())) << what;
  return W;
}
TYPED_TEST_P(factorization, eigenvectors_multiply_back) {
  using T = typename TestFixture::scalar;
  for (index_t n : {1, 2, 3, 4, 5, 31, 32, 33, 64, 65, 100}) {
    const matrix a = uniform(n, n, 3);
    check_eigen<TestFixture>(a + flip(a), std::to_string(n));
  }
  check_eigen<TestFixture>(matrix(9, 9), "zero");
  check_eigen<TestFixture>(identity(20), "identity");
  const auto ones = check_eigen<TestFixture>(matrix(33, 33, 1), "rank 1");
  EXPECT_NEAR(ones[32], 33, (TestFixture::lapack ? 4 * 33 * 33 : 100) * unit<T>);  // 4 n u of the norm
  std::vector<double> w(40, 1.);
  for (std::size_t i = 20; i < 40; ++i) w[i] = 1 + 1e-6 * double(i - 19);
  w[39] = 7;
  const auto close = [&](std::string const& what, std::uint32_t seed) {
    const auto found = check_eigen<TestFixture>(with_eigenvalues(w, seed), what);
    EXPECT_LE(norm(diagonal(found) - diagonal(w)), 4 * 40 * unit<T> * norm(diagonal(w))) << what;
  };
  close("clustered", 4);
  for (std::size_t i = 0; i < 40; ++i) w[i] = std::pow(10., (double(i) - 39) / 3);
  close("graded", 5);
  std::fill(w.begin(), w.begin() + 30, 0.);
  close("singular", 6);
  const matrix a = uniform(20, 20, 7);
  check_eigen<TestFixture>(times(1e-30, a + flip(a)), "squares that vanish");
  check_eigen<TestFixture>(times(1e30, a + flip(a)), "squares that overflow");
  // A diagonal matrix is only put in order.
  EXPECT_EQ(check_eigen<TestFixture>(diagonal({3, -1, 2, 0, -5}), "diagonal"), (std::vector<double>{-5, -1, 0, 2, 3}));
}
TYPED_TEST_P(factorization, eigenvalues_are_golden) {
  for (golden_case const& g : read_golden("linalg.txt")) {
    if (!g.name.starts_with("eigen_")) continue;
    const index_t n = g.number<index_t>("size");
    const auto s = g.numbers<double>("s"), w = g.numbers<double>("w");
    matrix a(n, n);
    a.v = s;
    const auto found = check_eigen<TestFixture>(a, g.name);
    for (std::size_t i = 0; i < w.size(); ++i)
      EXPECT_NEAR(found[i], w[i], 4 * double(n) * unit<typename TestFixture::scalar> * norm(a)) << g.name;
  }
}

template <class Test>
void check_cholesky(matrix const& exact, double condition, std::string const& what) {
  using T = typename Test::scalar;
  const index_t n = exact.rows;
  in_rows<T> a(exact), l(n, n), inverse(n, n), x(uniform(n, 5, 9));
  const matrix A = a.get(), B = x.get();
  for (index_t i = 0; i < n; ++i)
    for (index_t j = i + 1; j < n; ++j) a()(i, j) = T(NAN);  // not read
  auto c = Test::make().template cholesky<T>(n);
  c.factor(a());
  c.lower(l());
  c.solve(x());
  c.inverse(inverse());
  EXPECT_TRUE(c.report().ok()) << what;
  const matrix L = l.get();
  const double bound = 4 * double(n) * unit<T>;
  EXPECT_LE(norm(L * flip(L) - A), bound * norm(A)) << what;
  EXPECT_LE(norm(A * x.get() - B), bound * norm(A) * norm(x.get())) << what;
  EXPECT_LE(norm(A * inverse.get() - identity(n)), bound * condition) << what;
  EXPECT_EQ(inverse.get(), flip(inverse.get())) << what;
  for (index_t i = 0; i < n; ++i)
    for (index_t j = i + 1; j < n; ++j) EXPECT_EQ(L(i, j), 0) << what;
}
TYPED_TEST_P(factorization, cholesky_multiplies_back) {
  for (index_t n : {1, 2, 3, 31, 32, 33, 64, 65, 100}) {
    std::vector<double> w(std::size_t(n), 1.);
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = std::pow(10., double(i % 4));
    check_cholesky<TestFixture>(with_eigenvalues(w, 3), 1000 * double(n), std::to_string(n));
  }
}
TYPED_TEST_P(factorization, of_positive_matrices_is_golden) {
  using T = typename TestFixture::scalar;
  for (golden_case const& g : read_golden("linalg.txt")) {
    if (!g.name.starts_with("positive_")) continue;
    const index_t n = g.number<index_t>("size");
    auto s = g.numbers<T>("s"), got = s;
    const frugal::mat_view<T> a(s.data(), n, n), to(got.data(), n, n);
    const auto close = [&](std::string const& key, double times) {
      const auto golden = g.numbers<double>(key);
      double norm = 0;
      for (double e : golden) norm += e * e;
      for (std::size_t i = 0; i < golden.size(); ++i)
        EXPECT_NEAR(double(got[i]), golden[i], times * unit<T> * std::sqrt(norm)) << g.name << ", " << key;
    };
    // Condition numbers are below 100.
    auto c = TestFixture::make().template cholesky<T>(n);
    c.factor(a);
    c.lower(to);
    close("l", 200);
    c.inverse(to);
    close("inverse", 2000);
    auto root = TestFixture::make().template inverse_root<T>(n);
    root(a, {.exponent = g.numbers<double>("root")[0], .ridge = g.numbers<double>("root")[1]}, to);
    close("x", 2000);
    EXPECT_TRUE(root.report().ok());
  }
}

// (a + ridge)^-e, twice, is the power that it should be.
TYPED_TEST_P(factorization, inverse_roots_are_roots) {
  using T = typename TestFixture::scalar;
  for (index_t n : {1, 2, 33, 64}) {
    std::vector<double> w(std::size_t(n), 1.);
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = 1 + 3 * double(i) / double(n);
    in_rows<T> a(with_eigenvalues(w, 3)), x(n, n);
    auto root = TestFixture::make().template inverse_root<T>(n);
    const double bound = 100 * double(n) * unit<T>;
    root(a(), {.exponent = 0.25}, x());
    const matrix half = x.get() * x.get();
    EXPECT_LE(norm(half * half * a.get() - identity(n)), bound) << n;
    EXPECT_EQ(x.get(), flip(x.get()));
    root(a(), {.exponent = 0.5, .ridge = 0.5, .relative_ridge = 0.25, .scale = 2}, x());
    const double ridge = 0.5 + 0.25 * 2 * w.back();
    EXPECT_LE(norm(x.get() * x.get() * (times(2, a.get()) + times(ridge, identity(n))) - identity(n)), bound) << n;
    EXPECT_NEAR(double(root.eigenvalues()[n - 1]), w.back(), bound);
  }
}

TYPED_TEST_P(factorization, faults_are_reported) {
  using T = typename TestFixture::scalar;
  const auto la = TestFixture::make();
  const matrix square = uniform(70, 70, 3), good = square * flip(square);
  auto qr = la.template qr<T>(70, 70);
  auto eigen = la.template eigen<T>(70);
  auto cholesky = la.template cholesky<T>(70);
  auto root = la.template inverse_root<T>(70);
  std::vector<T> w(70);
  in_rows<T> q(70, 70), kept(uniform(70, 70, 5));
  const matrix before = kept.get();
  for (double bad : {double(NAN), double(INFINITY), -double(INFINITY)}) {
    matrix a = good;
    a(50, 40) = a(40, 50) = bad;
    in_rows<T> x(a);
    qr(x(), q());
    EXPECT_EQ(qr.report().what, outcome::not_finite);
    EXPECT_EQ(qr.report().at, 40);
    eigen(x(), frugal::view<T>(w), q());
    EXPECT_EQ(eigen.report().what, outcome::not_finite);
    EXPECT_EQ(eigen.report().at, 50);
    cholesky.factor(x());
    EXPECT_EQ(cholesky.report().what, outcome::not_finite);
    cholesky.solve(q());
    cholesky.inverse(q());
    root(x(), {.ridge = 1}, kept());
    EXPECT_EQ(root.report().what, outcome::not_finite);
    EXPECT_EQ(kept.get(), before);
  }
  matrix a = good;
  a(45, 45) = -1;
  cholesky.factor(in_rows<T>(a)());
  EXPECT_EQ(cholesky.report().what, outcome::not_positive);
  EXPECT_EQ(cholesky.report().at, TestFixture::says_where ? 45 : -1);
  in_rows<T> zero(matrix(70, 70));
  root(zero(), {}, kept());
  EXPECT_EQ(root.report().what, outcome::not_positive);
  EXPECT_EQ(kept.get(), before);
  root(zero(), {.exponent = 0.5, .ridge = 4}, kept());
  EXPECT_TRUE(root.report().ok());
  EXPECT_LE(norm(kept.get() - times(0.5, identity(70))), 70 * unit<T>);
  // The objects are as good as new.
  in_rows<T> x(good);
  qr(x(), q());
  eigen(x(), frugal::view<T>(w), q());
  cholesky.factor(x());
  EXPECT_TRUE(qr.report().ok() && eigen.report().ok() && cholesky.report().ok());
}

TYPED_TEST_P(factorization, nothing_is_factorized_too) {
  using T = typename TestFixture::scalar;
  const auto la = TestFixture::make();
  auto qr = la.template qr<T>(5, 0);
  qr(frugal::mat_view<T>(nullptr, 5, 0), {nullptr, 5, 0}, {});
  auto eigen = la.template eigen<T>(0);
  eigen({}, {}, {});
  auto cholesky = la.template cholesky<T>(0);
  cholesky.factor({});
  cholesky.solve({nullptr, 0, 4});
  cholesky.inverse({});
  auto root = la.template inverse_root<T>(0);
  root({}, {}, {});
  EXPECT_TRUE(qr.report().ok() && eigen.report().ok() && cholesky.report().ok() && root.report().ok());
}

REGISTER_TYPED_TEST_SUITE_P(factorization, qr_multiplies_back, qr_is_golden, eigenvectors_multiply_back,
                            eigenvalues_are_golden, cholesky_multiplies_back, of_positive_matrices_is_golden,
                            inverse_roots_are_roots, faults_are_reported, nothing_is_factorized_too);

}  // namespace frugal_test
