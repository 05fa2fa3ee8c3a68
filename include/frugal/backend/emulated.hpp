// SPDX-License-Identifier: Apache-2.0
/// @file The emulated backend.
#pragma once
#include "gpu.hpp"
#include "vendor/emulated.hpp"

namespace frugal {
inline namespace v0 {

using emulated_space = device_space<emulated_vendor>;
using emulated_backend = gpu_backend<emulated_vendor>;

}  // namespace v0
}  // namespace frugal
