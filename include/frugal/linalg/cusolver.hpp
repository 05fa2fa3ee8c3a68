// SPDX-License-Identifier: Apache-2.0
/// @file Factorizations by cuSOLVER, for linalg/cublas.hpp. The library is column-major: symmetric matrices are what it
/// takes for themselves with the other triangle, others are turned on their way in and out.
#pragma once
#include "../backend/cuda.hpp"
#include "builtin.hpp"
// After the backend, which says what is needed.
#include <cublas_v2.h>
#include <cusolverDn.h>

namespace frugal {
inline namespace v0 {
namespace detail {

inline void cublas_check(cublasStatus_t s, char const* call) {
  if (s != CUBLAS_STATUS_SUCCESS) throw device_error("cublas", call, int(s), cublasGetStatusString(s));
}
inline void cusolver_check(cusolverStatus_t s, char const* call) {
  if (s != CUSOLVER_STATUS_SUCCESS) throw device_error("cusolver", call, int(s), "see cusolverStatus_t");
}
inline int cublas_size(index_t n) {
  require(n <= 0x7fffffff, "a size for cuBLAS", "below 2^31", n);
  return int(n);
}
/// One name for the functions of float and double.
template <class T>
struct cublas_of;
#define FRUGAL_CUBLAS(T, S)                                             \
  template <>                                                           \
  struct cublas_of<T> {                                                 \
    static constexpr auto gemm = cublas##S##gemmStridedBatched;         \
    static constexpr auto syrk = cublas##S##syrk;                       \
    static constexpr auto gemv = cublas##S##gemv;                       \
    static constexpr auto geam = cublas##S##geam;                       \
    static constexpr auto trsm = cublas##S##trsm;                       \
    static constexpr auto geqrf = cusolverDn##S##geqrf;                 \
    static constexpr auto orgqr = cusolverDn##S##orgqr;                 \
    static constexpr auto syevd = cusolverDn##S##syevd;                 \
    static constexpr auto potrf = cusolverDn##S##potrf;                 \
    static constexpr auto room_geqrf = cusolverDn##S##geqrf_bufferSize; \
    static constexpr auto room_orgqr = cusolverDn##S##orgqr_bufferSize; \
    static constexpr auto room_syevd = cusolverDn##S##syevd_bufferSize; \
    static constexpr auto room_potrf = cusolverDn##S##potrf_bufferSize; \
  };
FRUGAL_CUBLAS(float, S)
FRUGAL_CUBLAS(double, D)
#undef FRUGAL_CUBLAS

/// The lower triangle to the upper.
template <class T>
struct mirror_triangle {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T* c;
  index_t n, ld;
  index_t teams() const { return n; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t i = team.rank();
    for (index_t j = team.lane(); j < i; j += team.lanes()) c[j * ld + i] = c[i * ld + j];
  }
};
/// Magnitudes of a matrix's rows, up to the diagonal or all: is one not finite? And what a library said.
template <class T>
struct library_report {
  typename floating<T>::bits const* peaks;
  index_t n;
  int const* info;
  outcome positive;  // of an info > 0
  linalg_report* report;
  FRUGAL_FN void operator()() const {
    linalg_report r;
    for (index_t i = n - 1; i >= 0; --i)
      if (!is_finite_bits<T>(peaks[i])) r.what = outcome::not_finite, r.at = i;
    if (r.what == outcome::ok && *info > 0) {
      r.what = positive;
      if (positive == outcome::not_positive) r.at = *info - 1;
    }
    *report = r;
  }
};

/// Signs of a QR factorization in columns, and its triangle in rows.
template <class T>
struct take_triangle {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T const* a;  // column-major, `rows` apart
  index_t rows, n;
  T *sign, *r;
  index_t ld;
  index_t teams() const { return n; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t i = team.rank();
    const bool negative = a[i * rows + i] < T(0);
    if (team.lane() == 0) sign[i] = negative ? T(-1) : T(1);
    if (!r) return;
    for (index_t j = team.lane(); j < n; j += team.lanes()) {
      const T x = j < i ? T(0) : a[j * rows + i];
      r[i * ld + j] = negative && j >= i ? -x : x;
    }
  }
};
/// From columns to rows, times each column's sign.
template <class T>
struct from_columns {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T const *a, *sign;  // null: 1
  index_t rows, n;
  T* to;
  index_t ld;
  index_t teams() const { return rows; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t i = team.rank();
    for (index_t j = team.lane(); j < n; j += team.lanes()) {
      const T x = a[j * rows + i];
      to[i * ld + j] = sign && sign[j] < T(0) ? -x : x;
    }
  }
};
template <class T>
struct to_columns {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T const* a;
  index_t rows, n, ld;
  T* to;
  index_t teams() const { return rows; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t i = team.rank();
    for (index_t j = team.lane(); j < n; j += team.lanes()) to[j * rows + i] = a[i * ld + j];
  }
};
/// The largest magnitude of each column of a row-major matrix.
template <class T>
struct column_peaks {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T const* a;
  index_t rows, n, ld;
  typename floating<T>::bits* peaks;
  index_t teams() const { return (n + 255) / 256; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t from = team.rank() * 256, to = from + 256 < n ? from + 256 : n;
    for (index_t j = from + index_t(team.lane()); j < to; j += index_t(team.lanes())) {
      typename floating<T>::bits most = 0;
      for (index_t i = 0; i < rows; ++i) {
        const auto u = magnitude_bits(a[i * ld + j]);
        most = u > most ? u : most;
      }
      peaks[j] = most;
    }
  }
};

/// What the factorizations by cuSOLVER have in common.
template <class T>
class cusolver_base {
 protected:
  using f = cublas_of<T>;
  cusolver_base(cuda_backend b, cublasHandle_t blas, cusolverDnHandle_t solver, index_t rows, index_t n)
      : backend_(b),
        blas_(blas),
        solver_(solver),
        rows_(rows),
        n_(n),
        a_(b, rows * n),
        peaks_(b, n),
        info_(b, 1),
        report_(b) {
    info_.fill(0);
  }
  void ready() const {
    cusolver_check(cusolverDnSetStream(solver_, backend_.stream()), "cusolverDnSetStream");
    cublas_check(cublasSetStream(blas_, backend_.stream()), "cublasSetStream");
  }
  void conclude(outcome positive) {
    backend_.run(library_report<T>{peaks_.data(), n_, info_.data(), positive, report_.data()});
  }
  /// The symmetric matrix of this lower triangle, as the library's upper one.
  void take_lower(mat_view<T const, typename cuda_backend::space> a) {
    backend_.for_teams(jacobi_peaks<T>{a.data(), n_, a.ld(), peaks_.data()});
    backend_.for_teams(copy_lower<T>{a.data(), n_, a.ld(), a_.data(), n_, nullptr});
  }
  cuda_backend backend_;
  cublasHandle_t blas_;
  cusolverDnHandle_t solver_;
  index_t rows_, n_;
  buffer<T, cuda_backend> a_;
  buffer<typename floating<T>::bits, cuda_backend> peaks_;
  buffer<int, cuda_backend> info_;
  report_cell<cuda_backend> report_;

 public:
  linalg_report const* report() const { return report_.data(); }
};

template <class T>
class cusolver_qr : public cusolver_base<T> {
  using f = cublas_of<T>;
  using space = typename cuda_backend::space;

 public:
  cusolver_qr(cuda_backend b, cublasHandle_t blas, cusolverDnHandle_t s, index_t rows, index_t n)
      : cusolver_qr::cusolver_base(b, blas, s, rows, n), tau_(b, n), sign_(b, n), room_(b, room()) {}
  void operator()(mat_view<T const, space> a, mat_view<T, space> q, mat_view<T, space> r) {
    if (a.empty()) return;
    this->ready();
    auto const& b = this->backend_;
    const int m = cublas_size(this->rows_), n = cublas_size(this->n_);
    T* x = this->a_.data();
    b.for_teams(column_peaks<T>{a.data(), a.rows(), a.cols(), a.ld(), this->peaks_.data()});
    b.for_teams(to_columns<T>{a.data(), a.rows(), a.cols(), a.ld(), x});
    cusolver_check(
        f::geqrf(this->solver_, m, n, x, m, tau_.data(), room_.data(), int(room_.size()), this->info_.data()), "geqrf");
    b.for_teams(take_triangle<T>{x, a.rows(), a.cols(), sign_.data(), r.data(), r.ld()});
    cusolver_check(
        f::orgqr(this->solver_, m, n, n, x, m, tau_.data(), room_.data(), int(room_.size()), this->info_.data()),
        "orgqr");
    b.for_teams(from_columns<T>{x, sign_.data(), a.rows(), a.cols(), q.data(), q.ld()});
    this->conclude(outcome::not_converged);
  }

 private:
  index_t room() const {
    const int m = cublas_size(this->rows_), n = cublas_size(this->n_);
    int first = 0, second = 0;
    if (m == 0 || n == 0) return 0;
    cusolver_check(f::room_geqrf(this->solver_, m, n, this->a_.data(), m, &first), "geqrf_bufferSize");
    cusolver_check(f::room_orgqr(this->solver_, m, n, n, this->a_.data(), m, tau_.data(), &second), "orgqr_bufferSize");
    return first > second ? first : second;
  }
  buffer<T, cuda_backend> tau_, sign_, room_;
};

template <class T>
class cusolver_eigen : public cusolver_base<T> {
  using f = cublas_of<T>;
  using space = typename cuda_backend::space;
  static constexpr auto vectors = CUSOLVER_EIG_MODE_VECTOR;

 public:
  cusolver_eigen(cuda_backend b, cublasHandle_t blas, cusolverDnHandle_t s, index_t n)
      : cusolver_eigen::cusolver_base(b, blas, s, n, n), w_(b, n), room_(b, room()) {}
  void operator()(mat_view<T const, space> a, view<T, space> w, mat_view<T, space> v) {
    if (a.empty()) return;
    this->ready();
    auto const& b = this->backend_;
    const int n = cublas_size(this->n_);
    T* x = this->a_.data();
    this->take_lower(a);
    cusolver_check(f::syevd(this->solver_, vectors, CUBLAS_FILL_MODE_UPPER, n, x, n, w.data(), room_.data(),
                            int(room_.size()), this->info_.data()),
                   "syevd");
    b.for_teams(from_columns<T>{x, nullptr, a.rows(), a.cols(), v.data(), v.ld()});
    this->conclude(outcome::not_converged);
  }

 private:
  index_t room() const {
    const int n = cublas_size(this->n_);
    int size = 0;
    if (n > 0)
      cusolver_check(
          f::room_syevd(this->solver_, vectors, CUBLAS_FILL_MODE_UPPER, n, this->a_.data(), n, w_.data(), &size),
          "syevd_bufferSize");
    return size;
  }
  buffer<T, cuda_backend> w_, room_;
};

template <class T>
class cusolver_cholesky : public cusolver_base<T> {
  using f = cublas_of<T>;
  using space = typename cuda_backend::space;

 public:
  cusolver_cholesky(cuda_backend b, cublasHandle_t blas, cusolverDnHandle_t s, index_t n)
      : cusolver_cholesky::cusolver_base(b, blas, s, n, n), room_(b, room()) {}
  void factor(mat_view<T const, space> a) {
    if (a.empty()) return;
    this->ready();
    const int n = cublas_size(this->n_);
    this->take_lower(a);
    cusolver_check(f::potrf(this->solver_, CUBLAS_FILL_MODE_UPPER, n, this->a_.data(), n, room_.data(),
                            int(room_.size()), this->info_.data()),
                   "potrf");
    this->conclude(outcome::not_positive);
  }
  void lower(mat_view<T, space> to) {
    if (!to.empty())
      this->backend_.for_teams(copy_lower<T>{this->a_.data(), this->n_, this->n_, to.data(), to.ld(), nullptr});
  }
  /// b^T, as the library sees b, times the inverse from the right.
  void solve(mat_view<T, space> b) {
    if (b.empty()) return;
    this->ready();
    const T one(1);
    for (const auto side : {CUBLAS_OP_N, CUBLAS_OP_T})
      cublas_check(f::trsm(this->blas_, CUBLAS_SIDE_RIGHT, CUBLAS_FILL_MODE_UPPER, side, CUBLAS_DIAG_NON_UNIT,
                           cublas_size(b.cols()), cublas_size(this->n_), &one, this->a_.data(), cublas_size(this->n_),
                           b.data(), cublas_size(b.ld())),
                   "trsm");
  }
  void inverse(mat_view<T, space> to) {
    if (to.empty()) return;
    this->backend_.for_teams(copy_lower<T>{nullptr, this->n_, this->n_, to.data(), to.ld(), nullptr});
    solve(to);
    this->backend_.for_teams(mirror_triangle<T>{to.data(), this->n_, to.ld()});
  }

 private:
  index_t room() const {
    const int n = cublas_size(this->n_);
    int size = 0;
    if (n > 0)
      cusolver_check(f::room_potrf(this->solver_, CUBLAS_FILL_MODE_UPPER, n, this->a_.data(), n, &size),
                     "potrf_bufferSize");
    return size;
  }
  buffer<T, cuda_backend> room_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
