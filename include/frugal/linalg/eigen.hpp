// SPDX-License-Identifier: Apache-2.0
/// @file Eigen as a provider of dense algebra where the backend's memory is the host's, and Eigen matrices as
/// arguments. With EIGEN_USE_BLAS and EIGEN_USE_LAPACKE, which Eigen defines and the whole program must agree on, its
/// products and factorizations are those of the BLAS and LAPACK that are linked.
#pragma once
#if defined(__CUDACC__) && !defined(EIGEN_NO_CUDA)
#define EIGEN_NO_CUDA  // Eigen runs on hosts here; nvcc warns of its annotations
#endif
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>

#include "linalg.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

// Eigen::Success, which is a macro in X's headers.
inline constexpr auto eigen_success = Eigen::ComputationInfo(0);

template <class T>
using eigen_matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using eigen_map =
    Eigen::Map<std::conditional_t<std::is_const_v<T>, eigen_matrix<std::remove_const_t<T>> const, eigen_matrix<T>>, 0,
               Eigen::OuterStride<>>;
template <class T>
eigen_map<T> mapped(T* p, index_t rows, index_t cols, index_t ld) {
  return {p, rows, cols, Eigen::OuterStride<>(ld)};
}
template <class T>
eigen_map<T> mapped(mat_view<T> m) {
  return mapped(m.data(), m.rows(), m.cols(), m.ld());
}
/// The upper triangle becomes that of the lower one.
template <class M>
void mirror_lower(M& c) {
  constexpr index_t tile = 16;  // through a copy, as lines of many rows of 2^k elements push each other out of a cache
  typename M::Scalar copy[tile][tile];
  const index_t n = c.rows();
  for (index_t i0 = 0; i0 < n; i0 += tile)
    for (index_t j0 = 0; j0 <= i0; j0 += tile) {
      const index_t rows = (std::min)(tile, n - i0), columns = (std::min)(tile, n - j0);
      for (index_t i = 0; i < rows; ++i)
        for (index_t j = 0; j < columns; ++j) copy[i][j] = c(i0 + i, j0 + j);
      for (index_t j = 0; j < columns; ++j)
        for (index_t i = i0 == j0 ? j + 1 : 0; i < rows; ++i) c(j0 + j, i0 + i) = copy[i][j];
    }
}
template <class T>
linalg_report finite_lower(mat_view<T const> a) {
  for (index_t i = 0; i < a.rows(); ++i)
    for (index_t j = 0; j <= i; ++j)
      if (!is_finite_bits<T>(magnitude_bits(a(i, j)))) return {outcome::not_finite, 0, i};
  return {};
}

template <class T>
class eigen_qr {
 public:
  eigen_qr(index_t rows, index_t n) : qr_(rows, n), work_(n) {}
  void operator()(mat_view<T const> a, mat_view<T> q, mat_view<T> r) {
    report_ = {};
    for (index_t j = 0; j < a.cols() && report_.ok(); ++j)
      for (index_t i = 0; i < a.rows(); ++i)
        if (!is_finite_bits<T>(magnitude_bits(a(i, j)))) report_ = {outcome::not_finite, 0, j};
    auto to = mapped(q);
    if (!report_.ok() || a.empty()) return to.setZero(), void();
    qr_.compute(mapped(a));
    to.setIdentity();
    qr_.householderQ().applyThisOnTheLeft(to, work_);
    auto const& packed = qr_.matrixQR();
    if (r.data()) mapped(r) = packed.topRows(a.cols()).template triangularView<Eigen::Upper>();
    for (index_t j = 0; j < a.cols(); ++j) {
      if (!(packed(j, j) < T(0))) continue;
      to.col(j) = -to.col(j);
      if (r.data()) mapped(r).row(j).tail(a.cols() - j) *= T(-1);
    }
  }
  linalg_report const* report() const { return &report_; }

 private:
  Eigen::HouseholderQR<eigen_matrix<T>> qr_;
  Eigen::Matrix<T, 1, Eigen::Dynamic> work_;
  linalg_report report_;
};

template <class T>
class eigen_eigen {
 public:
  explicit eigen_eigen(index_t n) : solver_(n) {}
  void operator()(mat_view<T const> a, view<T> w, mat_view<T> v) {
    report_ = finite_lower(a);
    if (!report_.ok() || a.empty()) return;
    solver_.compute(mapped(a));
    if (solver_.info() != eigen_success) report_.what = outcome::not_converged;
    mapped(w.data(), w.size(), 1, 1) = solver_.eigenvalues();
    mapped(v) = solver_.eigenvectors();
  }
  linalg_report const* report() const { return &report_; }

 private:
  Eigen::SelfAdjointEigenSolver<eigen_matrix<T>> solver_;
  linalg_report report_;
};

template <class T>
class eigen_cholesky {
 public:
  explicit eigen_cholesky(index_t n) : llt_(n) {}
  void factor(mat_view<T const> a) {
    report_ = finite_lower(a);
    if (!report_.ok() || a.empty()) return;
    llt_.compute(mapped(a));
    if (llt_.info() != eigen_success) report_.what = outcome::not_positive;
  }
  void lower(mat_view<T> l) {
    if (report_.ok() && !l.empty()) mapped(l) = eigen_matrix<T>(llt_.matrixL());
  }
  void solve(mat_view<T> b) {
    auto x = mapped(b);
    if (report_.ok() && !b.empty()) llt_.solveInPlace(x);
  }
  void inverse(mat_view<T> to) {
    auto x = mapped(to);
    if (!report_.ok() || to.empty()) return;
    x.setIdentity();
    llt_.solveInPlace(x);
    mirror_lower(x);
  }
  linalg_report const* report() const { return &report_; }

 private:
  Eigen::LLT<eigen_matrix<T>> llt_;
  linalg_report report_;
};

}  // namespace detail

/// On one thread, unless Eigen is told otherwise. Eigen takes memory in some calls: for blocks of a product beyond 128
/// KiB, for panels of more than 48 reflectors, for what is not in place in an eigenvalue problem and in lower().
struct eigen_linalg {
  static constexpr char const* name = "eigen";

  template <class Backend, class T>
  void multiply(Backend const&, detail::product_job<T> const& job) const {
    require_host<Backend>();
    for (index_t b = 0; b < job.batch; ++b) {
      auto c = detail::mapped(job.c + b * job.batch_c, job.m, job.n, job.ldc);
      if (job.symmetric) {
        if (job.beta == T(0)) c.setZero();
        for (index_t i = 0; i < job.m && job.beta != T(0) && job.beta != T(1); ++i) c.row(i).head(i + 1) *= job.beta;
      } else if (job.beta == T(0)) {
        c.setZero();
      } else if (job.beta != T(1)) {
        c *= job.beta;
      }
      for (index_t r = 0; r < job.runs && job.k > 0; ++r)
        with(job.a, b, r, job.m, job.k, [&](auto const& x) {
          if (job.symmetric) c.template selfadjointView<Eigen::Lower>().rankUpdate(x, job.alpha);
          else with(job.b, b, r, job.k, job.n, [&](auto const& y) { c.noalias() += job.alpha * x * y; });
        });
      if (job.symmetric) detail::mirror_lower(c);
    }
  }
  template <class Backend, class T>
  void multiply_vector(Backend const&, detail::vector_job<T> const& job, bool flipped) const {
    require_host<Backend>();
    using vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;
    const auto a = detail::mapped(job.a, job.rows, job.cols, job.ld);
    const Eigen::Map<vector const> x(job.x, flipped ? job.rows : job.cols);
    Eigen::Map<vector> y(job.y, flipped ? job.cols : job.rows);
    if (job.beta == T(0)) y.setZero();
    else y *= job.beta;
    if (flipped) y.noalias() += job.alpha * a.transpose() * x;
    else y.noalias() += job.alpha * a * x;
  }
  template <class T, class Backend>
  auto make_qr(Backend const&, index_t rows, index_t cols) const {
    require_host<Backend>();
    return detail::eigen_qr<T>(rows, cols);
  }
  template <class T, class Backend>
  auto make_eigen(Backend const&, index_t n) const {
    require_host<Backend>();
    return detail::eigen_eigen<T>(n);
  }
  template <class T, class Backend>
  auto make_cholesky(Backend const&, index_t n) const {
    require_host<Backend>();
    return detail::eigen_cholesky<T>(n);
  }

 private:
  template <class Backend>
  static void require_host() {
    static_assert(detail::is_host<typename Backend::space>,
                  "frugal: Eigen works in host memory; on a device leave the provider out, or name that of its vendor");
  }
  template <class T, class F>
  static void with(detail::factor<T> const& o, index_t batch, index_t run, index_t rows, index_t cols, F const& f) {
    T const* p = o.p + batch * o.batch + run * o.run;
    if (o.flipped) f(detail::mapped(p, cols, rows, o.ld).transpose());
    else f(detail::mapped(p, rows, cols, o.ld));
  }
};

/// A row-major Eigen matrix, map or block, as an argument. Column-major ones only as what a product reads.
template <class M>
auto matrix_of(M& m) {
  static_assert(M::IsRowMajor,
                "frugal: matrices are row-major: make it an Eigen::Matrix<.., Eigen::RowMajor>, or, "
                "where it is only read, pass operand_of(it)");
  using T = std::remove_pointer_t<decltype(m.data())>;
  require(m.innerStride() == 1 || m.cols() <= 1, "an Eigen matrix", "rows of neighbouring elements", m.innerStride());
  return mat_view<T>(m.data(), m.rows(), m.cols(), m.outerStride() > m.cols() ? m.outerStride() : m.cols());
}
template <class M>
auto operand_of(M const& m) {
  using T = std::remove_cv_t<std::remove_pointer_t<decltype(m.data())>>;
  if constexpr (M::IsRowMajor) {
    return operand<T>(mat_view<T const>(matrix_of(m)));
  } else {
    const auto t = m.transpose();
    return operand<T>(mat_view<T const>(matrix_of(t)), true);
  }
}

}  // namespace v0
}  // namespace frugal
