// SPDX-License-Identifier: Apache-2.0
// Dense algebra by the libraries of a vendor: cuBLAS and cuSOLVER, hipBLAS and hipSOLVER. What they compute is compared
// with the builtin provider, within bounds.
#if defined(__HIP__)
#include <frugal/linalg/hipblas.hpp>
#define FRUGAL_TEST_BLAS(function) hipblas##function
#define FRUGAL_TEST_SOLVER(function) hipsolverDn##function
using vendor_linalg = frugal::hipblas_linalg;
using vendor_names = frugal::hipblas_names;
#else
#include <frugal/linalg/cublas.hpp>
#define FRUGAL_TEST_BLAS(function) cublas##function
#define FRUGAL_TEST_SOLVER(function) cusolverDn##function
using vendor_linalg = frugal::cublas_linalg;
using vendor_names = frugal::cublas_names;
#endif
#include "linalg/linalg_bits.hpp"
#include "support/device.hpp"

template class frugal::thin_qr<float, frugal_test::device_backend, vendor_linalg>;
template class frugal::symmetric_eigen<float, frugal_test::device_backend, vendor_linalg>;
template class frugal::cholesky<float, frugal_test::device_backend, vendor_linalg>;
template class frugal::inverse_root<float, frugal_test::device_backend, vendor_linalg>;

namespace frugal_test {

struct vendor_handles {
  vendor_linalg of;
  vendor_handles() {
    vendor_names::check(FRUGAL_TEST_BLAS(Create)(&of.blas), "Create");
    vendor_names::check(FRUGAL_TEST_SOLVER(Create)(&of.solver), "DnCreate");
  }
  ~vendor_handles() {
    (void)FRUGAL_TEST_SOLVER(Destroy)(of.solver);
    (void)FRUGAL_TEST_BLAS(Destroy)(of.blas);
  }
};

template <class T>
bool close_to(std::vector<T> const& a, std::vector<T> const& b, double bound) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(double(a[i] - b[i]) <= bound && double(b[i] - a[i]) <= bound)) return false;
  return true;
}
// Largest element of x times y (flipped), less c.
template <class T, class Linalg>
double left_over(Linalg const& la, frugal::operand<T, typename Linalg::space> x,
                 frugal::operand<T, typename Linalg::space> y, placed<T, device_backend> const& c) {
  la.gemm(1, x, y, -1, c());
  double most = 0;
  for (T e : c.get()) most = e > most ? double(e) : -e > most ? double(-e) : most;
  return most;
}

template <class T>
bool vendor_algebra(device_backend const& b, vendor_linalg const& library, double unit) {
  const frugal::linalg builtin(b);
  const frugal::linalg la(b, library);
  if (!close_to(products<T>(builtin, 70, 33, 100), products<T>(la, 70, 33, 100), 3000 * unit)) return false;
  constexpr frugal::index_t m = 60, n = 41;
  using P = placed<T, device_backend>;
  const P a(b, m, n, 1), same(b, m, n, 1), q(b, m, n, 2), r(b, n, n, 3), s(b, n, n, 4), w(b, n, 1, 5), v(b, n, n, 6),
      x(b, n, n, 7), one(b, n, n, 8);
  auto qr = la.template qr<T>(m, n);
  qr(a(), q(), r());
  bool ok = qr.report().ok() && left_over<T>(builtin, q(), r(), same) <= 100 * n * unit;
  builtin.syrk(1, frugal::transposed(a()), 0, s());
  auto eigen = la.template eigen<T>(n);
  eigen(s(), w.flat(), v());
  ok = ok && eigen.report().ok();
  // v^T s v is diagonal; s times its inverse is v v^T.
  auto cholesky = la.template cholesky<T>(n);
  cholesky.factor(s());
  cholesky.inverse(x());
  builtin.syrk(1, v(), 0, one());
  ok = ok && cholesky.report().ok() && left_over<T>(builtin, s(), x(), one) <= 1e5 * n * unit;
  auto root = la.template inverse_root<T>(n);
  auto other = builtin.template inverse_root<T>(n);
  root(s(), {.exponent = 0.5, .ridge = 1}, x());
  other(s(), {.exponent = 0.5, .ridge = 1}, v());
  return ok && root.report().ok() && close_to(x.get(), v.get(), 1e4 * unit);
}
bool vendor_linalg_on_device(device_backend const& b) {
  const vendor_handles handles;
  return vendor_algebra<float>(b, handles.of, 6e-8) && vendor_algebra<double>(b, handles.of, 1.2e-16);
}

}  // namespace frugal_test

#if !defined(FRUGAL_TEST_WITHOUT_HIPBLAS)  // else it is compiled with declarations of the tests' own
[[maybe_unused]] static const int added =
    frugal_test::add_device_check("linalg by the vendor's libraries", &frugal_test::vendor_linalg_on_device);
#endif
