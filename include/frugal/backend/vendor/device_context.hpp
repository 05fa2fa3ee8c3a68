// SPDX-License-Identifier: Apache-2.0
/// @file What CUDA and HIP spell alike: a kernel's view of its block, and the one entry that runs a kernel functor.
#pragma once
#include "../../core/types.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

struct device_context {
#if FRUGAL_ON_DEVICE
  FRUGAL_FN index_t block() const { return blockIdx.x; }
  FRUGAL_FN unsigned lane() const { return threadIdx.x; }
  FRUGAL_FN unsigned lanes() const { return blockDim.x; }
  FRUGAL_FN void sync(int) const { __syncthreads(); }
  FRUGAL_FN void count(std::uint32_t* p) const { atomicAdd(p, 1u); }
#else  // the host pass only reads the declarations
  FRUGAL_FN index_t block() const { return 0; }
  FRUGAL_FN unsigned lane() const { return 0; }
  FRUGAL_FN unsigned lanes() const { return 1; }
  FRUGAL_FN void sync(int) const {}
  FRUGAL_FN void count(std::uint32_t*) const {}
#endif
};

// Left alone, ptxas may spill a register rather than run fewer threads than it likes: 1024 on a multiprocessor are
// enough, and leave 64 registers a thread. (HIP's second bound means something else.)
#if defined(__CUDACC__)
template <class Kernel>
inline constexpr unsigned resident_blocks = Kernel::threads < 64 ? 1 : 1024 / Kernel::threads;
#define FRUGAL_LAUNCH_BOUNDS(kernel) __launch_bounds__(kernel::threads, resident_blocks<kernel>)
#else
#define FRUGAL_LAUNCH_BOUNDS(kernel) __launch_bounds__(kernel::threads)
#endif

template <class Kernel>
__global__ void FRUGAL_LAUNCH_BOUNDS(Kernel) device_entry(Kernel kernel) {
  if constexpr (Kernel::scratch_bytes > 0) {
    alignas(16) __shared__ unsigned char memory[Kernel::scratch_bytes];
    kernel(device_context{}, memory);
  } else {
    kernel(device_context{}, nullptr);
  }
}

#undef FRUGAL_LAUNCH_BOUNDS

}  // namespace detail
}  // namespace v0
}  // namespace frugal
