// SPDX-License-Identifier: Apache-2.0
// The 8-bit code book: every path that decodes or encodes gives the golden values and codes.
#include <frugal/core/dynamic_code.hpp>

#include <cmath>
#include <limits>

#include "support/backends.hpp"
#include "support/golden.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using codes = std::vector<std::uint8_t>;
using floats = std::vector<float>;

using lane1 = frugal::lanes<float, 1>;
using lane4 = frugal::lanes<float, 4>;
using packed = frugal::cpu_value<frugal::native_isa, float>;

std::vector<golden_case> const& golden() {
  static const auto all = read_golden("blockwise8.txt");
  return all;
}
floats book(bool is_signed) { return golden().at(0).numbers<float>(is_signed ? "signed" : "unsigned"); }

// Calls f(signed as a type, the book) for both books.
template <class F>
void for_books(F const& f) {
  f(std::true_type{}, book(true));
  f(std::false_type{}, book(false));
}

// ---- values
template <bool Signed, class V>
floats decode_all() {
  codes c(256);
  floats out(256);
  for (std::size_t k = 0; k < 256; ++k) c[k] = std::uint8_t(k);
  for (std::size_t k = 0; k < 256; k += V::width)
    frugal::dynamic_code<Signed>::template decode<V>(V::integer::load(&c[k])).store(&out[k]);
  return out;
}
template <bool Signed, class V>
codes encode(floats const& s, float inverse) {
  floats padded = s;
  padded.resize((s.size() + 15) / 16 * 16);
  codes out(padded.size());
  for (std::size_t k = 0; k < padded.size(); k += V::width)
    frugal::dynamic_code<Signed>::encode(V::load(&padded[k]), V(inverse)).store(&out[k]);
  out.resize(s.size());
  return out;
}

TEST(dynamic_code, books) {
  for_books([](auto sign, floats const& want) {
    EXPECT_TRUE(same_bits(want, decode_all<sign, lane1>()));
    EXPECT_TRUE(same_bits(want, decode_all<sign, lane4>()));
    EXPECT_TRUE(same_bits(want, decode_all<sign, packed>()));
    for (std::size_t k = 1; k < 256; ++k) EXPECT_LT(want[k - 1], want[k]);
    EXPECT_EQ(want[frugal::dynamic_code<sign>::zero], 0);
  });
}

// The entry nearest to x by a search in exact arithmetic: differences of floats that are near each other are exact in
// double.
std::uint8_t nearest_code(bool is_signed, floats const& entries, float x) {
  const auto upper = std::size_t(std::lower_bound(entries.begin(), entries.end(), x) - entries.begin());
  std::size_t code = std::min<std::size_t>(upper, 255);
  if (upper > 0 && upper < 256) {
    const double below = double(x) - entries[upper - 1], above = double(entries[upper]) - x;
    code = below < above || (below == above && upper % 2 == 1) ? upper - 1 : upper;
  }
  if (is_signed && x < 0) code = std::min<std::size_t>(code, 126);  // a negative never becomes zero
  return std::uint8_t(code);
}

// Between, at and next to all entries and all points halfway.
TEST(dynamic_code, nearest_entry_everywhere) {
  for_books([](auto sign, floats const& entries) {
    floats y;
    const auto around = [&](float x) {
      for (int k = -3; k <= 3; ++k) {
        float near = x;
        for (int i = 0; i < std::abs(k); ++i) near = std::nextafter(near, k < 0 ? -10.f : 10.f);
        y.push_back(near);
      }
    };
    for (std::size_t k = 0; k < 256; ++k) {
      around(entries[k]);
      if (k > 0) around(float((double(entries[k - 1]) + double(entries[k])) / 2));
    }
    dice d(4);
    for (int k = 0; k < 20000; ++k) y.push_back(float((k % 2 ? 1 : -1) * std::exp(d.between(-20, 0.1))));
    codes want;
    for (float x : y) want.push_back(nearest_code(sign, entries, x));
    EXPECT_TRUE(same_bits(want, encode<sign, lane1>(y, 1)));
    EXPECT_TRUE(same_bits(want, encode<sign, lane4>(y, 1)));
    EXPECT_TRUE(same_bits(want, encode<sign, packed>(y, 1)));
  });
}

// ---- blocks: 256 floats through a team: absmax, codes, values again
template <bool Signed>
struct quantise {
  static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 256 * sizeof(float) + 64 * sizeof(std::int32_t);
  float const* s;
  std::uint8_t* code;
  float *scale, *back;
  index_t blocks;

  struct fetch {
    float const* from;
    float* to;
    bool aligned(int) const { return false; }
    template <class Chunk>
    void operator()(Chunk c) const {
      c.store(to, c.load(from));
    }
  };
  index_t teams() const { return blocks; }
  template <class Team>
  void operator()(Team const& team) const {
    using book = frugal::dynamic_code<Signed>;
    float* tile = team.template scratch<float>();
    const index_t at = 256 * team.rank();
    team.template for_values<float>(256, fetch{s + at, tile});
    const float peak = team.template peak<256>(tile, reinterpret_cast<std::int32_t*>(tile + 256));
    team.template encode<256>(book{}, tile, frugal::detail::inverse_of(peak), code + at);
    team.template decode<256>(book{}, code + at, peak, back + at);
    if (team.lane() == 0) scale[team.rank()] = peak;
  }
};

struct quantised {
  codes code;
  floats scale, value;
  friend testing::AssertionResult same_bits(quantised const& a, quantised const& b) {
    if (const auto same = frugal_test::same_bits(a.code, b.code); !same) return same;
    if (const auto same = frugal_test::same_bits(a.scale, b.scale); !same) return same;
    return frugal_test::same_bits(a.value, b.value);
  }
};

template <bool Signed, class Backend>
quantised through_team(Backend const& b, floats const& s) {
  const index_t n = index_t(s.size() + 255) / 256;
  floats padded = s;
  padded.resize(std::size_t(256 * n));
  const there<float, Backend> from(b, padded);
  const there<std::uint8_t, Backend> code(b, codes(padded.size()));
  const there<float, Backend> scale(b, floats(std::size_t(n))), back(b, floats(padded.size()));
  b.for_teams(quantise<Signed>{from.all().data(), code.all().data(), scale.all().data(), back.all().data(), n});
  return {code.get(), scale.get(), back.get()};
}

TEST(dynamic_code, golden_blocks) {
  int count = 0;
  for (golden_case const& c : golden()) {
    if (c.name == "books") continue;
    SCOPED_TRACE(c.name);
    ++count;
    const auto s = c.numbers<float>("s");
    const auto want = c.codes("codes");
    const auto absmax = c.number<float>("absmax");
    const auto check = [&](auto sign) {
      const float inverse = frugal::detail::inverse_of(absmax);
      EXPECT_TRUE(same_bits(want, encode<sign, lane1>(s, inverse)));
      EXPECT_TRUE(same_bits(want, encode<sign, lane4>(s, inverse)));
      EXPECT_TRUE(same_bits(want, encode<sign, packed>(s, inverse)));
      quantised q = same_on_every_backend([&](auto const& b) { return through_team<sign>(b, s); });
      EXPECT_TRUE(same_bits(floats{absmax}, q.scale));
      floats values;
      for (std::uint8_t k : want) values.push_back(book(sign)[k] * absmax);
      const codes tail(q.code.begin() + index_t(s.size()), q.code.end());
      EXPECT_TRUE(same_bits(codes(tail.size(), frugal::dynamic_code<sign>::zero), tail)) << "what is not there is zero";
      q.code.resize(s.size());
      q.value.resize(s.size());
      EXPECT_TRUE(same_bits(want, q.code));
      EXPECT_TRUE(same_bits(values, q.value));
    };
    if (c.words("book").at(0) == "signed") check(std::true_type{});
    else check(std::false_type{});
  }
  EXPECT_GE(count, 35);
}

// Data of very different sizes, many blocks.
floats many_blocks(bool is_signed) {
  floats s = numbers(64 * 256, 3);
  dice d(6);
  for (std::size_t i = 0; i < s.size(); ++i) {
    s[i] *= float(std::exp(d.between(-18, 0)));
    if (!is_signed) s[i] = std::abs(s[i]);
  }
  return s;
}

TEST(dynamic_code, many_blocks_on_every_backend) {
  for_books([](auto sign, floats const& entries) {
    const floats s = many_blocks(sign);
    const quantised q = same_on_every_backend([&](auto const& b) { return through_team<sign>(b, s); });
    for (std::size_t i = 0; i < s.size(); ++i) {
      const float absmax = q.scale[i / 256];
      ASSERT_EQ(q.code[i], (encode<sign, lane1>({s[i]}, 1 / absmax)[0])) << i;
      ASSERT_EQ(q.value[i], entries[q.code[i]] * absmax) << i;
    }
  });
}

// The floats around every tie and every power of two, and some that are no numbers. Each is alone among 64 entries, the
// least that a path may hand on to another; the absmax of each block is 1.
TEST(dynamic_code, every_edge_through_a_team) {
  for_books([](auto sign, floats const& entries) {
    floats s;
    const auto put = [&](float x) {
      s.push_back(1);
      s.push_back(x);
      while (s.size() % 64 != 0) s.push_back(entries[s.size() % 127 + 128]);
    };
    const auto around = [&](float x) {
      for (float y : {std::nextafter(x, -2.f), x, std::nextafter(x, 2.f)}) {
        put(y);
        if (sign) put(-y);
      }
    };
    for (std::size_t k = 0; k < 255; ++k) around(0.5f * (entries[k] + entries[k + 1]));
    for (float x = 0.5f; x > 1e-9f; x /= 2) around(x);
    constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    for (float x : {infinity, nan, -nan, 0.f, -0.f, 1e-45f, 1e-39f}) put(x);
    if (sign)
      for (float x : {-infinity, -1e-45f, -1e-39f}) put(x);
    const quantised q = same_on_every_backend([&](auto const& b) { return through_team<sign>(b, s); });
    const codes want = encode<sign, lane1>(s, 1);
    EXPECT_TRUE(same_bits(want, codes(q.code.begin(), q.code.begin() + index_t(want.size()))));
  });
}

// A path may settle what lies near an edge more slowly than the rest: it has to know how near. All floats from 700
// below each tie to 700 above, which is more than three parts in 2^16 of a cell everywhere, each in a place of its own
// among 63 entries, which lie nowhere near.
TEST(dynamic_code, every_float_around_an_edge) {
  for_books([](auto sign, floats const& entries) {
    std::size_t place = 0;
    for (std::size_t k = frugal::dynamic_code<sign>::zero; k < 255; ++k) {
      const float tie = 0.5f * (entries[k] + entries[k + 1]);
      floats s;
      codes want;
      for (std::int32_t ulps = -700; ulps <= 700; ++ulps) {
        const float x = frugal::detail::bit_cast<float>(frugal::detail::bit_cast<std::int32_t>(tie) + ulps);
        for (std::size_t i = 0; i < 64; ++i) s.push_back(i == 0 ? 1 : entries[s.size() % 256]);
        ++place;
        s[s.size() - 63 + place % 63] = sign && place % 3 == 0 ? -x : x;
      }
      for (float x : s) want.push_back(nearest_code(sign, entries, x));
      const quantised q = through_team<sign>(frugal::serial_backend{}, s);
      ASSERT_TRUE(same_bits(want, codes(q.code.begin(), q.code.begin() + index_t(want.size())))) << "above code " << k;
    }
  });
}

TEST(dynamic_code, codes_survive_their_values) {
  for_books([](auto sign, floats const& entries) {
    for (float absmax : {1.f, 0.3f, 1e-30f, 7e12f, 3e38f}) {
      floats s = entries;
      for (float& x : s) x *= absmax;
      const quantised q = through_team<sign>(frugal::serial_backend{}, s);
      ASSERT_EQ(q.scale[0], absmax);
      for (std::size_t k = 0; k < 256; ++k) EXPECT_EQ(q.code[k], k) << absmax;
      EXPECT_TRUE(same_bits(s, q.value)) << absmax;
    }
  });
}

TEST(dynamic_code, powers_of_two_scale_through) {
  for_books([](auto sign, floats const&) {
    floats s = many_blocks(sign);
    const quantised before = through_team<sign>(frugal::serial_backend{}, s);
    for (float& x : s) x *= 0x1p-40f;
    const quantised after = through_team<sign>(frugal::serial_backend{}, s);
    EXPECT_TRUE(same_bits(before.code, after.code));
    for (std::size_t i = 0; i < s.size(); ++i) ASSERT_EQ(after.value[i], before.value[i] * 0x1p-40f);
  });
}

TEST(dynamic_code, blocks_do_not_know_each_other) {
  for_books([](auto sign, floats const&) {
    floats s = many_blocks(sign);
    const quantised before = through_team<sign>(frugal::serial_backend{}, s);
    s[5 * 256 + 17] = 1e6f;
    const quantised after = through_team<sign>(frugal::serial_backend{}, s);
    for (std::size_t i = 0; i < s.size(); ++i) ASSERT_TRUE(i / 256 == 5 || before.code[i] == after.code[i]) << i;
    EXPECT_NE(before.code, after.code);
  });
}

TEST(dynamic_code, errors_are_half_a_gap) {
  for_books([](auto sign, floats const& entries) {
    const floats s = many_blocks(sign);
    const quantised q = through_team<sign>(frugal::serial_backend{}, s);
    for (std::size_t i = 0; i < s.size(); ++i) {
      const std::size_t k = q.code[i];
      double gap =
          std::max(k > 0 ? double(entries[k]) - entries[k - 1] : 0, k < 255 ? double(entries[k + 1]) - entries[k] : 0);
      if (sign && k == 0) gap = 2 * (1 + double(entries[0]));  // the signed book has no -1
      ASSERT_LE(std::abs(double(s[i]) - q.value[i]), (gap / 2 + 1e-7 * std::abs(entries[k])) * q.scale[i / 256]) << i;
    }
  });
}

TEST(dynamic_code, signs_are_kept) {
  // Small negatives become the smallest negative entry, small positives zero.
  const codes c = encode<true, lane4>({-1e-7f, -1e-30f, -1e-45f, 1e-7f, 1e-30f, 1e-45f, -0.f, 0.f}, 1);
  EXPECT_EQ(c, (codes{126, 126, 126, 127, 127, 127, 127, 127}));
  // Also where all values are tiny.
  EXPECT_EQ((encode<true, lane1>({-1e-40f, 1e-40f}, frugal::detail::inverse_of(1e-40f))), (codes{126, 127}));
}

// Where normally distributed numbers go: mean relative errors below 2 %.
TEST(dynamic_code, mean_error_of_normal_numbers) {
  dice d(8);
  floats s, squares;
  for (int i = 0; i < 65536; ++i) {
    s.push_back(float(d.normal()));
    squares.push_back(s.back() * s.back());
  }
  const auto error = [](floats const& x, quantised const& q) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] == 0 ? 0 : std::abs((double(x[i]) - q.value[i]) / x[i]);
    return sum / double(x.size());
  };
  EXPECT_LT(error(s, through_team<true>(frugal::serial_backend{}, s)), 0.02);
  EXPECT_LT(error(squares, through_team<false>(frugal::serial_backend{}, squares)), 0.02);
}

}  // namespace
