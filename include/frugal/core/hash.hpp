// SPDX-License-Identifier: Apache-2.0
/// @file Fingerprints and checksums of 64 bits. Not for adversaries.
#pragma once
#include <bit>
#include <string_view>

#include "types.hpp"

namespace frugal {
inline namespace v0 {

/// FNV-1a, byte by byte: fingerprints of layouts and states.
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

namespace detail {
inline std::uint64_t little_endian_word(unsigned char const* p, std::size_t bytes = 8) {
  std::uint64_t w = 0;
  memcpy(&w, p, bytes);
  return std::endian::native == std::endian::little ? w : __builtin_bswap64(w);
}
}  // namespace detail

/// A checksum of bytes at the speed of memory: little-endian words w are dealt to four lanes, each of which goes
/// h = rotl((h ^ w) p, 29), and the lanes to one more. Every change within one word is detected, and any other with the
/// odds of 64 bits. The last word is filled up with zeros; `seed` chains sums.
inline std::uint64_t word_hash(void const* data, std::size_t bytes, std::uint64_t seed = 0) {
  constexpr std::uint64_t p = 0x9e3779b97f4a7c15u;
  const auto mix = [](std::uint64_t h, std::uint64_t w) { return std::rotl((h ^ w) * p, 29); };
  auto const* at = static_cast<unsigned char const*>(data);
  std::uint64_t a = mix(seed, bytes), b = a + 1, c = a + 2, d = a + 3;
  std::size_t i = 0;
  for (; i + 32 <= bytes; i += 32) {
    a = mix(a, detail::little_endian_word(at + i));
    b = mix(b, detail::little_endian_word(at + i + 8));
    c = mix(c, detail::little_endian_word(at + i + 16));
    d = mix(d, detail::little_endian_word(at + i + 24));
  }
  for (; i < bytes; i += 8) a = mix(a, detail::little_endian_word(at + i, bytes - i < 8 ? bytes - i : 8));
  const std::uint64_t h = mix(mix(mix(a, b), c), d) * p;
  return h ^ h >> 32;
}

}  // namespace v0
}  // namespace frugal
