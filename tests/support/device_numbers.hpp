// SPDX-License-Identifier: Apache-2.0
// Numbers for checks that run on a device, and digests of what comes out: the same everywhere.
#pragma once
#include <frugal/core/hash.hpp>
#include <frugal/core/value.hpp>
#include <vector>

namespace frugal_test {

template <class T>
std::vector<T> device_numbers(frugal::index_t n, std::uint32_t seed) {
  std::vector<T> v(std::size_t(n), T{});
  for (T& x : v) {
    seed = seed * 1664525u + 1013904223u;
    const float f = (float(seed >> 8) / 8388608.f - 1.f) * float(1u << (seed >> 4 & 7)) / 128.f;
    if constexpr (std::is_same_v<T, frugal::bf16>) x = frugal::to_bf16(f);
    else x = T(f);
  }
  return v;
}
template <class T>
std::uint64_t digest_of(std::vector<T> const& v) {
  return frugal::word_hash(v.data(), v.size() * sizeof(T));
}

}  // namespace frugal_test
