// SPDX-License-Identifier: Apache-2.0
/// @file The HIP runtime as a vendor of gpu_backend: names, no logic.
#pragma once
#if !defined(__HIP__)
#error "frugal: backend/hip.hpp needs hipcc (or clang -x hip)"
#endif
#include <hip/hip_runtime.h>

#include "../../core/error.hpp"
#include "device_context.hpp"

namespace frugal {
inline namespace v0 {

struct hip_vendor {
  static constexpr char const* name = "hip";
  using stream = hipStream_t;

  static void require_device() {
    int devices = 0;
    check(hipGetDeviceCount(&devices), "hipGetDeviceCount");
    if (devices < 1) FRUGAL_THROW(device_error(name, "hipGetDeviceCount", int(hipErrorNoDevice), "no device"));
  }
  static int device() {
    int d = 0;
    check(hipGetDevice(&d), "hipGetDevice");
    return d;
  }
  static void* allocate(std::size_t bytes) {
    void* p = nullptr;
    check(hipMalloc(&p, bytes), "hipMalloc");
    return p;
  }
  static void deallocate(void* p, std::size_t) noexcept { (void)hipFree(p); }
  // Pageable memory: the runtime has read it when the call returns.
  static void copy_in(void* to, void const* from, std::size_t bytes, stream s) {
    check(hipMemcpyAsync(to, from, bytes, hipMemcpyHostToDevice, s), "hipMemcpyAsync");
  }
  static void copy_out(void* to, void const* from, std::size_t bytes, stream s) {
    check(hipMemcpyAsync(to, from, bytes, hipMemcpyDeviceToHost, s), "hipMemcpyAsync");
  }
  static void copy(void* to, void const* from, std::size_t bytes, stream s) {
    check(hipMemcpyAsync(to, from, bytes, hipMemcpyDeviceToDevice, s), "hipMemcpyAsync");
  }
  static void fill(void* p, std::uint8_t byte, std::size_t bytes, stream s) {
    check(hipMemsetAsync(p, byte, bytes, s), "hipMemsetAsync");
  }
  static void sync(stream s) { check(hipStreamSynchronize(s), "hipStreamSynchronize"); }
  template <class Kernel>
  static void launch(unsigned blocks, stream s, Kernel const& kernel) {
    const auto all = std::uint64_t(blocks) * Kernel::threads;  // a limit of HIP's that CUDA does not have
    require(all < std::uint64_t(1) << 32, "the size of a launch", "fewer than 2^32 threads", all);
    detail::device_entry<Kernel><<<dim3(blocks), dim3(Kernel::threads), 0, s>>>(kernel);
    check(hipGetLastError(), "a launch");
  }

 private:
  static void check(hipError_t e, char const* call) {
    if (e != hipSuccess) FRUGAL_THROW(device_error(name, call, int(e), hipGetErrorString(e)));
  }
};

}  // namespace v0
}  // namespace frugal
