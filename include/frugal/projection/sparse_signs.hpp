// SPDX-License-Identifier: Apache-2.0
/// @file The signs of a very sparse random matrix as a format: that of entry (r, j) is a pure function of (seed, s, r,
/// j), not zero with probability 1 / s, and independent of all others. Format version 1, words of random_stream{seed},
/// u = word >> 1:
///
///     s < 16: w = word(r, j). The entry is not zero if u < round(2^31 / s), and then negative if w is odd.
///     else:   columns in cells of G = 2^b, the largest power of two that is at most 2 s and 8192; word i of row r in
///             cell c is word(i 2^40 + c, r). Word 0 gives the count of entries that are not zero: how many T_m are at
///             most u, T_m = round(2^31 Prob(Binomial(G, 1 / s) <= m)). Words 1, 2, ... are cut into halves, the lower
///             one first. The upper b bits of a half are a place in the cell, its lowest bit is set if the entry is
///             negative; a half whose place is taken is passed over.
///
/// The probabilities are doubles, every operation of which is rounded once (counts() has their order).
#pragma once
#include <algorithm>
#include <vector>

#include "../core/random.hpp"
#include "../core/value.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// -v where `odd` is odd.
FRUGAL_GENERIC template <value V>
FRUGAL_FN V with_sign(V v, typename V::integer odd) {
  return from_bits(bits(v) ^ odd << 31);
}

/// Where zeros are few: a word an entry.
struct entry_law {
  random_stream stream;
  std::int32_t last;  // the largest u of an entry that is not zero

  entry_law() = default;
  entry_law(std::uint64_t seed, double s)
      : stream{seed}, last(std::int32_t(std::int64_t((exact(0x1p31) / exact(s) + exact(0.5)).v[0]) - 1)) {}
  int sign(index_t r, index_t j) const {
    const std::uint32_t w = stream.word(std::uint64_t(r), std::uint64_t(j));
    return std::int32_t(w >> 1) > last ? 0 : w & 1 ? -1 : 1;
  }
  /// The entries of the words w, times v.
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN V times(typename V::integer w, V v) const {
    return select((w >> 1) > typename V::integer(last), V(0.f), with_sign(v, w));
  }
};

/// Where zeros are many: how many entries of a cell are not zero, and which.
struct cell_law {
  static constexpr int words = 4;  // made in advance: the count, and as many places as are `ready`
  static constexpr int ready = 6;
  static constexpr int table = 32;  // the count is 2 in the mean, and above 20 with a probability below 2^-32
  static constexpr int most_bits = 13;
  static constexpr index_t rows = 256;  // whose words are made at a time
  random_stream stream;
  std::int32_t const* last;  // T_m - 1: the largest u of a count of m or less
  std::int32_t bits;

  static int bits_of(double s) {
    int b = 5;
    while (b < most_bits && double(index_t(2) << b) <= 2 * s) ++b;
    return b;
  }
  /// T_m - 1, m = 0 ... table - 1.
  static std::vector<std::int32_t> counts(double s) {
    const int b = bits_of(s);
    const double columns = double(index_t(1) << b);
    const exact p = exact(1.0) / exact(s), q = exact(1.0) - p, odds = p / q;
    exact chance = q, below(0.0);
    for (int i = 0; i < b; ++i) chance = chance * chance;
    std::vector<std::int32_t> last;
    for (int m = 0; m < table; ++m) {
      below = below + chance;
      const auto t = std::int64_t((below * exact(0x1p31) + exact(0.5)).v[0]);
      last.push_back(std::int32_t((std::min)(t, std::int64_t(1) << 31) - 1));
      chance = chance * exact(columns - m) / exact(m + 1.0) * odds;
    }
    return last;
  }

  int sign(index_t r, index_t j) const {
    sign_at here{j & (columns() - 1), 0};
    row(std::uint64_t(j >> bits), std::uint64_t(r), nullptr, here);
    return here.sign;
  }
  FRUGAL_FN index_t columns() const { return index_t(1) << bits; }
  FRUGAL_FN static std::uint64_t direction(std::uint64_t cell, int i) { return std::uint64_t(i) << 40 | cell; }
  /// f(place, negative) for the entries of a row in a cell that are not zero, in the order of their draws. Its first
  /// words have been made, a run of rows apart; or are not, where that is null.
  FRUGAL_GENERIC template <class F>
  FRUGAL_FN void row(std::uint64_t cell, std::uint64_t r, std::uint32_t const* made, F& f) const {
    int left = 0;
    for (const auto u = std::int32_t(word(cell, r, made, 0) >> 1); left < table && last[left] < u;) ++left;
    for (int d = 0; left > 0; ++d) {
      const std::uint32_t h = half(cell, r, made, d);
      bool taken = false;
      for (int e = 0; e < d && !taken; ++e) taken = (h ^ half(cell, r, made, e)) >> (16 - bits) == 0;
      if (taken) continue;
      --left;
      f(index_t(h >> (16 - bits)), h & 1);
    }
  }

  /// Word i of a run of rows, `rows` apart, by all lanes of a team.
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void make(Team const& team, index_t cell, index_t first, index_t n, std::uint32_t* to) const {
    team.sync();  // what was there has been read
    for (int i = 0; i < words; ++i)
      team.words(stream, direction(std::uint64_t(cell), i), std::uint64_t(first / 4), (n + 3) / 4, to + i * rows);
    team.sync();
  }
  /// f(d, places, signs) for draw d of many rows at once, d = 0 ... ready - 1; a place that is none is 2^16 or more.
  /// What it returns is not zero where a row has more draws, or one of these twice: such a row must be walked.
  FRUGAL_GENERIC template <class Chunk, class F>
  FRUGAL_FN auto draw(Chunk c, std::uint32_t const* made, F& f) const {
    using Int = typename Chunk::value::integer;
    const Int u = c.template load_as<Int>(reinterpret_cast<std::int32_t const*>(made)) >> 1;
    return draw_next(c, made, u, select(u > Int(last[ready]), Int(1), Int(0)), f);
  }

 private:
  // By recursion: g++ keeps arrays of registers in memory.
  FRUGAL_GENERIC template <class Chunk, class Int, class F, class... Before>
  FRUGAL_FN Int draw_next(Chunk c, std::uint32_t const* made, Int u, Int rest, F& f, Before... before) const {
    constexpr int d = int(sizeof...(Before));
    if constexpr (d < ready) {
      const Int w = c.template load_as<Int>(reinterpret_cast<std::int32_t const*>(made) + (1 + d / 2) * rows);
      const Int h = d % 2 == 0 ? w & Int(0xffff) : w >> 16;
      const Int at = select(u > Int(last[d]), h >> (16 - bits), Int(0x10000 + d));
      ((rest = select(at == before, Int(1), rest)), ...);
      f(d, at, h & Int(1));
      return draw_next(c, made, u, rest, f, before..., at);
    } else {
      return rest;
    }
  }
  struct sign_at {
    index_t place;
    int sign;
    FRUGAL_FN void operator()(index_t at, std::uint32_t odd) {
      if (at == place) sign = odd ? -1 : 1;
    }
  };
  FRUGAL_FN std::uint32_t word(std::uint64_t cell, std::uint64_t r, std::uint32_t const* made, int i) const {
    return made && i < words ? made[i * rows] : stream.word(direction(cell, i), r);
  }
  FRUGAL_FN std::uint32_t half(std::uint64_t cell, std::uint64_t r, std::uint32_t const* made, int d) const {
    return word(cell, r, made, 1 + d / 2) >> (d % 2 * 16) & 0xffff;
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
