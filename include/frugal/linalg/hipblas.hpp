// SPDX-License-Identifier: Apache-2.0
/// @file hipBLAS and hipSOLVER as a provider of dense algebra on the hip backend: names, no logic. Needs a compiler in
/// HIP mode and both libraries (-lhipblas -lhipsolver).
#pragma once
#include "../backend/hip.hpp"
#include "library.hpp"
// After the backend, which says what is needed.
#include <hipblas/hipblas.h>
#include <hipsolver/hipsolver.h>

namespace frugal {
inline namespace v0 {

struct hipblas_names {
  static constexpr char const* name = "hipblas";
  using backend = hip_backend;
  using blas_handle = hipblasHandle_t;
  using solver_handle = hipsolverDnHandle_t;

  static constexpr auto as_is = HIPBLAS_OP_N;
  static constexpr auto turned = HIPBLAS_OP_T;
  static constexpr auto upper = HIPBLAS_FILL_MODE_UPPER;
  static constexpr auto right = HIPBLAS_SIDE_RIGHT;
  static constexpr auto any_diagonal = HIPBLAS_DIAG_NON_UNIT;
  static constexpr auto vectors = HIPSOLVER_EIG_MODE_VECTOR;
  static constexpr auto blas_stream = hipblasSetStream;
  static constexpr auto solver_stream = hipsolverDnSetStream;

  template <class T>
  struct of;
  static void check(hipblasStatus_t s, char const* call) {
    if (s != HIPBLAS_STATUS_SUCCESS) FRUGAL_THROW(device_error("hipblas", call, int(s), hipblasStatusToString(s)));
  }
  static void check(hipsolverStatus_t s, char const* call) {
    if (s != HIPSOLVER_STATUS_SUCCESS) FRUGAL_THROW(device_error("hipsolver", call, int(s), "see hipsolverStatus_t"));
  }
};
template <>
struct hipblas_names::of<float> {
  FRUGAL_LIBRARY_FUNCTIONS(hipblasS, hipsolverDnS)
};
template <>
struct hipblas_names::of<double> {
  FRUGAL_LIBRARY_FUNCTIONS(hipblasD, hipsolverDnD)
};

using hipblas_linalg = library_linalg<hipblas_names>;

}  // namespace v0
}  // namespace frugal
