// SPDX-License-Identifier: Apache-2.0
// Reproducible numbers.
#pragma once
#include <cstdint>
#include <frugal/core/types.hpp>
#include <frugal/core/work.hpp>
#include <vector>

namespace frugal_test {

// 64 random bits at a time (splitmix64): the same on every platform.
class dice {
 public:
  explicit dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  double uniform() { return double(bits() >> 11) * 0x1p-53; }  // [0, 1)
  double between(double low, double high) { return low + (high - low) * uniform(); }
  double normal() {
    double sum = -6;  // near enough
    for (int k = 0; k < 12; ++k) sum += uniform();
    return sum;
  }

 private:
  std::uint64_t state_;
};

// Numbers of both signs over some decades, with a few zeros.
template <class T = float>
std::vector<T> numbers(frugal::index_t n, std::uint64_t seed) {
  dice d(seed);
  std::vector<T> out(std::size_t(n), T{});
  for (T& x : out) {
    const std::uint64_t b = d.bits();
    const float magnitude = float(b >> 40) * 0x1p-24f * float(1 << (b & 15)) * 0x1p-8f;
    const float f = (b & 0x3f0) == 0 ? 0.f : b & 0x400 ? -magnitude : magnitude;
    if constexpr (std::is_same_v<T, frugal::bf16>) x = frugal::to_bf16(f);
    else if constexpr (std::is_same_v<T, frugal::half>) x = frugal::to_half(f);
    else x = T(f);
  }
  return out;
}

}  // namespace frugal_test
