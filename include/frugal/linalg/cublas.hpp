// SPDX-License-Identifier: Apache-2.0
/// @file cuBLAS and cuSOLVER as a provider of dense algebra on the cuda backend: names, no logic. Needs nvcc and both
/// libraries (-lcublas -lcusolver).
#pragma once
#include "../backend/cuda.hpp"
#include "library.hpp"
// After the backend, which says what is needed.
#include <cublas_v2.h>
#include <cusolverDn.h>

namespace frugal {
inline namespace v0 {

struct cublas_names {
  static constexpr char const* name = "cublas";
  using backend = cuda_backend;
  using blas_handle = cublasHandle_t;
  using solver_handle = cusolverDnHandle_t;

  static constexpr auto as_is = CUBLAS_OP_N;
  static constexpr auto turned = CUBLAS_OP_T;
  static constexpr auto upper = CUBLAS_FILL_MODE_UPPER;
  static constexpr auto right = CUBLAS_SIDE_RIGHT;
  static constexpr auto any_diagonal = CUBLAS_DIAG_NON_UNIT;
  static constexpr auto vectors = CUSOLVER_EIG_MODE_VECTOR;
  static constexpr auto blas_stream = cublasSetStream;
  static constexpr auto solver_stream = cusolverDnSetStream;

  template <class T>
  struct of;
  static void check(cublasStatus_t s, char const* call) {
    if (s != CUBLAS_STATUS_SUCCESS) FRUGAL_THROW(device_error("cublas", call, int(s), cublasGetStatusString(s)));
  }
  static void check(cusolverStatus_t s, char const* call) {
    if (s != CUSOLVER_STATUS_SUCCESS) FRUGAL_THROW(device_error("cusolver", call, int(s), "see cusolverStatus_t"));
  }
};
template <>
struct cublas_names::of<float> {
  FRUGAL_LIBRARY_FUNCTIONS(cublasS, cusolverDnS)
};
template <>
struct cublas_names::of<double> {
  FRUGAL_LIBRARY_FUNCTIONS(cublasD, cusolverDnD)
};

using cublas_linalg = library_linalg<cublas_names>;

}  // namespace v0
}  // namespace frugal
