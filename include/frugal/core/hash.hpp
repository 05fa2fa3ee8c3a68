// SPDX-License-Identifier: Apache-2.0
/// @file FNV-1a, 64 bits: fingerprints of layouts and states. Not for adversaries.
#pragma once
#include <string_view>

#include "types.hpp"

namespace frugal {
inline namespace v0 {

class fnv1a {
 public:
  fnv1a& add(std::string_view s) {
    add(std::uint64_t(s.size()));
    for (char c : s) byte(std::uint8_t(c));
    return *this;
  }
  fnv1a& add(std::uint64_t x) {
    for (int k = 0; k < 64; k += 8) byte(std::uint8_t(x >> k));
    return *this;
  }
  std::uint64_t value() const { return h_; }

 private:
  void byte(std::uint8_t b) { h_ = (h_ ^ b) * 1099511628211u; }
  std::uint64_t h_ = 14695981039346656037u;
};

}  // namespace v0
}  // namespace frugal
