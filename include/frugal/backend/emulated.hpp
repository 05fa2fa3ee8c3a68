// SPDX-License-Identifier: Apache-2.0
/// @file The emulated backend.
#pragma once
#include "../core/macros.hpp"

#if !FRUGAL_EXCEPTIONS
#error \
    "frugal: a fault that it finds is an exception, and frugal/backend/emulated.hpp needs exceptions: compile this file without -fno-exceptions"
#endif

#include "gpu.hpp"
#include "vendor/emulated.hpp"

namespace frugal {
inline namespace v0 {

using emulated_space = device_space<emulated_vendor>;
using emulated_backend = gpu_backend<emulated_vendor>;

}  // namespace v0
}  // namespace frugal
