// SPDX-License-Identifier: Apache-2.0
/// @file Factorizations: objects that own their workspace, made by linalg (linalg/linalg.hpp) for one size.
#pragma once
#include "matrix.hpp"
#include "power.hpp"
#include "product.hpp"
#include "report.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {
inline index_t matrix_size(char const* what, index_t n) {
  require(n >= 0 && n <= index_t(1) << 24, what, "0 to 2^24", n);
  return n;
}
/// What factorizations have in common. None of their calls allocates (but see the provider) or waits; report() waits.
template <class Backend, class Provider>
class factorization {
 public:
  using space = typename Backend::space;

 protected:
  factorization(Backend b, Provider p) : backend_(std::move(b)), provider_(std::move(p)) {}
  linalg_report read(linalg_report const* from) const {
    linalg_report r;
    backend_.copy_out(&r, from, sizeof r);
    return r;
  }
  Backend backend_;
  [[no_unique_address]] Provider provider_;
};
}  // namespace detail

/// a = q r with orthonormal columns in q (rows x cols, rows >= cols) and r upper triangular with a diagonal >= 0. Any
/// rank: the columns of q are orthonormal to rounding whatever a is.
template <class T, class Backend, class Provider>
class thin_qr : public detail::factorization<Backend, Provider> {
 public:
  using space = typename Backend::space;
  thin_qr(Backend b, Provider p, index_t rows, index_t cols)
      : thin_qr::factorization(b, p),
        rows_(detail::matrix_size("the rows of a QR factorization", rows)),
        cols_(detail::matrix_size("the columns of a QR factorization", cols)),
        impl_((require(rows >= cols, "the columns of a thin QR factorization", detail::text("at most ", rows), cols),
               p.template make_qr<T>(b, rows, cols))) {}

  void operator()(mat_view<T const, space> a, mat_view<T, space> q) { (*this)(a, q, mat_view<T, space>(), false); }
  void operator()(mat_view<T const, space> a, mat_view<T, space> q, mat_view<T, space> r) { (*this)(a, q, r, true); }
  linalg_report report() const { return this->read(impl_.report()); }

 private:
  void operator()(mat_view<T const, space> a, mat_view<T, space> q, mat_view<T, space> r, bool wanted) {
    detail::require_shape("the matrix of a QR factorization", a, rows_, cols_);
    detail::require_shape("the orthonormal factor", q, rows_, cols_);
    detail::require_separate("the orthonormal factor", q, a);
    if (wanted) {
      detail::require_shape("the triangular factor", r, cols_, cols_);
      detail::require_separate("the triangular factor", r, a);
      detail::require_separate("the triangular factor", r, q);
    }
    impl_(a, q, r);
  }
  index_t rows_, cols_;
  decltype(std::declval<Provider const&>().template make_qr<T>(std::declval<Backend const&>(), 0, 0)) impl_;
};

/// a = v diag(w) v^T: values ascending, column j of v belongs to value j. Reads the lower triangle. Errors are of the
/// order of the rounding of the largest value, for small ones too.
template <class T, class Backend, class Provider>
class symmetric_eigen : public detail::factorization<Backend, Provider> {
 public:
  using space = typename Backend::space;
  symmetric_eigen(Backend b, Provider p, index_t n)
      : symmetric_eigen::factorization(b, p),
        n_(detail::matrix_size("the size of an eigenvalue problem", n)),
        impl_(p.template make_eigen<T>(b, n)) {}

  void operator()(mat_view<T const, space> a, view<T, space> w, mat_view<T, space> v) {
    detail::require_shape("the matrix of an eigenvalue problem", a, n_, n_);
    detail::require_shape("the eigenvectors", v, n_, n_);
    require(w.size() == n_, "the eigenvalues", n_, w.size());
    detail::require_separate("the eigenvectors", v, a);
    const mat_view<T, space> values(w, n_, 1);
    detail::require_separate("the eigenvalues", values, a);
    detail::require_separate("the eigenvalues", values, v);
    impl_(a, w, v);
  }
  linalg_report report() const { return this->read(impl_.report()); }
  /// The report where it is made: for kernels.
  linalg_report const* reported() const { return impl_.report(); }

 private:
  index_t n_;
  decltype(std::declval<Provider const&>().template make_eigen<T>(std::declval<Backend const&>(), 0)) impl_;
};

/// a = l l^T for positive definite a, of which the lower triangle is read. A pivot that is not positive is in the
/// report, with its place; what is solved then is unspecified.
template <class T, class Backend, class Provider>
class cholesky : public detail::factorization<Backend, Provider> {
 public:
  using space = typename Backend::space;
  cholesky(Backend b, Provider p, index_t n)
      : cholesky::factorization(b, p),
        n_(detail::matrix_size("the size of a Cholesky factorization", n)),
        impl_(p.template make_cholesky<T>(b, n)) {}

  void factor(mat_view<T const, space> a) {
    detail::require_shape("the matrix of a Cholesky factorization", a, n_, n_);
    impl_.factor(a);
  }
  /// l, zeros above the diagonal.
  void lower(mat_view<T, space> l) {
    detail::require_shape("a Cholesky factor", l, n_, n_);
    impl_.lower(l);
  }
  /// x with a x = b, in place of b.
  void solve(mat_view<T, space> b) {
    require(b.rows() == n_, "the rows of a right side", n_, b.rows());
    impl_.solve(b);
  }
  /// The inverse of a, exactly symmetric.
  void inverse(mat_view<T, space> to) {
    detail::require_shape("an inverse", to, n_, n_);
    impl_.inverse(to);
  }
  linalg_report report() const { return this->read(impl_.report()); }
  /// The report where it is made: for kernels.
  linalg_report const* reported() const { return impl_.report(); }

 private:
  index_t n_;
  decltype(std::declval<Provider const&>().template make_cholesky<T>(std::declval<Backend const&>(), 0)) impl_;
};

/// Which power, and what keeps it finite.
struct root_options {
  double exponent = 0.25;     ///< e > 0 of (..)^-e
  double ridge = 0;           ///< >= 0, added to each eigenvalue
  double relative_ridge = 0;  ///< >= 0, times the largest eigenvalue, also added
  double scale = 1;           ///< > 0, times a before anything is added
};

/// (max(scale a, 0) + ridge)^-e for symmetric a, by its eigenvectors; exactly symmetric. Where the eigenvalues were not
/// found, or the smallest that is to be inverted is 0, the report says so and the output keeps what it held.
template <class T, class Backend, class Provider>
class inverse_root : public detail::factorization<Backend, Provider> {
 public:
  using space = typename Backend::space;
  inverse_root(Backend b, Provider p, index_t n)
      : inverse_root::factorization(b, p),
        n_(n),
        eigen_(b, p, n),
        values_(b, n),
        vectors_(b, n * n),
        root_(b, n * n),
        report_(b) {}

  void operator()(mat_view<T const, space> a, root_options const& o, mat_view<T, space> to) {
    require_range("the exponent of an inverse root", o.exponent, 1e-6, 1e6, true);
    require_range("the ridge of an inverse root", o.ridge, 0, 1e300, true);
    require_range("the relative ridge of an inverse root", o.relative_ridge, 0, 1e300, true);
    require_range("the scale of an inverse root", o.scale, 1e-300, 1e300, true);
    detail::require_shape("an inverse root", to, n_, n_);
    detail::require_separate("an inverse root", to, a);
    const mat_view<T, space> v(vectors_.view(), n_, n_);
    eigen_(a, values_.view(), v);
    if (n_ == 0) return;
    auto const& b = this->backend_;
    b.run(detail::root_check<T>{values_.data(), n_, o.ridge, o.relative_ridge, o.scale, eigen_.reported(),
                                report_.data()});
    b.for_teams(detail::root_scale<T>{vectors_.data(), values_.data(), n_, o.exponent / 2, o.ridge, o.relative_ridge,
                                      o.scale, report_.data()});
    detail::product_job<T> square{n_,           n_, n_, {vectors_.data(), n_, false}, {vectors_.data(), n_, true},
                                  root_.data(), n_};
    square.symmetric = true;
    this->provider_.multiply(b, square);
    b.for_teams(detail::root_keep<T>{root_.data(), n_, to.data(), to.ld(), report_.data()});
  }
  linalg_report report() const { return this->read(report_.data()); }
  /// Of the last call.
  view<T const, space> eigenvalues() const { return values_.view(); }

 private:
  index_t n_;
  symmetric_eigen<T, Backend, Provider> eigen_;
  buffer<T, Backend> values_, vectors_, root_;
  detail::report_cell<Backend> report_;
};

}  // namespace v0
}  // namespace frugal
