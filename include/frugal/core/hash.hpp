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

/// A checksum of bytes at the speed of memory. With fold(x, y) = the xor of the halves of the product x y, p =
/// 0x9e3779b97f4a7c15 and q = 0xd1342543de82ef95: four lanes begin with fold(seed ^ p, bytes ^ q) + k. The bytes,
/// filled up with zeros, are dealt to them in turn in pairs of little-endian words: lane = fold(word ^ p, next word ^
/// lane). Then, for each lane, seed = fold(seed ^ p, lane ^ q), which is the result. `seed` chains sums.
inline std::uint64_t word_hash(void const* data, std::size_t bytes, std::uint64_t seed = 0) {
  constexpr std::uint64_t p = 0x9e3779b97f4a7c15u, q = 0xd1342543de82ef95u;
  constexpr std::size_t lanes = 4, pair = 16;
  const auto fold = [](std::uint64_t x, std::uint64_t y) {
    __extension__ const auto xy = static_cast<unsigned __int128>(x) * y;
    return std::uint64_t(xy) ^ std::uint64_t(xy >> 64);
  };
  const auto word = detail::little_endian_word;
  auto const* at = static_cast<unsigned char const*>(data);
  std::uint64_t h[lanes];
  FRUGAL_UNROLL for (std::size_t k = 0; k < lanes; ++k) h[k] = fold(seed ^ p, bytes ^ q) + k;
  std::size_t left = bytes;
  for (; left >= lanes * pair; left -= lanes * pair, at += lanes * pair)
    FRUGAL_UNROLL for (std::size_t k = 0; k < lanes; ++k) h[k] =
        fold(word(at + pair * k, 8) ^ p, word(at + pair * k + 8, 8) ^ h[k]);
  unsigned char rest[lanes * pair] = {};
  if (left > 0) memcpy(rest, at, left);
  FRUGAL_UNROLL for (std::size_t k = 0; k < lanes; ++k) if (pair * k < left) h[k] =
      fold(word(rest + pair * k, 8) ^ p, word(rest + pair * k + 8, 8) ^ h[k]);
  for (std::uint64_t lane : h) seed = fold(seed ^ p, lane ^ q);
  return seed;
}

}  // namespace v0
}  // namespace frugal
