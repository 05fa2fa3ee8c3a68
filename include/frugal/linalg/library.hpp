// SPDX-License-Identifier: Apache-2.0
/// @file A vendor's BLAS and dense solver as a provider of dense algebra: cuBLAS and cuSOLVER (linalg/cublas.hpp), or
/// hipBLAS and hipSOLVER (linalg/hipblas.hpp), which differ in names only. They are column-major: a row-major matrix is
/// what they take for its transpose; symmetric matrices are what they take for themselves with the other triangle, and
/// what is factored otherwise is turned on its way in and out.
#pragma once
#include "builtin.hpp"
#include "linalg.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

inline int library_size(index_t n) {
  require(n <= 0x7fffffff, "a size for a vendor's library", "below 2^31", n);
  return int(n);
}

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

/// What the factorizations have in common.
template <class Names, class T>
class library_factorization {
 protected:
  using f = typename Names::template of<T>;
  using backend = typename Names::backend;
  using space = typename backend::space;
  using blas_handle = typename Names::blas_handle;
  using solver_handle = typename Names::solver_handle;
  library_factorization(backend b, blas_handle blas, solver_handle solver, index_t rows, index_t n)
      : backend_(b),
        blas_(blas),
        solver_(solver),
        rows_(rows),
        n_(n),
        a_(b, rows * n),
        peaks_(b, n),
        info_(zeros<int>(b, 1)),
        report_(b) {}
  void ready() const {
    Names::check(Names::solver_stream(solver_, backend_.stream()), "the stream of a solver's handle");
    Names::check(Names::blas_stream(blas_, backend_.stream()), "the stream of a BLAS handle");
  }
  void conclude(outcome positive) {
    backend_.run(library_report<T>{peaks_.data(), n_, info_.data(), positive, report_.data()});
  }
  /// The symmetric matrix of this lower triangle, as the library's upper one.
  void take_lower(mat_view<T const, space> a) {
    backend_.for_teams(jacobi_peaks<T>{a.data(), n_, a.ld(), peaks_.data()});
    backend_.for_teams(copy_lower<T>{a.data(), n_, a.ld(), a_.data(), n_, nullptr});
  }
  backend backend_;
  blas_handle blas_;
  solver_handle solver_;
  index_t rows_, n_;
  buffer<T, backend> a_;
  buffer<typename floating<T>::bits, backend> peaks_;
  buffer<int, backend> info_;
  report_cell<backend> report_;

 public:
  linalg_report const* report() const { return report_.data(); }
};

template <class Names, class T>
class library_qr : public library_factorization<Names, T> {
  using base = library_factorization<Names, T>;
  using typename base::backend, typename base::blas_handle, typename base::f, typename base::solver_handle;
  using typename base::space;

 public:
  library_qr(backend b, blas_handle blas, solver_handle s, index_t rows, index_t n)
      : base(b, blas, s, rows, n), tau_(b, n), sign_(b, n), room_(b, room()) {}
  void operator()(mat_view<T const, space> a, mat_view<T, space> q, mat_view<T, space> r) {
    if (a.empty()) return;
    this->ready();
    auto const& b = this->backend_;
    const int m = library_size(this->rows_), n = library_size(this->n_);
    T* x = this->a_.data();
    b.for_teams(column_peaks<T>{a.data(), a.rows(), a.cols(), a.ld(), this->peaks_.data()});
    b.for_teams(to_columns<T>{a.data(), a.rows(), a.cols(), a.ld(), x});
    Names::check(f::geqrf(this->solver_, m, n, x, m, tau_.data(), room_.data(), int(room_.size()), this->info_.data()),
                 "geqrf");
    b.for_teams(take_triangle<T>{x, a.rows(), a.cols(), sign_.data(), r.data(), r.ld()});
    Names::check(
        f::orgqr(this->solver_, m, n, n, x, m, tau_.data(), room_.data(), int(room_.size()), this->info_.data()),
        "orgqr");
    b.for_teams(from_columns<T>{x, sign_.data(), a.rows(), a.cols(), q.data(), q.ld()});
    this->conclude(outcome::not_converged);
  }

 private:
  index_t room() const {
    const int m = library_size(this->rows_), n = library_size(this->n_);
    int first = 0, second = 0;
    if (m == 0 || n == 0) return 0;
    Names::check(f::room_geqrf(this->solver_, m, n, this->a_.data(), m, &first), "geqrf_bufferSize");
    Names::check(f::room_orgqr(this->solver_, m, n, n, this->a_.data(), m, tau_.data(), &second), "orgqr_bufferSize");
    return first > second ? first : second;
  }
  buffer<T, backend> tau_, sign_, room_;
};

template <class Names, class T>
class library_eigen : public library_factorization<Names, T> {
  using base = library_factorization<Names, T>;
  using typename base::backend, typename base::blas_handle, typename base::f, typename base::solver_handle;
  using typename base::space;

 public:
  library_eigen(backend b, blas_handle blas, solver_handle s, index_t n)
      : base(b, blas, s, n, n), w_(b, n), room_(b, room()) {}
  void operator()(mat_view<T const, space> a, view<T, space> w, mat_view<T, space> v) {
    if (a.empty()) return;
    this->ready();
    auto const& b = this->backend_;
    const int n = library_size(this->n_);
    T* x = this->a_.data();
    this->take_lower(a);
    Names::check(f::syevd(this->solver_, Names::vectors, Names::upper, n, x, n, w.data(), room_.data(),
                          int(room_.size()), this->info_.data()),
                 "syevd");
    b.for_teams(from_columns<T>{x, nullptr, a.rows(), a.cols(), v.data(), v.ld()});
    this->conclude(outcome::not_converged);
  }

 private:
  index_t room() const {
    const int n = library_size(this->n_);
    int size = 0;
    if (n > 0)
      Names::check(f::room_syevd(this->solver_, Names::vectors, Names::upper, n, this->a_.data(), n, w_.data(), &size),
                   "syevd_bufferSize");
    return size;
  }
  buffer<T, backend> w_, room_;
};

template <class Names, class T>
class library_cholesky : public library_factorization<Names, T> {
  using base = library_factorization<Names, T>;
  using typename base::backend, typename base::blas_handle, typename base::f, typename base::solver_handle;
  using typename base::space;

 public:
  library_cholesky(backend b, blas_handle blas, solver_handle s, index_t n)
      : base(b, blas, s, n, n), room_(b, room()) {}
  void factor(mat_view<T const, space> a) {
    if (a.empty()) return;
    this->ready();
    const int n = library_size(this->n_);
    this->take_lower(a);
    Names::check(f::potrf(this->solver_, Names::upper, n, this->a_.data(), n, room_.data(), int(room_.size()),
                          this->info_.data()),
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
    for (const auto side : {Names::as_is, Names::turned})
      Names::check(f::trsm(this->blas_, Names::right, Names::upper, side, Names::any_diagonal, library_size(b.cols()),
                           library_size(this->n_), &one, this->a_.data(), library_size(this->n_), b.data(),
                           library_size(b.ld())),
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
    const int n = library_size(this->n_);
    int size = 0;
    if (n > 0)
      Names::check(f::room_potrf(this->solver_, Names::upper, n, this->a_.data(), n, &size), "potrf_bufferSize");
    return size;
  }
  buffer<T, backend> room_;
};

}  // namespace detail

/// @tparam Names  a struct of the types backend, blas_handle and solver_handle; the constants name, as_is, turned
///                (operations), upper, right, any_diagonal, vectors; the functions blas_stream, solver_stream and
///                check(status, call) for the statuses of both; and of<T>, the functions for float and double
///                (FRUGAL_LIBRARY_FUNCTIONS).
///
/// The caller's handles, which outlive it; their stream is set to the backend's in each call, the pointer mode is to be
/// the host's, as it is in new handles. No math mode is changed: with TF32 allowed in the handle, products use it.
template <class Names>
struct library_linalg {
  static constexpr char const* name = Names::name;
  using backend = typename Names::backend;
  typename Names::blas_handle blas = nullptr;
  typename Names::solver_handle solver = nullptr;

  template <class T>
  void multiply(backend const& b, detail::product_job<T> const& job) const {
    using f = typename Names::template of<T>;
    const auto size = [](index_t n) { return detail::library_size(n); };
    const auto ld = [&](index_t n) { return size(n > 0 ? n : 1); };  // of a factor without elements too
    const T none(0), one(1);
    Names::check(Names::blas_stream(blas, b.stream()), "the stream of a BLAS handle");
    for (index_t r = 0; r < (job.k > 0 ? job.runs : 1); ++r) {
      const T *alpha = job.k > 0 ? &job.alpha : &none, *beta = r == 0 ? &job.beta : &one;
      T const *pa = job.a.p + r * job.a.run, *pb = job.b.p + r * job.b.run;
      if (job.symmetric)
        Names::check(f::syrk(blas, Names::upper, job.a.flipped ? Names::as_is : Names::turned, size(job.m), size(job.k),
                             alpha, pa, ld(job.a.ld), beta, job.c, size(job.ldc)),
                     "syrk");
      else
        Names::check(
            f::gemm(blas, job.b.flipped ? Names::turned : Names::as_is, job.a.flipped ? Names::turned : Names::as_is,
                    size(job.n), size(job.m), size(job.k), alpha, pb, ld(job.b.ld), job.b.batch, pa, ld(job.a.ld),
                    job.a.batch, beta, job.c, size(job.ldc), job.batch_c, size(job.batch)),
            "gemmStridedBatched");
    }
    if (job.symmetric) b.for_teams(detail::mirror_triangle<T>{job.c, job.m, job.ldc});
  }
  template <class T>
  void multiply_vector(backend const& b, detail::vector_job<T> const& job, bool flipped) const {
    Names::check(Names::blas_stream(blas, b.stream()), "the stream of a BLAS handle");
    Names::check(Names::template of<T>::gemv(blas, flipped ? Names::as_is : Names::turned,
                                             detail::library_size(job.cols), detail::library_size(job.rows), &job.alpha,
                                             job.a, detail::library_size(job.ld), job.x, 1, &job.beta, job.y, 1),
                 "gemv");
  }
  template <class T>
  auto make_qr(backend const& b, index_t rows, index_t cols) const {
    return detail::library_qr<Names, T>(b, blas, solver, rows, cols);
  }
  template <class T>
  auto make_eigen(backend const& b, index_t n) const {
    return detail::library_eigen<Names, T>(b, blas, solver, n);
  }
  template <class T>
  auto make_cholesky(backend const& b, index_t n) const {
    return detail::library_cholesky<Names, T>(b, blas, solver, n);
  }
};

/// The members of Names::of<T>; SOLVER's functions are those of cusolverDn.
#define FRUGAL_LIBRARY_FUNCTIONS(BLAS, SOLVER)                 \
  static constexpr auto gemm = BLAS##gemmStridedBatched;       \
  static constexpr auto syrk = BLAS##syrk;                     \
  static constexpr auto gemv = BLAS##gemv;                     \
  static constexpr auto trsm = BLAS##trsm;                     \
  static constexpr auto geqrf = SOLVER##geqrf;                 \
  static constexpr auto orgqr = SOLVER##orgqr;                 \
  static constexpr auto syevd = SOLVER##syevd;                 \
  static constexpr auto potrf = SOLVER##potrf;                 \
  static constexpr auto room_geqrf = SOLVER##geqrf_bufferSize; \
  static constexpr auto room_orgqr = SOLVER##orgqr_bufferSize; \
  static constexpr auto room_syevd = SOLVER##syevd_bufferSize; \
  static constexpr auto room_potrf = SOLVER##potrf_bufferSize;

}  // namespace v0
}  // namespace frugal
