// SPDX-License-Identifier: Apache-2.0
// Eigen as a provider where the whole program has Eigen's two switches: products are a BLAS's, factorizations LAPACK's.
#define EIGEN_USE_BLAS
#define EIGEN_USE_LAPACKE
#include <frugal/linalg/eigen.hpp>

#include "linalg/factorization_suite.hpp"

// The linker's --wrap leads calls of either here.
int products_by_a_blas = 0, eigenproblems_by_lapack = 0;
extern "C" {
decltype(dgemm_) __real_dgemm_;
int __wrap_dgemm_(char const* a_op, char const* b_op, int const* m, int const* n, int const* k, double const* alpha,
                  double const* a, int const* lda, double const* b, int const* ldb, double const* beta, double* c,
                  int const* ldc) {
  ++products_by_a_blas;
  return __real_dgemm_(a_op, b_op, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
decltype(LAPACKE_dsyev) __real_LAPACKE_dsyev;
lapack_int __wrap_LAPACKE_dsyev(int order, char job, char triangle, lapack_int n, double* a, lapack_int lda,
                                double* w) {
  ++eigenproblems_by_lapack;
  return __real_LAPACKE_dsyev(order, job, triangle, n, a, lda, w);
}
}

namespace frugal_test {

using lapack_combinations =
    testing::Types<combination<float, frugal::eigen_linalg>, combination<double, frugal::eigen_linalg>>;
INSTANTIATE_TYPED_TEST_SUITE_P(lapack, factorization, lapack_combinations);

template <class T>
void expect_those_of_the_builtin_provider(double tolerance) {
  const auto expected = products<T>(linalg(cpu{}), 70, 33, 100),
             got = products<T>(linalg(cpu{}, frugal::eigen_linalg{}), 70, 33, 100);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], tolerance) << i;
}
TEST(lapack, products_are_those_of_the_builtin_provider) {
  products_by_a_blas = 0;
  expect_those_of_the_builtin_provider<float>(1e-4);
  expect_those_of_the_builtin_provider<double>(1e-12);
  EXPECT_GT(products_by_a_blas, 0);
}
TEST(lapack, is_what_runs) {
  eigenproblems_by_lapack = 0;
  check_eigen<factorization<combination<double, frugal::eigen_linalg>>>(identity(5), "identity");
  EXPECT_EQ(eigenproblems_by_lapack, 1);
}

}  // namespace frugal_test
