// SPDX-License-Identifier: Apache-2.0
/// @file The only place outside `backend/` that asks which compiler this is.
#pragma once
#include "../version.hpp"

// Where nothing else could be understood, a header that does not exist ends the compilation behind the reason.
#if !defined(__GNUC__)
#error "frugal: needs g++ 11, clang 13, or newer: docs/contracts.md has what is tested"
#include <frugal/another_compiler_is_needed>
#elif defined(__clang__) ? __clang_major__ < 13 : __GNUC__ < 11
#error "frugal: this compiler is too old, g++ 11, clang 13, or newer is needed"
#include <frugal/a_newer_compiler_is_needed>
#elif __cplusplus < 202002L
#error "frugal: needs C++20: compile with -std=c++20 (CMake sets it for what links frugal::frugal, but not for CUDA)"
#include <frugal/cxx_20_is_needed>
#elif defined(FRUGAL_SINGLE_HEADER)
#error "frugal: its single header was included before: make one with this header in it (cmake/single_header.sh)"
#include <frugal/another_single_header_is_needed>
#endif

#if defined(__FAST_MATH__)
#error \
    "frugal: -ffast-math breaks the bit-exactness that replicated and shared-seed methods rely on; compile without it"
#endif
#if defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(_M_FP_FAST)
#error "frugal: -funsafe-math-optimizations, or a part of it, breaks the bit-exactness that replicated methods rely on"
#endif
// -1 is clang's word for -funsafe-math-optimizations and its parts, 2 is -mfpmath=387; with 16 half precision alone is
// evaluated as itself.
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "frugal: float must be evaluated as float: no -funsafe-math-optimizations or part of it, no -mfpmath=387"
#endif

#if defined(__HIP__)
#include <hip/hip_runtime.h>
#endif

// FRUGAL_FN: runs on hosts and devices. FRUGAL_CPU: host only. Both are inlined always, so that a rule becomes one loop
// body.
#if defined(__CUDACC__) || defined(__HIP__)
#define FRUGAL_FN __host__ __device__ __forceinline__
#else
#define FRUGAL_FN inline __attribute__((always_inline))
#endif
#define FRUGAL_CPU inline __attribute__((always_inline))

// Before a host-device template that may be instantiated with host-only value types: nvcc checks calls otherwise.
#if defined(__CUDACC__)
#define FRUGAL_GENERIC _Pragma("nv_exec_check_disable")
#else
#define FRUGAL_GENERIC
#endif

// With -fno-exceptions an error prints its text and aborts; what would be done on the way out of a scope is left out.
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define FRUGAL_EXCEPTIONS 1
#define FRUGAL_THROW(...) throw __VA_ARGS__
#define FRUGAL_TRY try
#define FRUGAL_CATCH_ALL catch (...)
#define FRUGAL_RETHROW throw
#else
#define FRUGAL_EXCEPTIONS 0
#define FRUGAL_THROW(...) ::frugal::detail::die((__VA_ARGS__).what())
#define FRUGAL_TRY if constexpr (true)
#define FRUGAL_CATCH_ALL else
#define FRUGAL_RETHROW static_assert(true)
#endif

#if defined(__CUDA_ARCH__) || defined(__clang__)
#define FRUGAL_UNROLL _Pragma("unroll")
#elif defined(__CUDACC__)  // nvcc's own front end, host pass
#define FRUGAL_UNROLL
#else
#define FRUGAL_UNROLL _Pragma("GCC unroll 64")
#endif

#if defined(__CUDA_ARCH__) || defined(__HIP_DEVICE_COMPILE__)
#define FRUGAL_ON_DEVICE 1
#else
#define FRUGAL_ON_DEVICE 0
#endif

// The passes that make code for a device read what runs on a processor, but make nothing of it: any text for it will
// do, and that with intrinsics would read a header as long as all others together.
#if defined(__x86_64__) && (defined(__AVX__) || !FRUGAL_ON_DEVICE)
#define FRUGAL_X86 1
#else
#define FRUGAL_X86 0
#endif
