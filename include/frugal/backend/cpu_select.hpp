// SPDX-License-Identifier: Apache-2.0
/// @file Candidates of a selection on a CPU: the elements of large magnitude, found by whole registers.
#pragma once
#include "../core/pack.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Where the magnitudes of n elements are `floor` or more, as integers: writes their indices (from `index`, or `first`
/// on where that is null) and the elements, in order, as long as the room lasts. Returns how many there are. If they
/// are known to be as many as there is room for (Exact), nothing is written after them; else up to 32 beyond the room.
template <class Isa, bool Exact>
FRUGAL_CPU index_t collect(float const* x, index_t n, std::uint32_t floor, std::uint32_t const* index,
                           std::uint32_t first, index_t room, std::uint32_t* at, float* value) {
  index_t count = 0, i = 0;
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
  if constexpr (Isa::bytes == 64) {
    const __m512i low = _mm512_set1_epi32(int(floor)), magnitude = _mm512_set1_epi32(0x7fffffff);
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const auto large = [&](__mmask16 in, __m512i v) {
      return _mm512_mask_cmpge_epu32_mask(in, _mm512_and_si512(v, magnitude), low);
    };
    const auto put = [&](index_t j, __mmask16 m, __m512i v) {
      const int found = __builtin_popcount(m);
      const __m512i k = index ? _mm512_maskz_loadu_epi32(m, index + j)
                              : _mm512_add_epi32(lane, _mm512_set1_epi32(int(first + std::uint32_t(j))));
      const auto store = [&](void* to, __m512i w) {
        if constexpr (Exact) _mm512_mask_storeu_epi32(to, __mmask16((1u << found) - 1), w);
        else _mm512_storeu_si512(to, w);
      };
      store(at + count, _mm512_maskz_compress_epi32(m, k));
      store(value + count, _mm512_maskz_compress_epi32(m, v));
      count += found;
    };
    const auto sixteen = [&](__mmask16 in) {
      const __m512i v = _mm512_maskz_loadu_epi32(in, x + i);
      const __mmask16 m = large(in, v);
      if (count <= room) put(i, m, v);
      else count += __builtin_popcount(m);
    };
    const bool many = room >= n / 32;  // where so many are to be expected, looking for none costs more than it saves
    const index_t to_line = index_t(64 - reinterpret_cast<std::uintptr_t>(x) % 64) % 64 / 4;
    const index_t head = to_line < n ? to_line : n;
    sixteen(__mmask16((1u << head) - 1));
    for (i = head; i + 32 <= n && count <= room; i += 32) {
      if constexpr (!Exact) {  // a long walk, and the processor's own prefetching stops at every page
        __builtin_prefetch(x + i + 2048);
        __builtin_prefetch(x + i + 2064);
      }
      const __m512i a = _mm512_loadu_si512(x + i), b = _mm512_loadu_si512(x + i + 16);
      const __mmask16 in_a = large(0xffff, a), in_b = large(0xffff, b);
      if (many || (in_a | in_b)) {
        put(i, in_a, a);
        put(i + 16, in_b, b);
      }
    }
    for (; i + 16 <= n; i += 16) sixteen(0xffff);
    sixteen(__mmask16((1u << (n - i)) - 1));
    return count;
  }
#endif
  using V = cpu_value<Isa, float>;
  using Int = typename V::integer;
  const Int below = Int(std::int32_t(floor - 1)), magnitude = Int(0x7fffffff);
  const auto large = [&](index_t j) { return (bits(V::load(x + j)) & magnitude) > below; };
  const auto look_at = [&](index_t end) {
    for (; i < end; ++i) {
      if ((bit_cast<std::uint32_t>(x[i]) & 0x7fffffff) < floor) continue;
      if (count < room) {
        at[count] = index ? index[i] : first + std::uint32_t(i);
        value[count] = x[i];
      }
      ++count;
    }
  };
  constexpr index_t W = V::width;
  while (i + 4 * W <= n)
    if (any((large(i) | large(i + W)) | (large(i + 2 * W) | large(i + 3 * W)))) look_at(i + 4 * W);
    else i += 4 * W;
  look_at(n);
  return count;
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
