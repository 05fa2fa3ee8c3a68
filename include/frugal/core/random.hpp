// SPDX-License-Identifier: Apache-2.0
/// @file Random numbers as a format: every word is a pure function of (seed, direction, coordinate), so it is the same
/// on every backend, thread count, vector width and shard.
///
/// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once
#include "types.hpp"

namespace frugal {
inline namespace v0 {

struct alignas(16) philox_block {
  std::uint32_t word[4];
};

/// The block of four words for a counter and a key, ten rounds.
FRUGAL_FN philox_block philox(philox_block c, std::uint32_t k0, std::uint32_t k1) {
  FRUGAL_UNROLL for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t(0xD2511F53u) * c.word[0], b = std::uint64_t(0xCD9E8D57u) * c.word[2];
    c = {{std::uint32_t(b >> 32) ^ c.word[1] ^ k0, std::uint32_t(b), std::uint32_t(a >> 32) ^ c.word[3] ^ k1,
          std::uint32_t(a)}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

/// The source of all randomness of one purpose. Format version 1.
struct random_stream {
  std::uint64_t seed = 0;

  /// Block `b` of direction `dir`: coordinates 4b to 4b + 3.
  FRUGAL_FN philox_block block(std::uint64_t dir, std::uint64_t b) const {
    return philox({{std::uint32_t(b), std::uint32_t(b >> 32), std::uint32_t(dir), std::uint32_t(dir >> 32)}},
                  std::uint32_t(seed), std::uint32_t(seed >> 32));
  }
  FRUGAL_FN std::uint32_t word(std::uint64_t dir, std::uint64_t j) const {
    const philox_block b = block(dir, j / 4);
    const std::uint32_t lo = j & 1 ? b.word[1] : b.word[0], hi = j & 1 ? b.word[3] : b.word[2];
    return j & 2 ? hi : lo;
  }
  /// True means -1: bit j mod 32 of word (j div 32) mod 4 of block j div 128.
  FRUGAL_FN bool negative(std::uint64_t dir, std::uint64_t j) const { return word(dir, j / 32) >> (j % 32) & 1; }
  /// A Rademacher sign, -1 or +1.
  FRUGAL_FN float sign(std::uint64_t dir, std::uint64_t j) const { return negative(dir, j) ? -1.f : 1.f; }
  /// The seed of another purpose: distinct tags give unrelated streams. Direction 2^64 - 1 is reserved for this.
  FRUGAL_FN std::uint64_t derive(std::uint64_t tag) const {
    const philox_block b = block(~std::uint64_t(0), tag);
    return b.word[0] | std::uint64_t(b.word[1]) << 32;
  }
};

/// Direction `i` of step `t`: never repeats under one seed.
FRUGAL_FN std::uint64_t direction_id(std::uint32_t t, std::uint32_t i) { return std::uint64_t(t) << 32 | i; }

// Words to numbers: all exact.
/// In (0, 1): the 2^23 odd multiples of 2^-24.
FRUGAL_FN float u01(std::uint32_t w) { return float((w >> 8) | 1) * 0x1p-24f; }
/// In (-1, 1), symmetric, never zero.
FRUGAL_FN float u11(std::uint32_t w) { return float(std::int32_t(2 * (w >> 8) + 1) - (1 << 24)) * 0x1p-24f; }
/// The same of a value's words (core/value.hpp), lane by lane.
FRUGAL_GENERIC template <class Words>
requires requires { typename Words::real; }
FRUGAL_FN auto u01(Words w) { return to_real((w >> 8) | Words(1)) * typename Words::real(0x1p-24f); }
FRUGAL_GENERIC template <class Words>
requires requires { typename Words::real; }
FRUGAL_FN auto u11(Words w) { return to_real(((w >> 7) | Words(1)) - Words(1 << 24)) * typename Words::real(0x1p-24f); }
/// In (0, 1), from two words (coordinates 2j and 2j + 1).
FRUGAL_FN double u01(std::uint32_t lo, std::uint32_t hi) {
  return double(((std::uint64_t(hi) << 32 | lo) >> 11) | 1) * 0x1p-53;
}
/// In [0, n), for 1 <= n <= 2^32, with a bias of at most n / 2^32.
FRUGAL_FN std::uint32_t below(std::uint32_t w, std::uint64_t n) { return std::uint32_t(std::uint64_t(w) * n >> 32); }

}  // namespace v0
}  // namespace frugal
