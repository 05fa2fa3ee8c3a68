// SPDX-License-Identifier: Apache-2.0
/// @file The hip backend.
#pragma once
#include "gpu.hpp"
#include "vendor/hip.hpp"

namespace frugal {
inline namespace v0 {

using hip_space = device_space<hip_vendor>;
using hip_backend = gpu_backend<hip_vendor>;

}  // namespace v0
}  // namespace frugal
