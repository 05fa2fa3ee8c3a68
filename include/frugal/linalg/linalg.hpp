// SPDX-License-Identifier: Apache-2.0
/// @file Dense algebra: one set of calls, carried out by a provider. `linalg la(backend)` is the builtin provider,
/// which runs on every backend; `linalg la(backend, eigen_linalg{})` (linalg/eigen.hpp) is Eigen's.
#pragma once
#include "builtin.hpp"
#include "factorization.hpp"

namespace frugal {
inline namespace v0 {

/// Calls check their arguments (wrong shapes, and outputs that overlap inputs, throw invalid_argument before anything
/// is written), allocate nothing and do not wait. T is float or double; factors are rounded to T. Where beta is 0, what
/// the output held is not read. Cheap to copy.
///
/// Determinism: the builtin provider gives the same bits on every backend, other providers run to run.
template <team_backend Backend, class Provider = builtin_linalg>
class linalg {
 public:
  using backend_type = Backend;
  using space = typename Backend::space;
  template <class T>
  using mat = mat_view<T, space>;
  template <class T>
  using vec = view<T, space>;

  template <class A>
  using given = std::type_identity_t<A>;  // what is not deduced, and may be converted

  explicit linalg(Backend b, Provider p = {}) : backend_(std::move(b)), provider_(std::move(p)) {}
  Backend const& backend() const { return backend_; }
  Provider const& provider() const { return provider_; }

  /// c = alpha a b + beta c.
  template <class A, class B, class T>
  void gemm(double alpha, A const& a, B const& b, double beta, mat<T> c) const {
    const operand<T, space> l(a), r(b);
    detail::require_shape("the second factor of a product", r, l.cols(), c.cols());
    detail::require_shape("the result of a product", c, l.rows(), c.cols());
    detail::require_separate("the result of a product", c, l.of);
    detail::require_separate("the result of a product", c, r.of);
    run(job<T>(alpha, factor_of(l), factor_of(r), beta, c, l.cols()));
  }
  /// c = alpha a a^T + beta c, symmetric: of c the lower triangle is read and both are written.
  template <class A, class T>
  void syrk(double alpha, A const& a, double beta, mat<T> c) const {
    const operand<T, space> l(a);
    detail::require_shape("the result of a symmetric product", c, l.rows(), l.rows());
    detail::require_separate("the result of a symmetric product", c, l.of);
    auto j = job<T>(alpha, factor_of(l), factor_of(transposed(l)), beta, c, l.cols());
    j.symmetric = true;
    run(j);
  }
  /// y = alpha a x + beta y.
  template <class A, class T>
  void gemv(double alpha, A const& a, given<vec<T const>> x, double beta, vec<T> y) const {
    const operand<T, space> l(a);
    require(x.size() == l.cols(), "the vector of a product", l.cols(), x.size());
    require(y.size() == l.rows(), "the result of a product", l.rows(), y.size());
    const mat<T> as_written(y.data(), y.size(), 1);
    detail::require_separate("the result of a product", as_written, l.of);
    detail::require_separate("the result of a product", as_written, mat<T const>(x.data(), x.size(), 1));
    if (y.size() == 0) return;
    if (l.of.empty()) return run(job<T>(0, {}, {}, beta, as_written, 0));
    provider_.multiply_vector(
        backend_,
        detail::vector_job<T>{l.of.data(), l.of.rows(), l.of.cols(), l.of.ld(), x.data(), y.data(), T(alpha), T(beta)},
        l.flipped);
  }
  /// a = alpha (x y^T) + beta a; the factors may lie in the backend's memory. x may be y.
  template <class T>
  void rank_1(given<coefficient<T, space>> alpha, given<vec<T const>> x, given<vec<T const>> y,
              given<coefficient<T, space>> beta, mat<T> a) const {
    require(x.size() == a.rows(), "the left vector of an update", a.rows(), x.size());
    require(y.size() == a.cols(), "the right vector of an update", a.cols(), y.size());
    detail::require_separate("the matrix of an update", a, mat<T const>(x.data(), x.size(), 1));
    detail::require_separate("the matrix of an update", a, mat<T const>(y.data(), y.size(), 1));
    if (a.empty()) return;
    backend_.for_teams(detail::rank_one<T>{
        a.data(), a.rows(), a.cols(), a.ld(), x.data(), y.data(), {alpha.value, alpha.at}, {beta.value, beta.at}});
  }

  /// Along one axis of a tensor: out = alpha u x_k in + beta out, where every other axis is as it is; that is u times
  /// the unfolding.
  template <class U, class T>
  void mode_product(double alpha, U const& u, given<axis_view<T const, space>> in, double beta,
                    axis_view<T, space> out) const {
    const operand<T, space> l(u);
    detail::require_shape("the matrix of a product along an axis", l, out.size(), in.size());
    require(out.outer() == in.outer() && out.inner() == in.inner(), "the result of a product along an axis",
            detail::text(in.outer(), " x ? x ", in.inner()), detail::text(out.outer(), " x ? x ", out.inner()));
    detail::require_separate("the result of a product along an axis", out, in);
    detail::require_separate("the result of a product along an axis", out, l.of);
    if (in.inner() == 1) {
      const mat<T const> x(in.data(), in.outer(), in.size());
      run(job<T>(alpha, factor_of<T>(x), factor_of(transposed(l)), beta, mat<T>(out.data(), in.outer(), out.size()),
                 in.size()));
    } else {
      const index_t n = in.inner();
      auto j = job<T>(alpha, factor_of(l), {in.data(), n, false, 0, in.size() * n}, beta,
                      mat<T>(out.data(), out.size(), n), in.size());
      j.batch = in.outer();
      j.batch_c = out.size() * n;
      run(j);
    }
  }
  /// c = alpha t t^T + beta c, t the unfolding along an axis; as syrk.
  template <class T>
  void mode_syrk(double alpha, given<axis_view<T const, space>> t, double beta, mat<T> c) const {
    detail::require_shape("the result of a symmetric product along an axis", c, t.size(), t.size());
    detail::require_separate("the result of a symmetric product along an axis", c, t);
    const index_t d = t.size(), n = t.inner();
    auto j = n == 1 ? job<T>(alpha, {t.data(), d, true}, {t.data(), d, false}, beta, c, t.outer())
                    : job<T>(alpha, {t.data(), n, false, d * n}, {t.data(), n, true, d * n}, beta, c, n);
    j.runs = n == 1 ? 1 : t.outer();
    j.symmetric = true;
    run(j);
  }

  /// order[j] = where the j-th of the values is when they ascend (or descend); of equals, the first is first.
  template <class T>
  void sort_order(vec<T> values, bool descending, vec<std::uint32_t> order) const {
    require(order.size() == values.size(), "the size of an order", values.size(), order.size());
    require(values.size() <= index_t(1) << 31, "the values to be put in order", "at most 2^31", values.size());
    backend_.for_teams(
        detail::sort_order<std::remove_const_t<T>>{values.data(), values.size(), descending, order.data()});
  }
  /// out takes along its axis what `in` has at order[0], order[1] and on; the order is the caller's to be a valid one.
  template <class T>
  void take(given<axis_view<T const, space>> in, view<std::uint32_t const, space> order,
            axis_view<T, space> out) const {
    require(in.outer() == out.outer() && in.size() == out.size() && in.inner() == out.inner(), "a tensor in order",
            detail::text(in.outer(), " x ", in.size(), " x ", in.inner()),
            detail::text(out.outer(), " x ", out.size(), " x ", out.inner()));
    require(order.size() == in.size(), "the size of an order", in.size(), order.size());
    detail::require_separate("a tensor in order", out, in);
    const index_t row = in.size() * in.inner();
    if (in.extent() > 0)
      backend_.for_teams(
          detail::take_places<T>{in.data(), out.data(), in.outer(), in.size(), in.inner(), row, row, order.data()});
  }

  /// Objects for matrices of one size, with workspaces of their own: thin_qr, symmetric_eigen, cholesky, inverse_root
  /// (linalg/factorization.hpp).
  template <class T>
  thin_qr<T, Backend, Provider> qr(index_t rows, index_t cols) const {
    return {backend_, provider_, rows, cols};
  }
  template <class T>
  symmetric_eigen<T, Backend, Provider> eigen(index_t n) const {
    return {backend_, provider_, n};
  }
  template <class T>
  frugal::cholesky<T, Backend, Provider> cholesky(index_t n) const {
    return {backend_, provider_, n};
  }
  template <class T>
  frugal::inverse_root<T, Backend, Provider> inverse_root(index_t n) const {
    return {backend_, provider_, n};
  }

 private:
  template <class T>
  static detail::factor<T> factor_of(operand<T, space> const& o) {
    return {o.of.data(), o.of.ld(), o.flipped};
  }
  template <class T>
  static detail::product_job<T> job(double alpha, detail::factor<T> a, detail::factor<T> b, double beta, mat<T> c,
                                    index_t k) {
    detail::product_job<T> j;
    j.m = c.rows();
    j.n = c.cols();
    j.k = k;
    j.a = a;
    j.b = b;
    j.c = c.data();
    j.ldc = c.ld();
    j.alpha = T(alpha);
    j.beta = T(beta);
    return j;
  }
  template <class T>
  void run(detail::product_job<T> const& j) const {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "frugal: dense algebra is in float or double");
    if (j.m > 0 && j.n > 0 && j.batch > 0) provider_.multiply(backend_, j);
  }
  Backend backend_;
  [[no_unique_address]] Provider provider_;
};

}  // namespace v0
}  // namespace frugal
