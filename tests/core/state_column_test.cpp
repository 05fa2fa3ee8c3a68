// SPDX-License-Identifier: Apache-2.0
// A column keeps its numbers wherever it begins.
#include <frugal/core/state_column.hpp>

#include "support/backends.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;

template <class Backend>
void begins_anywhere(Backend const& b, index_t n) {
  constexpr index_t line = 16;
  frugal::detail::state_column<float, Backend> c(b, n, line);
  float* const start = c.data();
  ASSERT_NE(start, nullptr);
  EXPECT_EQ(c.bytes(), std::size_t(n) * 4);
  EXPECT_EQ(frugal::to_host(b, c.view()), std::vector<float>(std::size_t(n)));
  const std::vector<float> x = numbers(n, 1);
  frugal::to_backend(b, c.view(), x);
  for (index_t first : {0, 3, 15, 1, 0, 7}) {
    c.begin_at(b, first);
    EXPECT_EQ(c.data(), start + first);
    EXPECT_EQ(frugal::to_host(b, c.view()), x) << first;
  }
  const auto moved = std::move(c);
  EXPECT_EQ(moved.data(), start + 7);
  EXPECT_EQ(frugal::to_host(b, moved.view()), x);
}

TEST(state_column, begins_anywhere) {
  for (index_t n : {0, 1, 5, 1000}) {
    begins_anywhere(frugal::serial_backend(), n);
    begins_anywhere(frugal::tbb_backend(), n);
    begins_anywhere(frugal::emulated_backend(), n);
  }
}

TEST(state_column, of_nothing) {
  const frugal::detail::state_column<float, frugal::serial_backend> none;
  EXPECT_EQ(none.data(), nullptr);
  EXPECT_EQ(none.bytes(), 0u);
}

TEST(state_column, places_in_a_line) {
  alignas(64) float x[40];
  alignas(64) double y[10];
  EXPECT_EQ(frugal::detail::place_in_line(x, 16), 0);
  EXPECT_EQ(frugal::detail::place_in_line(x + 5, 16), 5);
  EXPECT_EQ(frugal::detail::place_in_line(x + 21, 16), 5);
  EXPECT_EQ(frugal::detail::place_in_line(y + 9, 8), 1);
}

}  // namespace
