// SPDX-License-Identifier: Apache-2.0
#include <frugal/core/permutation.hpp>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "support/bits.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::permutation;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

static_assert(std::is_trivially_copyable_v<permutation>);

TEST(permutation, golden) {
  int values = 0;
  for (golden_case const& c : read_golden("permutation.txt")) {
    const permutation p(c.number<u64>("seed"), c.number<u64>("dir"), c.number<u64>("n"));
    const auto at = c.numbers<u32>("at"), image = c.numbers<u32>("image");
    ASSERT_EQ(at.size(), image.size());
    for (std::size_t k = 0; k < at.size(); ++k, ++values)
      ASSERT_EQ(p(at[k]), image[k]) << "of " << at[k] << " in " << c.name;
  }
  EXPECT_GT(values, 3000);
}

void expect_bijection(u64 seed, u64 dir, u64 n) {
  const permutation p(seed, dir, n);
  std::vector<bool> seen(n);
  for (u64 j = 0; j < n; ++j) {
    const u32 i = p(u32(j));
    ASSERT_LT(i, n);
    ASSERT_FALSE(seen[i]) << i << " twice, of " << n;
    seen[i] = true;
  }
}

TEST(permutation, is_a_bijection) {
  for (u64 n = 1; n <= 300; ++n)
    for (u64 dir = 0; dir < 4; ++dir) expect_bijection(42, dir, n);
  for (u64 n : {1023, 1024, 1025, 4095, 4097, 65535, 65536, 65537, 100003, 1 << 20}) expect_bijection(~u64(0), 7, n);
}

TEST(permutation, the_largest_sizes) {
  for (u64 n : {(u64(1) << 31) + 1, (u64(1) << 32) - 1, u64(1) << 32}) {
    const permutation p(3, 4, n);
    std::vector<u32> images;
    for (u64 j = 0; j < 100000; ++j) images.push_back(p(u32(n - 1 - j)));
    for (u32 i : images) EXPECT_LT(i, n);
    std::sort(images.begin(), images.end());
    EXPECT_EQ(std::adjacent_find(images.begin(), images.end()), images.end()) << n;
  }
}

// Whether coordinate i is among the first K of a direction: a coin that shows heads with K / n.
TEST(permutation, every_coordinate_is_drawn_equally_often) {
  constexpr int directions = 2000;
  for (auto [n, k] : {std::pair{10, 3}, {10, 5}, {37, 9}, {37, 20}, {1000, 100}, {1000, 500}}) {
    std::vector<int> drawn(std::size_t(n), 0);
    for (int d = 0; d < directions; ++d) {
      const permutation p(2024, u64(d), u64(n));
      for (int j = 0; j < k; ++j) ++drawn[p(u32(j))];
    }
    const double rate = double(k) / n, sigma = std::sqrt(directions * rate * (1 - rate));
    for (int i = 0; i < n; ++i) EXPECT_NEAR(drawn[std::size_t(i)], directions * rate, 5 * sigma) << i << " of " << n;
  }
}

// Whether two coordinates are drawn together: K (K - 1) / (n (n - 1)).
TEST(permutation, pairs_are_drawn_equally_often) {
  constexpr int directions = 2000, n = 37, k = 9;
  std::vector<int> together(n * n, 0);
  for (int d = 0; d < directions; ++d) {
    const permutation p(2024, u64(d), n);
    for (int a = 0; a < k; ++a)
      for (int b = 0; b < k; ++b) ++together[p(u32(a)) * n + p(u32(b))];
  }
  const double rate = double(k * (k - 1)) / (n * (n - 1)), sigma = std::sqrt(directions * rate * (1 - rate));
  for (int a = 0; a < n; ++a)
    for (int b = 0; b < a; ++b) EXPECT_NEAR(together[std::size_t(a * n + b)], directions * rate, 5 * sigma);
}

TEST(permutation, seeds_and_directions_differ) {
  const auto images = [](u64 seed, u64 dir) {
    std::vector<u32> v;
    for (u32 j = 0; j < 100; ++j) v.push_back(permutation(seed, dir, 1000000)(j));
    return v;
  };
  EXPECT_NE(images(1, 0), images(2, 0));
  EXPECT_NE(images(1, 0), images(u64(1) << 32 | 1, 0));
  EXPECT_NE(images(1, 0), images(1, 1));
  EXPECT_NE(images(1, 0), images(1, u64(1) << 32));
}

TEST(permutation, sizes_out_of_range_are_refused) {
  EXPECT_TRUE(refused([] { permutation(1, 2, 0); }, "the size of a permutation", "1 to 2^32", "0"));
  EXPECT_TRUE(
      refused([] { permutation(1, 2, (u64(1) << 32) + 1); }, "the size of a permutation", "1 to 2^32", "4294967297"));
}

}  // namespace
