// SPDX-License-Identifier: Apache-2.0
/// @file Bits of several arrays, turned so that those of one place lie together, and what they are looked up in.
#pragma once
#include "../core/pack.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Bit k of byte j < 64 of `to` is bit j of the k-th of eight arrays, which lie `stride` bytes apart.
FRUGAL_CPU void pile_bits(std::uint8_t const* from, index_t stride, std::uint8_t* to) {
#if defined(__AVX512BW__)
  __m512i all = _mm512_setzero_si512();
  FRUGAL_UNROLL for (int k = 0; k < 8; ++k) {
    std::uint64_t word;
    std::memcpy(&word, from + k * stride, 8);
    all = _mm512_mask_add_epi8(all, word, all, _mm512_set1_epi8(char(1 << k)));
  }
  _mm512_storeu_si512(to, all);
#else
  for (int byte = 0; byte < 8; ++byte) {
    std::uint64_t all = 0;
    for (int k = 0; k < 8; ++k) {  // a copy of the bits in each byte, of which one bit stays: byte i has bit i
      const std::uint64_t own = from[k * stride + byte] * 0x0101010101010101u & 0x8040201008040201u;
      all |= ((own + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u) << k;
    }
    std::memcpy(to + 8 * byte, &all, 8);
  }
#endif
}

/// Sixteen entries indexed by an integer value modulo 16.
struct alignas(64) table16 {
  table8<float> low, high;
};
template <class Int>
FRUGAL_CPU auto lookup(table16 const& t, Int i) {
#if defined(__AVX512F__)
  if constexpr (Int::width == 16)
    return Int::real::of(
        (typename Int::real::reg)_mm512_maskz_permutexvar_ps(0xffff, (__m512i)i.as(), _mm512_load_ps(&t)));
  else
#endif
    return select((i & Int(8)) == Int(8), lookup(t.high, i), lookup(t.low, i));
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
