// SPDX-License-Identifier: Apache-2.0
/// @file The 8-bit dynamic code book of "8-bit Optimizers via Block-wise Quantization" (Dettmers, Lewis, Shleifer,
/// Zettlemoyer, ICLR 2022), and the exact nearest entry without a search.
///
/// Decade d = 0..6 below the absmax of a block holds k = 2^d (signed) or 2^(d+1) (unsigned) equal cells of [0.1, 1)
/// times 10^(d-6); its entries are the centres. Besides there are 0 and 1. Cells are numbered like a heap, h = k + j,
/// so the decade is the position of h's leading bit. Codes: signed 127 +- h (0 for zero, 128 for one), unsigned h - 1
/// (1 for zero).
#pragma once
#include "value.hpp"

namespace frugal {
inline namespace v0 {

namespace detail {
FRUGAL_FN constexpr float float_at_most(double x) {
  const float f = float(x);
  return double(f) > x ? float(double(f) * (1 - 0x1p-24)) : f;
}

template <bool Signed>
struct code_tables {
  static constexpr int first = Signed ? 1 : 2;     // h of decade 0
  table8<float> hi{}, lo{};                        // centre = (18 h - 16 k + 9) (hi + lo), by the exponent of float(h)
  table8<float> edge{}, slope{}, offset{}, top{};  // by the decade; decade 7 is the entry 1
  float zero_edge = 0;

  FRUGAL_FN constexpr code_tables() {
    const double power[8] = {1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10};
    double low[8] = {}, high[8] = {};  // outermost centres of a decade
    for (int d = 0; d < 8; ++d) {
      const double cells = first << d;
      low[d] = d < 7 ? float(power[d] * (0.1 + 0.45 / cells)) : 1;
      high[d] = d < 7 ? float(power[d] * (1 - 0.45 / cells)) : 1;
    }
    for (int d = 0; d < 8; ++d) {
      const double cells = first << d, unit = d < 7 ? power[d] / (20 * cells) : 1;
      const int slot = (127 + d + (Signed ? 0 : 1)) & 7;
      double scale = 1;
      while (unit * scale < 2048) scale *= 2;
      hi.v[slot] =
          float(double(std::int64_t(unit * scale)) / scale);  // 12 bits: its product with a cell number is exact
      lo.v[slot] = float(unit - hi.v[slot]);
      // Halfway between two decades belongs to the lower one: its last h is odd, and ties go to the even code.
      edge.v[d] = d < 7 ? float_at_most(0.5 * (high[d] + low[d + 1])) : 3e38f;
      slope.v[d] = d < 7 ? float(cells / (0.9 * power[d])) : 0.f;
      offset.v[d] = float(d < 7 ? cells - cells / 9 : cells + 0.5);
      top.v[d] = float(d < 7 ? 2 * cells - 0.5 : cells + 0.5);
    }
    // Halfway between 0 and the first entry: signed, the first entry has the even code; unsigned, zero has.
    zero_edge = float_at_most(0.5 * low[0] * (Signed ? 1 - 0x1p-50 : 1));
  }
};
}  // namespace detail

template <bool Signed>
struct dynamic_code {
  using tables = detail::code_tables<Signed>;
  static constexpr int first = tables::first;
  static constexpr int zero = Signed ? 127 : 0;  ///< the code of 0

  /// The entry of a code: the correctly rounded centre.
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN static V decode(typename V::integer code) {
    using Int = typename V::integer;
    const Int c = Signed ? code - Int(127) : code + Int(1), h = Signed ? larger(c, Int(0) - c) : c;
    const V y = select(h < Int(first), V(0.f), entry<V>(h));
    return Signed ? from_bits(bits(y) | ((c >> 31) << 31)) : y;
  }

  /// The code of the entry nearest to y = s * inverse, ties to the even code. Below -1 and above 1 (infinities
  /// included) the outermost entry; NaN becomes zero. Signed: a negative s never becomes zero, so that small momenta
  /// keep their sign.
  ///
  /// A decade guessed from the exponent (right, or one too low) and settled by one comparison; a cell by an affine map;
  /// and where the map's rounding could matter, an exact comparison of the distances to the two candidates.
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN static typename V::integer encode(V s, V inverse) {
    using Int = typename V::integer;
    constexpr tables t;
    const V y = s * inverse, magnitude = Signed ? abs(y) : y;
    const auto live = magnitude > V(t.zero_edge);
    const V a = select(live, smaller(magnitude, V(2.f)), V(1e-6f));
    const Int guess = (larger((bits(a) >> 23) - Int(105), Int(0)) * Int(77) + Int(48)) >> 8;
    const Int d = select(a > lookup(t.edge, guess), guess + Int(1), guess);
    const Int h = select(live, nearest(a, smaller(a * lookup(t.slope, d) + lookup(t.offset, d), lookup(t.top, d))),
                         Int(first - 1));
    return code_of(s, h);
  }

  /// The cell of `a` given its place on the scale of h, wrong by less than `slack`. Where that leaves a doubt, both
  /// differences are exact (they are near each other), so the comparison is.
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN static typename V::integer nearest(V a, V place) {
    using Int = typename V::integer;
    Int h = truncate(place - V(slack));
    const Int upper = truncate(place + V(slack));
    const auto doubt = h < upper;
    if (any(doubt)) {
      const V below = a - entry<V>(h), above = entry<V>(upper) - a;
      const Int tie = select(below == above, upper & Int(1), Int(0));  // ties go to the even code, the odd h
      h = select(doubt, h + select(above < below, Int(1), tie), h);
    }
    return h;
  }
  FRUGAL_GENERIC template <class V, class Int>
  FRUGAL_FN static Int code_of(V s, Int h) {
    if constexpr (Signed) return select(s < V(0.f), larger(Int(127) - larger(h, Int(1)), Int(0)), Int(127) + h);
    else return h - Int(1);
  }
  static constexpr float slack = 0x1p-13f;

 private:
  // The centre of cell h >= first; 1 for h = first << 7.
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN static V entry(typename V::integer h) {
    using Int = typename V::integer;
    constexpr tables t;
    const V f = to_real(h), k = from_bits(bits(f) & Int(0x7f800000));
    const V n = exact_fma(f, V(18.f), exact_fma(k, V(-16.f), V(9.f)));
    const Int e = bits(f) >> 23;
    return smaller(exact_fma(n, lookup(t.hi, e), n * lookup(t.lo, e)), V(1.f));
  }
};

}  // namespace v0
}  // namespace frugal
