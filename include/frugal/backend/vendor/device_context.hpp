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
  FRUGAL_FN void sync() const { __syncthreads(); }
#else  // the host pass only reads the declarations
  FRUGAL_FN index_t block() const { return 0; }
  FRUGAL_FN unsigned lane() const { return 0; }
  FRUGAL_FN unsigned lanes() const { return 1; }
  FRUGAL_FN void sync() const {}
#endif
};

template <class Kernel>
__global__ void __launch_bounds__(Kernel::threads) device_entry(Kernel kernel) {
  if constexpr (Kernel::scratch_bytes > 0) {
    alignas(16) __shared__ unsigned char memory[Kernel::scratch_bytes];
    kernel(device_context{}, memory);
  } else {
    kernel(device_context{}, nullptr);
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
