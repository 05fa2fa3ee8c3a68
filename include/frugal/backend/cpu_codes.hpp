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

template <class Book>
FRUGAL_CPU void decode_block(std::uint8_t const* code, float scale, float* to) {
  byte_planes const& p = planes<Book>;
  const __m512 s = _mm512_set1_ps(scale);
  for (index_t j = 0; j < blockwise8::block; j += 64) {
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

// Encoding: the decade from the exponent by a table of 32 (exponents 105 to 128 matter, and differ modulo 32), one
// comparison with the one edge in that binade, an affine map. Cells in doubt are left to the generic code, which
// settles them exactly.
template <bool Signed>
struct binades {
  alignas(64) float edge[32];
  alignas(64) std::int32_t decade[32];
  alignas(64) float slope[16] = {}, offset[16] = {}, top[16] = {};
  float zero_edge;
  // Places are computed 256 too high: then a float has its unit at bit 15, and the cell and the fraction are its bits.
  static constexpr float base = 256;
  static constexpr std::int32_t base_cell = 0x43800000 >> 15, fraction = 0x7fff;
  static constexpr auto doubtful = std::int32_t(0x1p15f * (1 - 2.5f * dynamic_code<Signed>::slack));
  binades() {
    constexpr code_tables<Signed> t;
    zero_edge = t.zero_edge;
    for (int e = 0; e < 32; ++e) edge[e] = INFINITY, decade[e] = 0;
    for (int e = 105; e <= 128; ++e) {
      int d = 0;
      while (d < 7 && t.edge.v[d] < std::ldexp(1.f, e - 127)) ++d;
      decade[e & 31] = d;
      if (d < 7 && t.edge.v[d] < std::ldexp(1.f, e - 126)) edge[e & 31] = t.edge.v[d];
    }
    for (int d = 0; d < 8; ++d) {
      slope[d] = t.slope.v[d];
      offset[d] = t.offset.v[d] + base - dynamic_code<Signed>::slack;
      top[d] = t.top.v[d] + base;
    }
  }
};
template <class Book>
inline const binades<Book::first == 1> binades_of{};

template <class Book>
FRUGAL_CPU void encode_block(float const* from, float inverse, std::uint8_t* code) {
  constexpr bool is_signed = Book::first == 1;
  auto const& t = binades_of<Book>;
  const __m512 edge0 = _mm512_load_ps(t.edge), edge1 = _mm512_load_ps(t.edge + 16);
  const __m512i decade0 = _mm512_load_si512(t.decade), decade1 = _mm512_load_si512(t.decade + 16);
  const __m512 slope = _mm512_load_ps(t.slope), offset = _mm512_load_ps(t.offset), top = _mm512_load_ps(t.top);
  const __m512 zero_edge = _mm512_set1_ps(t.zero_edge), by = _mm512_set1_ps(inverse);
  const __m512 magnitude = _mm512_castsi512_ps(_mm512_set1_epi32(0x7fffffff));
  const __m512i one = _mm512_set1_epi32(1), fraction = _mm512_set1_epi32(t.fraction);
  const __m512i zero_cell = _mm512_set1_epi32(t.base_cell + Book::first - 1),
                first_cell = _mm512_add_epi32(zero_cell, one);
  const __m512i from_cell = _mm512_set1_epi32(is_signed ? 127 - t.base_cell : -1 - t.base_cell);
  const __m512i minus_cell = _mm512_set1_epi32(127 + t.base_cell);
  for (index_t j = 0; j < blockwise8::block; j += 64) {
    __m512i rest[4];  // fractions
    const auto sixteen = [&](int k) {
      const __m512 s = _mm512_loadu_ps(from + j + 16 * k), y = _mm512_mul_ps(s, by);
      const __m512 a = is_signed ? _mm512_maskz_and_ps(0xffff, y, magnitude) : y;
      const __mmask16 live = _mm512_cmp_ps_mask(a, zero_edge, _CMP_GT_OQ);
      const __m512i e = _mm512_maskz_srli_epi32(0xffff, _mm512_castps_si512(a), 23);
      const __m512i low = _mm512_maskz_permutex2var_epi32(0xffff, decade0, e, decade1);
      const __mmask16 above = _mm512_cmp_ps_mask(a, _mm512_maskz_permutex2var_ps(0xffff, edge0, e, edge1), _CMP_GT_OQ);
      const __m512i d = _mm512_mask_add_epi32(low, above, low, one);
      const auto of = [&](__m512 table) { return _mm512_maskz_permutexvar_ps(0xffff, d, table); };
      const __m512i place =
          _mm512_castps_si512(_mm512_maskz_min_ps(0xffff, _mm512_fmadd_ps(a, of(slope), of(offset)), of(top)));
      rest[k] = _mm512_and_si512(place, fraction);
      const __m512i cell = _mm512_mask_srli_epi32(zero_cell, live, place, 15),
                    code16 = _mm512_add_epi32(cell, from_cell);
      if constexpr (!is_signed) return code16;
      const __mmask16 negative = _mm512_cmp_ps_mask(s, _mm512_setzero_ps(), _CMP_LT_OQ);
      // A negative is never zero; packing lifts -1 (below the book's end) to 0.
      return _mm512_mask_sub_epi32(code16, negative, minus_cell, _mm512_maskz_max_epi32(0xffff, cell, first_cell));
    };
    const __m512i a = sixteen(0), b = sixteen(1), c = sixteen(2), d = sixteen(3);
    const __m512i nearest = _mm512_maskz_max_epi32(0xffff, _mm512_maskz_max_epi32(0xffff, rest[0], rest[1]),
                                                   _mm512_maskz_max_epi32(0xffff, rest[2], rest[3]));
    if (_mm512_cmpgt_epi32_mask(nearest, _mm512_set1_epi32(t.doubtful))) [[unlikely]] {
      using V = pack<float, 16>;
      for (int k = 0; k < 64; k += 16) Book::encode(V::load(from + j + k), V(inverse)).store(code + j + k);
    } else {
      _mm512_storeu_si512(code + j,
                          across_lanes(_mm512_packus_epi16(_mm512_packus_epi32(a, b), _mm512_packus_epi32(c, d))));
    }
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
#endif
