// SPDX-License-Identifier: Apache-2.0
/// @file The CUDA runtime as a vendor of gpu_backend: names, no logic.
#pragma once
#if !defined(__CUDACC__)
#error "frugal: backend/cuda.hpp needs nvcc; keep it in .cu files"
#endif
#include <cuda_runtime.h>

#include "../../core/error.hpp"
#include "device_context.hpp"

namespace frugal {
inline namespace v0 {

struct cuda_vendor {
  static constexpr char const* name = "cuda";
  using stream = cudaStream_t;

  static void require_device() {
    int devices = 0;
    check(cudaGetDeviceCount(&devices), "cudaGetDeviceCount");
    if (devices < 1) FRUGAL_THROW(device_error(name, "cudaGetDeviceCount", int(cudaErrorNoDevice), "no device"));
  }
  static int device() {
    int d = 0;
    check(cudaGetDevice(&d), "cudaGetDevice");
    return d;
  }
  static void* allocate(std::size_t bytes) {
    void* p = nullptr;
    check(cudaMalloc(&p, bytes), "cudaMalloc");
    return p;
  }
  static void deallocate(void* p, std::size_t) noexcept { (void)cudaFree(p); }
  // Pageable memory: the runtime has read it when the call returns.
  static void copy_in(void* to, void const* from, std::size_t bytes, stream s) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, s), "cudaMemcpyAsync");
  }
  static void copy_out(void* to, void const* from, std::size_t bytes, stream s) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, s), "cudaMemcpyAsync");
  }
  static void copy(void* to, void const* from, std::size_t bytes, stream s) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, s), "cudaMemcpyAsync");
  }
  static void fill(void* p, std::uint8_t byte, std::size_t bytes, stream s) {
    check(cudaMemsetAsync(p, byte, bytes, s), "cudaMemsetAsync");
  }
  static void sync(stream s) { check(cudaStreamSynchronize(s), "cudaStreamSynchronize"); }
  template <class Kernel>
  static void launch(unsigned blocks, stream s, Kernel const& kernel) {
    detail::device_entry<Kernel><<<dim3(blocks), dim3(Kernel::threads), 0, s>>>(kernel);
    check(cudaGetLastError(), "a launch");
  }

 private:
  static void check(cudaError_t e, char const* call) {
    if (e != cudaSuccess) FRUGAL_THROW(device_error(name, call, int(e), cudaGetErrorString(e)));
  }
};

}  // namespace v0
}  // namespace frugal
