// SPDX-License-Identifier: Apache-2.0
// Selection compiled for this processor: its widest registers, and the paths that only they have.
#include <frugal/backend/serial.hpp>

#include "core/top_k_cases.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;

TEST(top_k, is_that_of_a_sort) {
  const frugal::serial_backend b;
  for (index_t n : {0, 1, 15, 16, 17, 257, 4097, 16384, 16385, 65536, 100003})
    for (selection_case& c : selection_cases(n)) {
      frugal::top_k_select select(b, n, c.k);
      std::vector<std::uint32_t> at(std::size_t(c.k) + 64, 77);
      std::vector<float> values(std::size_t(c.k) + 64, 77);
      const top expected = top_of(c.x, c.k);
      c.x.insert(c.x.begin(), std::size_t(n % 19), 1e30f);  // before the vector, and not of it
      select({c.x.data() + n % 19, n}, {at.data(), c.k}, {values.data(), c.k});
      for (std::size_t i = std::size_t(c.k); i < at.size(); ++i) EXPECT_TRUE(at[i] == 77 && values[i] == 77) << i;
      at.resize(std::size_t(c.k));
      values.resize(std::size_t(c.k));
      EXPECT_TRUE(same_bits(expected, top{at, values})) << c.name << ", " << c.k << " of " << n;
    }
}

TEST(collect, keeps_to_its_room) {
  for (index_t n : {0, 1, 15, 16, 33, 100, 1000})
    for (index_t room : {0, 1, 16, 31, 32, 99, 100, 500}) {
      const auto end = std::size_t(room + frugal::detail::collect_slack);
      const std::vector<float> x(std::size_t(n) + 3, 2.f);
      std::vector<std::uint32_t> at(end + 64, 77);
      std::vector<float> values(end + 64, 77);
      const index_t count = frugal::detail::collect<frugal::native_isa, false>(x.data() + 3, n, 1, nullptr, 5, room,
                                                                               at.data(), values.data());
      EXPECT_EQ(count, n);
      for (index_t i = 0; i < n && i < room; ++i) {
        EXPECT_EQ(at[std::size_t(i)], 5 + i);
        EXPECT_EQ(values[std::size_t(i)], 2);
      }
      for (std::size_t i = end; i < at.size(); ++i) EXPECT_TRUE(at[i] == 77 && values[i] == 77) << i << " of " << room;
    }
}

}  // namespace
