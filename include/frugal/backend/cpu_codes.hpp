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

// In encode_block: where the third bytes of the 32 dwords of two registers are, twice.
inline const struct third_byte_positions {
  alignas(64) std::uint8_t at[64];
  third_byte_positions() {
    for (int i = 0; i < 64; ++i) at[i] = std::uint8_t(4 * (i % 32) + 2);
  }
} third_bytes;

// Decoding: the floats as four planes of bytes, looked up 64 codes at a time in registers. Of a signed book they are
// magnitudes, 0 and the 127 after it: but for 1, entries are mirrored.
struct byte_planes {
  alignas(64) std::uint8_t t[4][256];
  template <class Book>
  explicit byte_planes(Book) {
    for (int i = 0; i < 256; ++i) {
      const int code = (i + Book::zero) & 255;
      const auto v = Book::template decode<lanes<float, 1>>(lanes<std::int32_t, 1>(code));
      for (int k = 0; k < 4; ++k) t[k][i] = std::uint8_t(bit_cast<std::uint32_t>(v.v[0]) >> (8 * k));
    }
  }
};
template <class Book>
inline const byte_planes planes{Book{}};

/// The four bytes of each of 64 entries.
template <class Book>
FRUGAL_CPU void look_up(__m512i c, __m512i (&b)[4]) {
  byte_planes const& p = planes<Book>;
  const auto half = [&](int k, int first, __m512i at) {
    return _mm512_permutex2var_epi8(_mm512_load_si512(p.t[k] + first), at, _mm512_load_si512(p.t[k] + first + 64));
  };
  if constexpr (Book::zero == 0) {
    const __mmask64 high = _mm512_movepi8_mask(c);
    FRUGAL_UNROLL for (int k = 0; k < 4; ++k) b[k] = _mm512_mask_blend_epi8(high, half(k, 0, c), half(k, 128, c));
  } else {
    const __m512i sign = _mm512_set1_epi8(char(0x80)),
                  from_zero = _mm512_sub_epi8(c, _mm512_set1_epi8(char(Book::zero)));
    const __m512i h = _mm512_maskz_abs_epi8(~__mmask64(0), from_zero);
    FRUGAL_UNROLL for (int k = 0; k < 4; ++k) b[k] = half(k, 0, h);
    b[3] = _mm512_ternarylogic_epi32(b[3], from_zero, sign, 0xf8);  // b | from_zero & sign
    // h is 0x80 where the entry is 1, whose bytes are 0x3f 0x80 0 0, and was looked up as 0.
    b[3] = _mm512_mask_mov_epi8(b[3], _mm512_movepi8_mask(h), _mm512_set1_epi8(0x3f));
    b[2] = _mm512_ternarylogic_epi32(b[2], h, sign, 0xf8);
  }
}

template <index_t Block, class Book>
FRUGAL_CPU void decode_block(std::uint8_t const* code, float scale, float* to) {
  const __m512 s = _mm512_set1_ps(scale);
  for (index_t j = 0; j < Block; j += 64) {
    __m512i b[4];
    look_up<Book>(across_lanes(_mm512_loadu_si512(code + j)), b);
    const __m512i l01 = _mm512_unpacklo_epi8(b[0], b[1]), h01 = _mm512_unpackhi_epi8(b[0], b[1]);
    const __m512i l23 = _mm512_unpacklo_epi8(b[2], b[3]), h23 = _mm512_unpackhi_epi8(b[2], b[3]);
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
// above the edge; what is then their upper bits names the decade. An affine map gives a place: a float whose bits are
// 0x43000000 + h 2^16 where cell h begins, so the cell is its third byte, and what it is into the cell the two below.
// Cells in doubt are left to the generic code, which settles them exactly; so are infinities and NaNs.
template <bool Signed>
struct binades {
  alignas(64) std::int32_t carry[16] = {};
  alignas(64) float slope[16] = {}, offset[16] = {}, top[16] = {};
  static constexpr int pair = 24;
  // The map's rounding takes some of the floats just below a cell to its first two places, and none of those above to
  // the cell below (every_float_around_an_edge, a test, has them all). So places are made two too low, and a cell's
  // last two are in doubt. Halves above infinity's are those of NaNs and of maps of infinity.
  static constexpr std::uint32_t doubtful = 0x7f80fffe;
  static constexpr int slack = 2;
  static constexpr float least = 0x1p-23f;  // in the lowest pair of binades, as is the edge of zero
  static constexpr double unit(double h) { return h < 128 ? 1 : 2; }
  static constexpr float place(double h) { return float(h < 128 ? 128 + h : 2 * h); }

  binades() {
    using book = dynamic_code<Signed>;
    constexpr code_tables<Signed> t;
    const auto bits = [](float x) { return bit_cast<std::int32_t>(x); };
    int at = bits(least) >> pair;
    for (int d = -1; d < 8; ++d) {  // -1: zero, 7: one, which are single cells
      const float edge = d < 0 ? t.zero_edge : t.edge.v[d];
      const int last = d < 7 ? bits(edge) >> pair : at;
      const bool single = d < 0 || d == 7;
      const double cells = single ? 0 : book::first << d, start = place(cells) - unit(cells) * cells / 9;
      for (; at <= last; ++at) {
        top[at & 15] = place(d < 0 ? book::first - 0.5 : double(t.top.v[d]));
        slope[at & 15] = single ? 0 : float(unit(cells) * double(t.slope.v[d]));
        offset[at & 15] = single ? top[at & 15] : float(start) - float(slack * unit(cells) * 0x1p-16);
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
  const __m512i carry = _mm512_load_si512(t.carry), doubtful = _mm512_set1_epi32(int(t.doubtful));
  const __m512 slope = _mm512_load_ps(t.slope), offset = _mm512_load_ps(t.offset), top = _mm512_load_ps(t.top);
  const __m512 by = _mm512_set1_ps(inverse), least = _mm512_set1_ps(t.least);
  const __m512i one = _mm512_set1_epi8(1), zero = _mm512_set1_epi8(char(Book::zero));
  const __m512i third = _mm512_load_si512(third_bytes.at);
  const auto as_bits = [](__m512 x) { return _mm512_castps_si512(x); };
  for (index_t j = 0; j < Block; j += 64) {
    const auto floats = [&](int k) { return _mm512_loadu_ps(from + j + 16 * k); };
    const auto magnitude = [&](int k) {  // but at least `least`
      const __m512 y = _mm512_mul_ps(floats(k), by);
      if constexpr (is_signed) return _mm512_maskz_range_ps(0xffff, y, least, 0b1011);
      else return _mm512_castsi512_ps(_mm512_maskz_max_epi32(0xffff, as_bits(y), as_bits(least)));
    };
    struct mapped {
      __m512i decade, place;
    };
    const auto map = [&](__m512 a) {
      const auto pair_of = [](__m512i b) { return _mm512_maskz_srli_epi32(0xffff, b, table::pair); };
      const __m512i carried = _mm512_maskz_permutexvar_epi32(0xffff, pair_of(as_bits(a)), carry);
      const __m512i d = pair_of(_mm512_add_epi32(as_bits(a), carried));
      const auto of = [&](__m512 x) { return _mm512_maskz_permutexvar_ps(0xffff, d, x); };
      return mapped{d, as_bits(_mm512_fmadd_ps(a, of(slope), of(offset)))};
    };
    // The half-way point between decades lies behind the last cell of the lower.
    const auto cell = [&](mapped m) {
      const __m512 most = _mm512_maskz_permutexvar_ps(0xffff, m.decade, top);
      return _mm512_maskz_min_epi32(0xffff, m.place, as_bits(most));
    };
    const auto larger = [](__m512i p, __m512i q) { return _mm512_maskz_max_epu16(~__mmask32(0), p, q); };
    const mapped m0 = map(magnitude(0)), m1 = map(magnitude(1)), m2 = map(magnitude(2)), m3 = map(magnitude(3));
    const __m512i largest = larger(larger(m0.place, m1.place), larger(m2.place, m3.place));  // of all halves
    if (_mm512_cmpge_epu16_mask(largest, doubtful)) [[unlikely]] {
      using V = pack<float, 16>;
      for (int k = 0; k < 64; k += 16) Book::encode(V::load(from + j + k), V(inverse)).store(code + j + k);
      continue;
    }
    __m512i h = _mm512_maskz_shuffle_i64x2(0xff, _mm512_permutex2var_epi8(cell(m0), third, cell(m1)),
                                           _mm512_permutex2var_epi8(cell(m2), third, cell(m3)), 0x44);
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
