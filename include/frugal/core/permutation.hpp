// SPDX-License-Identifier: Apache-2.0
/// @file A keyed bijection of [0, n), 1 <= n <= 2^32, as part of the random format: draws without replacement without
/// memory. The first K images are a sample of K coordinates, and any shard can compute its part of it.
///
/// A Feistel network (Luby, Rackoff, "How to construct pseudorandom permutations from pseudorandom functions", SIAM J.
/// Comput. 17(2), 1988) with cycle walking (Black, Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). Not
/// for adversaries. Format version 1:
///
///     h = max(1, ceil(ceil(log2 n) / 2)): half of the bits, at most 16
///     key_r = word(dir, r) of random_stream{seed}, r = 0 ... 5
///     x = (left << h) | right, both of h bits
///     round r: (left, right) <- (right, left ^ (mix(right ^ key_r) >> (32 - h)))
///     six rounds take x to its image; while that is not below n, they are applied to it again
///
/// with the 32-bit finalizer of MurmurHash3, x ^= x >> 16; x *= 0x85ebca6b; x ^= x >> 13; x *= 0xc2b2ae35; x ^= x >>
/// 16, as mix.
#pragma once
#include "error.hpp"
#include "random.hpp"

namespace frugal {
inline namespace v0 {

/// Images of 0 ... n - 1 for one (seed, direction). Trivially copyable: kernels hold a copy.
struct permutation {
  static constexpr int rounds = 6;

  /// @param n 1 to 2^32
  permutation(std::uint64_t seed, std::uint64_t dir, std::uint64_t n) : last_(std::uint32_t(n - 1)) {
    require(n >= 1 && n <= std::uint64_t(1) << 32, "the size of a permutation", "1 to 2^32", n);
    int bits = 0;
    while (std::uint64_t(1) << bits < n) ++bits;
    half_ = bits > 2 ? (bits + 1) / 2 : 1;
    for (int r = 0; r < rounds; ++r) key_[r] = random_stream{seed}.word(dir, std::uint64_t(r));
  }

  /// The image of j < n. The numbers of 2h bits are at most four times n, so it takes four turns on average at most.
  FRUGAL_FN std::uint32_t operator()(std::uint32_t j) const {
    do j = turn(j);
    while (j > last_);
    return j;
  }

 private:
  FRUGAL_FN static std::uint32_t mix(std::uint32_t x) {
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x *= 0xc2b2ae35u;
    return x ^ x >> 16;
  }
  FRUGAL_FN std::uint32_t turn(std::uint32_t x) const {
    std::uint32_t left = x >> half_, right = x & ((1u << half_) - 1);
    FRUGAL_UNROLL for (int r = 0; r < rounds; ++r) {
      const std::uint32_t next = left ^ mix(right ^ key_[r]) >> (32 - half_);
      left = right;
      right = next;
    }
    return left << half_ | right;
  }

  std::uint32_t key_[rounds];
  std::uint32_t last_;
  std::int32_t half_;
};

}  // namespace v0
}  // namespace frugal
