// SPDX-License-Identifier: Apache-2.0
#include <frugal/core/reduce.hpp>

#include <cmath>
#include <limits>

#include "support/backends.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;

// The numbers of golden/reduction.py.
template <class T>
std::vector<T> data(index_t n) {
  std::vector<T> x;
  for (std::uint64_t j = 0; j < std::uint64_t(n); ++j) {
    const std::uint64_t hashed = (j * 2654435761u & 0xffffffffu) >> 8;
    x.push_back(T(std::ldexp(double(hashed) * 0x1p-24 - 0.5, int(j % 7) - 3)));
  }
  return x;
}

// Sum and sum of squares.
template <class T, class Backend>
std::vector<double> sums(Backend const& b, std::vector<T> const& x, index_t offset = 0) {
  const there<T, Backend> d(b, x, offset);
  return {frugal::sum(b, d.constant()), frugal::sum_of_squares(b, d.constant())};
}

template <class T>
void check_golden(std::string const& suffix) {
  const auto cases = read_golden("reduction.txt");
  ASSERT_GE(cases.size(), 10u);
  for (golden_case const& c : cases) {
    const auto x = data<T>(c.number<index_t>("n"));
    const std::vector<double> want{c.number<double>("sum" + suffix), c.number<double>("squares" + suffix)};
    const auto got = same_on_every_backend([&](auto const& b) { return sums(b, x); });
    EXPECT_TRUE(same_bits(want, got)) << c.name << suffix;
  }
}
TEST(reduce, golden_floats) { check_golden<float>(""); }
TEST(reduce, golden_doubles) { check_golden<double>("_double"); }

TEST(reduce, alignment_does_not_matter) {
  for (index_t n : {0, 1, 3, 5, 17, 257, 16389, 33000}) {
    const auto x = data<float>(n);
    const auto y = data<double>(n);
    const auto want = sums(frugal::serial_backend{}, x), want_double = sums(frugal::serial_backend{}, y);
    for (index_t offset = 1; offset < 16; ++offset) {
      EXPECT_TRUE(same_bits(want, sums(frugal::serial_backend{}, x, offset))) << n << " from " << offset;
      EXPECT_TRUE(same_bits(want_double, sums(frugal::serial_backend{}, y, offset))) << n << " from " << offset;
    }
    for (index_t offset : {1, 2, 3, 7}) {
      EXPECT_TRUE(same_bits(want, sums(frugal::emulated_backend{}, x, offset))) << n << " from " << offset;
      EXPECT_TRUE(same_bits(want_double, sums(frugal::tbb_backend(2), y, offset))) << n << " from " << offset;
    }
  }
}

TEST(reduce, order_is_the_canonical_one) {
  // 2^24 + 1 - 2^24 in floats: 1 is lost where it meets 2^24 first. Slots 0, 128 and 256 (slot 0 again).
  std::vector<float> x(300);
  x[0] = 0x1p24f, x[128] = 1, x[256] = -0x1p24f;
  const auto one = [](auto const& b, std::vector<float> const& v) { return sums(b, v)[0]; };
  EXPECT_EQ(same_on_every_backend([&](auto const& b) { return one(b, x); }), 1);
  std::swap(x[128], x[256]);  // 2^24 + 1 in slot 0, then -2^24 from slot 128
  EXPECT_EQ(same_on_every_backend([&](auto const& b) { return one(b, x); }), 0);
  std::vector<float> tiles(3 * 16384);  // sums of tiles are doubles
  tiles[5] = 0x1p24f, tiles[16384 + 5] = 1, tiles[2 * 16384 + 5] = -0x1p24f;
  EXPECT_EQ(same_on_every_backend([&](auto const& b) { return one(b, tiles); }), 1);
}

TEST(reduce, what_is_not_finite_comes_through) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const auto with = [&](std::vector<std::pair<std::size_t, float>> const& changes) {
    auto x = data<float>(20000);
    for (auto [i, value] : changes) x[i] = value;
    return x;
  };
  const auto check = [&](std::vector<float> const& x, double sum, double squares) {
    const auto shape = [&](auto const& b) {  // signs of NaN are open
      auto s = sums(b, x);
      for (double& v : s) v = std::isnan(v) ? 12345 : v;
      return s;
    };
    EXPECT_EQ(same_on_every_backend(shape), (std::vector<double>{sum, squares}));
  };
  check(with({{19999, nan}}), 12345, 12345);
  check(with({{3, inf}}), inf, inf);
  check(with({{16384, -inf}}), -inf, inf);
  check(with({{3, inf}, {16390, -inf}}), 12345, inf);
  EXPECT_EQ(sums(frugal::serial_backend{}, with({{3, 1e30f}}))[1], inf);  // squares are floats inside a tile
}

// Something to sum that needs no memory: ones.
struct ones {
  using scalar = float;
  struct bound {
    float const* contiguous() const { return nullptr; }
    template <class Chunk>
    auto operator()(Chunk c) const {
      typename Chunk::value v(0.f);
      for (index_t k = 0; k < c.count(); ++k) v.v[k] = 1;
      return v;
    }
  };
  bound bind(frugal::segment const&) const { return {}; }
};

// More tiles than one tile of sums holds: a third level.
TEST(reduce, many_tiles) {
  const frugal::one_segment w(frugal::tile_size * (frugal::tile_size + 2) + 5);
  EXPECT_EQ(w.tiles, frugal::tile_size + 3);
  const auto count = [&](auto const& b) {
    frugal::buffer<double, std::remove_cvref_t<decltype(b)>> scratch(b, frugal::detail::sum_scratch(w.tiles));
    double result = 0;
    b.copy_out(&result, frugal::detail::canonical_sum(b, w, ones{}, scratch.data()), sizeof result);
    return result;
  };
  EXPECT_EQ(count(frugal::serial_backend{}), double(w.n));
  EXPECT_EQ(count(frugal::tbb_backend(2)), double(w.n));
}

TEST(reduce, of_anything_contiguous) {
  const frugal::serial_backend cpu;
  const std::vector<float> v{1, 2, 3};
  const std::array<double, 2> a{0.5, 4};
  EXPECT_EQ(frugal::sum(cpu, v), 6);
  EXPECT_EQ(frugal::sum_of_squares(cpu, v), 14);
  EXPECT_EQ(frugal::sum(cpu, a), 4.5);
  EXPECT_EQ(frugal::sum(cpu, frugal::view<float const>()), 0);
  const std::vector<frugal::bf16> b{frugal::to_bf16(1.5f), frugal::to_bf16(-4)};
  EXPECT_EQ(frugal::sum(cpu, b), -2.5);
  EXPECT_EQ(frugal::sum_of_squares(cpu, b), 18.25);
}

TEST(reduce, refusals) {
  const auto check = [](auto const& b) {
    using view = frugal::view<float const, typename std::remove_cvref_t<decltype(b)>::space>;
    EXPECT_TRUE(refused([&] { frugal::sum(b, view(nullptr, 3)); }, "a vector to be summed", "a pointer", "null"));
    const float x = 1;
    EXPECT_TRUE(refused([&] { frugal::sum(b, view(&x, -1)); }, "a vector to be summed", "", "-1"));
  };
  check(frugal::serial_backend{});
  check(frugal::emulated_backend{});
}

}  // namespace
