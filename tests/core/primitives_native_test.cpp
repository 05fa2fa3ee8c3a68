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

}  // namespace
