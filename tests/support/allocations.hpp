// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>

namespace frugal_test {

// Calls of operator new so far, in programs with count_allocations.cpp, which replaces it.
inline std::atomic<long> allocations{0};

}  // namespace frugal_test
