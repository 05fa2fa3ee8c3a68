// SPDX-License-Identifier: Apache-2.0
/// @file The 8-bit code book with AVX-512: the codes and values of core/dynamic_code.hpp, bit for bit, in fewer
/// instructions.
#pragma once
#include "../core/element.hpp"
#include "../core/pack.hpp"

#if defined(__AVX512VBMI__)
namespace frugal {
inline namespace v0 {
namespace detail {

// Packing dwords to bytes and back works inside 128-bit lanes; this is the order that undoes it.
FRUGAL_CPU __m512i across_lanes(__m512i a) {
  return _mm512_maskz_permutexvar_epi32(0xffff, _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0),
                                        a);
}

// Bytes 2k and 2k + 1 of quadword i, in encode_block, are elements 16 k + 2 i and 16 k + 2 i + 1.
inline const struct cell_positions {
  alignas(64) std::uint8_t at[64];
  cell_positions() {
    for (int k = 0; k < 4; ++k)
      for (int i = 0; i < 16; ++i) at[16 * k + i] = std::uint8_t(8 * (i / 2) + 2 * k + i % 2);
  }
} cell_order;

// Decoding: the 256 floats as four planes of bytes, looked up 64 codes at a time in registers.
struct byte_planes {
  alignas(64) std::uint8_t t[4][256];
  template <class Book>
  explicit byte_planes(Book) {
    for (int i = 0; i < 256; ++i) {
      const auto v = Book::template decode<lanes<float, 1>>(lanes<std::int32_t, 1>(i));
      for (int k = 0; k < 4; ++k) t[k][i] = std::uint8_t(bit_cast<std::uint32_t>(v.v[0]) >> (8 * k));
    }
  }
};
template <class Book>
inline const byte_planes planes{Book{}};

template <index_t Block, class Book>
FRUGAL_CPU void decode_block(std::uint8_t const* code, float scale, float* to) {
  byte_planes const& p = planes<Book>;
  const __m512 s = _mm512_set1_ps(scale);
  for (index_t j = 0; j < Block; j += 64) {
    const __m512i c = across_lanes(_mm512_loadu_si512(code + j));
    const __mmask64 high = _mm512_movepi8_mask(c);
    const auto plane = [&](int k) {
      const auto at = [&](int q) { return _mm512_load_si512(p.t[k] + 64 * q); };
      return _mm512_mask_blend_epi8(high, _mm512_permutex2var_epi8(at(0), c, at(1)),
                                    _mm512_permutex2var_epi8(at(2), c, at(3)));
    };
    const __m512i b0 = plane(0), b1 = plane(1), b2 = plane(2), b3 = plane(3);
    const __m512i l01 = _mm512_unpacklo_epi8(b0, b1), h01 = _mm512_unpackhi_epi8(b0, b1);
    const __m512i l23 = _mm512_unpacklo_epi8(b2, b3), h23 = _mm512_unpackhi_epi8(b2, b3);
    const auto put = [&](int k, __m512i v) {
      _mm512_storeu_ps(to + j + 16 * k, _mm512_mul_ps(s, _mm512_castsi512_ps(v)));
    };
    put(0, _mm512_unpacklo_epi16(l01, l23));
    put(1, _mm512_unpackhi_epi16(l01, l23));
    put(2, _mm512_unpacklo_epi16(h01, h23));
    put(3, _mm512_unpackhi_epi16(h01, h23));
  }
}

// Encoding: every pair of binades holds at most one edge between decades (or between zero and the first), so a
// table of 16 by the exponent's upper bits gives what to add to the float's bits for them to carry into the next pair
// above the edge; what is then their upper bits names the decade. An affine map gives the cell. Cells in doubt are left
// to the generic code, which settles them exactly; so are infinities and NaNs.
template <bool Signed>
struct binades {
  alignas(64) std::int32_t carry[16] = {};
  alignas(64) float slope[16] = {}, offset[16] = {}, top[16] = {};
  // Places are computed 256 too high: then a float has its unit at bit 15, and the cell and the fraction are its bits.
  static constexpr float base = 256;
  static constexpr int unit = 15, pair = 24;
  static constexpr std::int32_t fraction = (1 << unit) - 1;
  static constexpr auto doubtful = std::int32_t(0x1p15f * (1 - 2.5f * dynamic_code<Signed>::slack));
  static constexpr float least = 0x1p-23f;  // in the lowest pair of binades, as is the edge of zero
  binades() {
    constexpr code_tables<Signed> t;
    const auto bits = [](float x) { return bit_cast<std::int32_t>(x); };
    const float inner = 0.5f, below = base - dynamic_code<Signed>::slack;
    int at = bits(least) >> pair;
    for (int d = -1; d < 8; ++d) {  // -1: zero
      const float edge = d < 0 ? t.zero_edge : t.edge.v[d];
      const int last = d < 7 ? bits(edge) >> pair : at;
      for (; at <= last; ++at) {
        slope[at & 15] = d < 0 ? 0 : t.slope.v[d];
        offset[at & 15] = (d < 0 ? float(dynamic_code<Signed>::first - 1) + inner : t.offset.v[d]) + below;
        top[at & 15] = (d < 0 ? float(dynamic_code<Signed>::first) : t.top.v[d]) + base;
      }
      if (d < 7) carry[last & 15] = (1 << pair) - 1 - (bits(edge) & ((1 << pair) - 1));
    }
  }
};
template <class Book>
inline const binades<Book::first == 1> binades_of{};

template <index_t Block, class Book>
FRUGAL_CPU void encode_block(float const* from, float inverse, std::uint8_t* code) {
  constexpr bool is_signed = Book::first == 1;
  using table = binades<is_signed>;
  auto const& t = binades_of<Book>;
  const auto all = [](int x) { return _mm512_set1_epi32(x); };
  const __m512i carry = _mm512_load_si512(t.carry), fraction = all(t.fraction), doubtful = all(t.doubtful);
  const __m512 slope = _mm512_load_ps(t.slope), offset = _mm512_load_ps(t.offset), top = _mm512_load_ps(t.top);
  const __m512 by = _mm512_set1_ps(inverse);
  // Magnitudes and places are not negative, and compare as integers: there are twice as many units for that.
  const __m512i least = all(bit_cast<std::int32_t>(t.least)), infinity = all(0x7f800000), no_sign = all(0x7fffffff);
  const auto larger = [](__m512i p, __m512i q) { return _mm512_maskz_max_epi32(0xffff, p, q); };
  const __m512i one = _mm512_set1_epi8(1), zero = _mm512_set1_epi8(char(Book::zero));
  // The bits of the cells of a quadword's two floats, from each of four registers, to its bytes 2k and 2k + 1.
  const __m512i cells = _mm512_set1_epi16(short(table::unit | (table::unit + 32) << 8));
  const __m512i in_order = _mm512_load_si512(cell_order.at);
  constexpr __mmask64 two = 0x0303030303030303;
  for (index_t j = 0; j < Block; j += 64) {
    const auto floats = [&](int k) { return _mm512_loadu_ps(from + j + 16 * k); };
    const auto magnitude = [&](int k) {
      const __m512i y = _mm512_castps_si512(_mm512_mul_ps(floats(k), by));
      return larger(is_signed ? _mm512_and_si512(y, no_sign) : y, least);
    };
    const auto place = [&](__m512i a) {
      const auto pair_of = [](__m512i b) { return _mm512_maskz_srli_epi32(0xffff, b, table::pair); };
      const __m512i d = pair_of(_mm512_add_epi32(a, _mm512_maskz_permutexvar_epi32(0xffff, pair_of(a), carry)));
      const auto of = [&](__m512 x) { return _mm512_maskz_permutexvar_ps(0xffff, d, x); };
      return _mm512_maskz_min_epi32(0xffff,
                                    _mm512_castps_si512(_mm512_fmadd_ps(_mm512_castsi512_ps(a), of(slope), of(offset))),
                                    _mm512_castps_si512(of(top)));
    };
    const auto rest = [&](__m512i p) { return _mm512_and_si512(p, fraction); };
    const __m512i a0 = magnitude(0), a1 = magnitude(1), a2 = magnitude(2), a3 = magnitude(3);
    const __m512i p0 = place(a0), p1 = place(a1), p2 = place(a2), p3 = place(a3);
    const __m512i most = larger(larger(a0, a1), larger(a2, a3));
    const __m512i doubt = larger(larger(rest(p0), rest(p1)), larger(rest(p2), rest(p3)));
    if (_mm512_cmpge_epi32_mask(most, infinity) | _mm512_cmpgt_epi32_mask(doubt, doubtful)) [[unlikely]] {
      using V = pack<float, 16>;
      for (int k = 0; k < 64; k += 16) Book::encode(V::load(from + j + k), V(inverse)).store(code + j + k);
      continue;
    }
    __m512i h = _mm512_maskz_multishift_epi64_epi8(~__mmask64(0), cells, p0);
    h = _mm512_mask_multishift_epi64_epi8(h, two << 2, cells, p1);
    h = _mm512_mask_multishift_epi64_epi8(h, two << 4, cells, p2);
    h = _mm512_mask_multishift_epi64_epi8(h, two << 6, cells, p3);
    h = _mm512_maskz_permutexvar_epi8(~__mmask64(0), in_order, h);
    if constexpr (is_signed) {  // a negative is never zero, and saturation lifts -1 (below the book's end) to 0
      const auto below = [&](int k) { return _mm512_cmp_ps_mask(_mm512_setzero_ps(), floats(k), _CMP_GT_OQ); };
      const __mmask64 negative =
          _mm512_kunpackd(_mm512_kunpackw(below(3), below(2)), _mm512_kunpackw(below(1), below(0)));
      h = _mm512_mask_subs_epu8(_mm512_add_epi8(zero, h), negative, zero, _mm512_max_epu8(h, one));
    } else {
      h = _mm512_sub_epi8(h, one);
    }
    _mm512_storeu_si512(code + j, h);
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
#endif
