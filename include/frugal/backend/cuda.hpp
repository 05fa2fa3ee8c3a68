// SPDX-License-Identifier: Apache-2.0
/// @file The cuda backend.
#pragma once
#include "gpu.hpp"
#include "vendor/cuda.hpp"

namespace frugal {
inline namespace v0 {

using cuda_space = device_space<cuda_vendor>;
using cuda_backend = gpu_backend<cuda_vendor>;

}  // namespace v0
}  // namespace frugal
