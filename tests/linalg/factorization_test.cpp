// SPDX-License-Identifier: Apache-2.0
// The builtin factorizations.
#include "linalg/factorization_suite.hpp"
#include "support/allocations.hpp"
#include "support/refusal.hpp"

namespace frugal_test {

using builtin_combinations =
    testing::Types<combination<float, frugal::builtin_linalg>, combination<double, frugal::builtin_linalg>>;
INSTANTIATE_TYPED_TEST_SUITE_P(builtin, factorization, builtin_combinations);

namespace {

TEST(factorizations, give_the_same_bits_on_every_backend) {
  for (index_t n : {1, 2, 21, 34}) same_on_every_backend([&](auto b) { return factorizations<float>(linalg(b), n); });
  EXPECT_TRUE(same_bits(factorizations<double>(linalg(cpu{}), 9),
                        factorizations<double>(linalg(frugal::emulated_backend{}), 9)));
}

TEST(factorizations, refuse_wrong_shapes) {
  const linalg la{cpu{}};
  in_rows<float> a(5, 4), q(5, 4), r(4, 4);
  std::vector<float> w(5);
  EXPECT_TRUE(refused([&] { la.qr<float>(4, 5); }, "the columns of a thin QR factorization", "at most 4", "5"));
  auto qr = la.qr<float>(5, 4);
  EXPECT_TRUE(refused([&] { qr(r(), q()); }, "the matrix of a QR factorization", "5 x 4", "4 x 4"));
  EXPECT_TRUE(refused([&] { qr(a(), a()); }, "the orthonormal factor", "memory of its own", "an overlap"));
  auto eigen = la.eigen<float>(4);
  EXPECT_TRUE(refused([&] { eigen(r(), frugal::view<float>(w), q()); }, "the eigenvectors", "4 x 4", "5 x 4"));
  EXPECT_TRUE(refused([&] { eigen(a().block(0, 0, 4, 4), frugal::view<float>(w), r()); }, "the eigenvalues", "4", "5"));
  EXPECT_TRUE(
      refused([&] { la.cholesky<float>(4).factor(a()); }, "the matrix of a Cholesky factorization", "4 x 4", "5 x 4"));
  auto root = la.inverse_root<float>(4);
  const auto c = a().block(0, 0, 4, 4);
  EXPECT_TRUE(
      refused([&] { root(c, {.exponent = 0}, r()); }, "the exponent of an inverse root", "[1e-06, 1e+06]", "0"));
  EXPECT_TRUE(refused([&] { root(c, {.ridge = -1}, r()); }, "the ridge of an inverse root", "[0, 1e+300]", "-1"));
}

TEST(factorizations, allocate_nothing_in_a_call) {
  const linalg la{cpu{}};
  const placed<float, cpu> a(cpu{}, 50, 40, 1), q(cpu{}, 50, 40, 2), r(cpu{}, 40, 40, 3), s(cpu{}, 40, 40, 4),
      w(cpu{}, 40, 1, 5);
  auto qr = la.qr<float>(50, 40);
  auto eigen = la.eigen<float>(40);
  auto cholesky = la.cholesky<float>(40);
  auto root = la.inverse_root<float>(40);
  const long before = allocations;
  qr(a(), q(), r());
  la.syrk(1, frugal::transposed(a()), 0, s());
  eigen(s(), w.flat(), r());
  cholesky.factor(s());
  cholesky.solve(r());
  cholesky.inverse(r());
  root(s(), {.ridge = 1}, r());
  EXPECT_EQ(allocations, before);
}

TEST(power, is_within_its_bound) {
  for (double x : {1e-300, 1e-10, 0.3, 1., 1.4142135623730951, 1.5, 2., 77., 1e30, 1e300})
    for (double y : {-1., -0.5, -0.25, -1. / 6, -1. / 3, 0.3, 1.})
      EXPECT_NEAR(frugal::detail::power(x, y) / std::pow(x, y), 1, 1e-15 * (2 + std::abs(y * std::log2(x))))
          << x << " to " << y;
  EXPECT_NEAR(frugal::detail::power(1e-310, -0.5) / 1e155, 1, 1e-12);  // a subnormal number
  EXPECT_EQ(frugal::detail::power(1e-300, -2), INFINITY);
  EXPECT_EQ(frugal::detail::power(1e300, -2), 0);
}

}  // namespace
}  // namespace frugal_test
