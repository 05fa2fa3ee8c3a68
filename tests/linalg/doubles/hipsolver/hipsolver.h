// SPDX-License-Identifier: Apache-2.0
// The same of hipSOLVER, its functions with cuSOLVER's signatures. See hipblas.h beside it.
#pragma once
#include <hipblas/hipblas.h>

typedef void* hipsolverHandle_t;
typedef hipsolverHandle_t hipsolverDnHandle_t;
typedef enum { HIPSOLVER_STATUS_SUCCESS = 0, HIPSOLVER_STATUS_NOT_SUPPORTED = 8 } hipsolverStatus_t;
typedef enum { HIPSOLVER_EIG_MODE_NOVECTOR = 201, HIPSOLVER_EIG_MODE_VECTOR = 202 } hipsolverEigMode_t;

inline hipsolverStatus_t hipsolverDnCreate(hipsolverHandle_t*) { return HIPSOLVER_STATUS_NOT_SUPPORTED; }
inline hipsolverStatus_t hipsolverDnDestroy(hipsolverHandle_t) { return HIPSOLVER_STATUS_NOT_SUPPORTED; }
inline hipsolverStatus_t hipsolverDnSetStream(hipsolverHandle_t, hipStream_t) { return HIPSOLVER_STATUS_NOT_SUPPORTED; }

#define FRUGAL_HIPSOLVER_DOUBLE(S, T)                                                                                  \
  inline hipsolverStatus_t hipsolverDn##S##geqrf_bufferSize(hipsolverHandle_t, int, int, T*, int, int*) {              \
    return HIPSOLVER_STATUS_NOT_SUPPORTED;                                                                             \
  }                                                                                                                    \
  inline hipsolverStatus_t hipsolverDn##S##geqrf(hipsolverHandle_t, int, int, T*, int, T*, T*, int, int*) {            \
    return HIPSOLVER_STATUS_NOT_SUPPORTED;                                                                             \
  }                                                                                                                    \
  inline hipsolverStatus_t hipsolverDn##S##orgqr_bufferSize(hipsolverHandle_t, int, int, int, const T*, int, const T*, \
                                                            int*) {                                                    \
    return HIPSOLVER_STATUS_NOT_SUPPORTED;                                                                             \
  }                                                                                                                    \
  inline hipsolverStatus_t hipsolverDn##S##orgqr(hipsolverHandle_t, int, int, int, T*, int, const T*, T*, int, int*) { \
    return HIPSOLVER_STATUS_NOT_SUPPORTED;                                                                             \
  }                                                                                                                    \
  inline hipsolverStatus_t hipsolverDn##S##syevd_bufferSize(hipsolverHandle_t, hipsolverEigMode_t, hipblasFillMode_t,  \
                                                            int, const T*, int, const T*, int*) {                      \
    return HIPSOLVER_STATUS_NOT_SUPPORTED;                                                                             \
  }                                                                                                                    \
  inline hipsolverStatus_t hipsolverDn##S##syevd(hipsolverHandle_t, hipsolverEigMode_t, hipblasFillMode_t, int, T*,    \
                                                 int, T*, T*, int, int*) {                                             \
    return HIPSOLVER_STATUS_NOT_SUPPORTED;                                                                             \
  }                                                                                                                    \
  inline hipsolverStatus_t hipsolverDn##S##potrf_bufferSize(hipsolverHandle_t, hipblasFillMode_t, int, T*, int,        \
                                                            int*) {                                                    \
    return HIPSOLVER_STATUS_NOT_SUPPORTED;                                                                             \
  }                                                                                                                    \
  inline hipsolverStatus_t hipsolverDn##S##potrf(hipsolverHandle_t, hipblasFillMode_t, int, T*, int, T*, int, int*) {  \
    return HIPSOLVER_STATUS_NOT_SUPPORTED;                                                                             \
  }
FRUGAL_HIPSOLVER_DOUBLE(S, float)
FRUGAL_HIPSOLVER_DOUBLE(D, double)
#undef FRUGAL_HIPSOLVER_DOUBLE
