// SPDX-License-Identifier: Apache-2.0
/// @file cuBLAS and cuSOLVER as a provider of dense algebra on the cuda backend. Needs nvcc and both libraries
/// (-lcublas -lcusolver). Their matrices are column-major: a row-major matrix is what they take for its transpose.
#pragma once
#include "cusolver.hpp"
#include "linalg.hpp"

namespace frugal {
inline namespace v0 {
/// The caller's handles, which outlive it; their stream is set to the backend's in each call, the pointer mode is to be
/// the host's, as it is in new handles. No math mode is changed: with TF32 allowed in the handle, products use it.
struct cublas_linalg {
  static constexpr char const* name = "cublas";
  cublasHandle_t blas = nullptr;
  cusolverDnHandle_t solver = nullptr;

  template <class T>
  void multiply(cuda_backend const& b, detail::product_job<T> const& job) const {
    using f = detail::cublas_of<T>;
    const auto size = [](index_t n) { return detail::cublas_size(n); };
    const auto ld = [&](index_t n) { return size(n > 0 ? n : 1); };  // of a factor without elements too
    const T none(0), one(1);
    detail::cublas_check(cublasSetStream(blas, b.stream()), "cublasSetStream");
    for (index_t r = 0; r < (job.k > 0 ? job.runs : 1); ++r) {
      const T *alpha = job.k > 0 ? &job.alpha : &none, *beta = r == 0 ? &job.beta : &one;
      T const *pa = job.a.p + r * job.a.run, *pb = job.b.p + r * job.b.run;
      if (job.symmetric)
        detail::cublas_check(f::syrk(blas, CUBLAS_FILL_MODE_UPPER, job.a.flipped ? CUBLAS_OP_N : CUBLAS_OP_T,
                                     size(job.m), size(job.k), alpha, pa, ld(job.a.ld), beta, job.c, size(job.ldc)),
                             "syrk");
      else
        detail::cublas_check(
            f::gemm(blas, job.b.flipped ? CUBLAS_OP_T : CUBLAS_OP_N, job.a.flipped ? CUBLAS_OP_T : CUBLAS_OP_N,
                    size(job.n), size(job.m), size(job.k), alpha, pb, ld(job.b.ld), job.b.batch, pa, ld(job.a.ld),
                    job.a.batch, beta, job.c, size(job.ldc), job.batch_c, size(job.batch)),
            "gemmStridedBatched");
    }
    if (job.symmetric) b.for_teams(detail::mirror_triangle<T>{job.c, job.m, job.ldc});
  }
  template <class T>
  void multiply_vector(cuda_backend const& b, detail::vector_job<T> const& job, bool flipped) const {
    detail::cublas_check(cublasSetStream(blas, b.stream()), "cublasSetStream");
    detail::cublas_check(
        detail::cublas_of<T>::gemv(blas, flipped ? CUBLAS_OP_N : CUBLAS_OP_T, detail::cublas_size(job.cols),
                                   detail::cublas_size(job.rows), &job.alpha, job.a, detail::cublas_size(job.ld), job.x,
                                   1, &job.beta, job.y, 1),
        "gemv");
  }
  template <class T>
  auto make_qr(cuda_backend const& b, index_t rows, index_t cols) const {
    return detail::cusolver_qr<T>(b, blas, solver, rows, cols);
  }
  template <class T>
  auto make_eigen(cuda_backend const& b, index_t n) const {
    return detail::cusolver_eigen<T>(b, blas, solver, n);
  }
  template <class T>
  auto make_cholesky(cuda_backend const& b, index_t n) const {
    return detail::cusolver_cholesky<T>(b, blas, solver, n);
  }
};

}  // namespace v0
}  // namespace frugal
