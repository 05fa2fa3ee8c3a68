// SPDX-License-Identifier: Apache-2.0
/// @file SHA-256 (FIPS 180-4), for the checksums of data sets.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace bench {

/// The digest of `data` in hexadecimal.
inline std::string sha256(std::string_view data) {
  // The fractional parts of the cube roots of the first 64 primes, and of the square roots of the first 8.
  static constexpr std::uint32_t k[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
      0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
      0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
      0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
      0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
      0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
      0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
  std::array<std::uint32_t, 8> h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

  auto const absorb = [&h](char const* p) {
    std::uint32_t w[64];
    for (int t = 0; t < 16; ++t, p += 4)
      w[t] = std::uint32_t(std::uint8_t(p[0])) << 24 | std::uint32_t(std::uint8_t(p[1])) << 16 |
             std::uint32_t(std::uint8_t(p[2])) << 8 | std::uint32_t(std::uint8_t(p[3]));
    for (int t = 16; t < 64; ++t) {
      std::uint32_t const x = w[t - 15], y = w[t - 2];
      w[t] = w[t - 16] + (std::rotr(x, 7) ^ std::rotr(x, 18) ^ x >> 3) + w[t - 7] +
             (std::rotr(y, 17) ^ std::rotr(y, 19) ^ y >> 10);
    }
    auto [a, b, c, d, e, f, g, i] = h;
    for (int t = 0; t < 64; ++t) {
      std::uint32_t const one =
          i + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & f) ^ (~e & g)) + k[t] + w[t];
      std::uint32_t const two = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      i = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;
    }
    std::array<std::uint32_t, 8> const sum = {a, b, c, d, e, f, g, i};
    for (std::size_t t = 0; t < 8; ++t) h[t] += sum[t];
  };

  std::size_t at = 0;
  for (; at + 64 <= data.size(); at += 64) absorb(data.data() + at);
  std::string tail(data.substr(at));  // the rest, a one bit, zeros, and the length in bits
  tail += char(0x80);
  tail.resize(tail.size() > 56 ? 120 : 56);
  for (int shift = 56; shift >= 0; shift -= 8) tail += char(std::uint64_t(data.size()) * 8 >> shift);
  for (std::size_t t = 0; t < tail.size(); t += 64) absorb(tail.data() + t);

  std::string hex;
  for (std::uint32_t word : h)
    for (int shift = 28; shift >= 0; shift -= 4) hex += "0123456789abcdef"[word >> shift & 15];
  return hex;
}

}  // namespace bench
