// SPDX-License-Identifier: Apache-2.0
// The part of hipBLAS that frugal/linalg/hipblas.hpp names, as hipBLAS 2 (ROCm 6) declares it, for machines without the
// library: every call answers that it is not supported. That frugal's header fits these declarations is all that a
// compilation with them shows.
#pragma once
#include <hip/hip_runtime_api.h>

typedef void* hipblasHandle_t;
typedef enum { HIPBLAS_STATUS_SUCCESS = 0, HIPBLAS_STATUS_NOT_SUPPORTED = 7 } hipblasStatus_t;
typedef enum { HIPBLAS_OP_N = 111, HIPBLAS_OP_T = 112 } hipblasOperation_t;
typedef enum { HIPBLAS_FILL_MODE_UPPER = 121, HIPBLAS_FILL_MODE_LOWER = 122 } hipblasFillMode_t;
typedef enum { HIPBLAS_DIAG_NON_UNIT = 131 } hipblasDiagType_t;
typedef enum { HIPBLAS_SIDE_LEFT = 141, HIPBLAS_SIDE_RIGHT = 142 } hipblasSideMode_t;

inline hipblasStatus_t hipblasCreate(hipblasHandle_t*) { return HIPBLAS_STATUS_NOT_SUPPORTED; }
inline hipblasStatus_t hipblasDestroy(hipblasHandle_t) { return HIPBLAS_STATUS_NOT_SUPPORTED; }
inline hipblasStatus_t hipblasSetStream(hipblasHandle_t, hipStream_t) { return HIPBLAS_STATUS_NOT_SUPPORTED; }
inline const char* hipblasStatusToString(hipblasStatus_t) { return "HIPBLAS_STATUS_NOT_SUPPORTED"; }

#define FRUGAL_HIPBLAS_DOUBLE(S, T)                                                                                   \
  inline hipblasStatus_t hipblas##S##gemmStridedBatched(hipblasHandle_t, hipblasOperation_t, hipblasOperation_t, int, \
                                                        int, int, const T*, const T*, int, long long, const T*, int,  \
                                                        long long, const T*, T*, int, long long, int) {               \
    return HIPBLAS_STATUS_NOT_SUPPORTED;                                                                              \
  }                                                                                                                   \
  inline hipblasStatus_t hipblas##S##syrk(hipblasHandle_t, hipblasFillMode_t, hipblasOperation_t, int, int, const T*, \
                                          const T*, int, const T*, T*, int) {                                         \
    return HIPBLAS_STATUS_NOT_SUPPORTED;                                                                              \
  }                                                                                                                   \
  inline hipblasStatus_t hipblas##S##gemv(hipblasHandle_t, hipblasOperation_t, int, int, const T*, const T*, int,     \
                                          const T*, int, const T*, T*, int) {                                         \
    return HIPBLAS_STATUS_NOT_SUPPORTED;                                                                              \
  }                                                                                                                   \
  inline hipblasStatus_t hipblas##S##trsm(hipblasHandle_t, hipblasSideMode_t, hipblasFillMode_t, hipblasOperation_t,  \
                                          hipblasDiagType_t, int, int, const T*, const T*, int, T*, int) {            \
    return HIPBLAS_STATUS_NOT_SUPPORTED;                                                                              \
  }
FRUGAL_HIPBLAS_DOUBLE(S, float)
FRUGAL_HIPBLAS_DOUBLE(D, double)
#undef FRUGAL_HIPBLAS_DOUBLE
