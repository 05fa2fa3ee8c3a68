// SPDX-License-Identifier: Apache-2.0
/// @file A small generator with the same numbers everywhere: the standard's distributions differ between libraries.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

namespace bench {

/// SplitMix64 (Steele, Lea and Flood 2014).
class generator {
 public:
  explicit generator(std::uint64_t seed) : state_(seed) {}

  std::uint64_t operator()() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  /// In [-1, 1).
  double symmetric() { return double((*this)() >> 11) * 0x1p-52 - 1; }
  /// In [0, n).
  std::uint32_t below(std::uint32_t n) { return std::uint32_t(((*this)() >> 32) * n >> 32); }

  template <class T>
  void shuffle(std::vector<T>& v) {
    for (std::size_t k = v.size(); k > 1; --k) std::swap(v[k - 1], v[below(std::uint32_t(k))]);
  }

 private:
  std::uint64_t state_;
};

}  // namespace bench
