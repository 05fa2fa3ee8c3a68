// SPDX-License-Identifier: Apache-2.0
// Moments that are kept as bf16: those of an optimizer with full states, rounded after each of its steps.
#pragma once
#include <frugal/backend/serial.hpp>
#include <frugal/core/storage.hpp>

#include <gtest/gtest.h>

#include "bits.hpp"
#include "numbers.hpp"

namespace frugal_test {

// make(storage), on the serial backend.
template <class Make>
void expect_rounded_moments(Make const& make, int steps = 6) {
  auto full = make(frugal::full{});
  auto narrow = make(frugal::bf16_state{});
  const frugal::index_t n = full.layout().size();
  auto x = numbers(n, 1), y = x;
  for (int t = 0; t < steps; ++t) {
    const auto g = numbers(n, std::uint64_t(t + 2));
    full.step(x, g);
    narrow.step(y, g);
    ASSERT_TRUE(same_bits(x, y)) << "step " << t + 1;
    full.visit_state([](std::string const& name, frugal::role, auto v) {
      if constexpr (std::is_same_v<decltype(v), frugal::view<float>>)
        if (name == "m" || name == "v")
          for (float& each : v) each = frugal::to_float(frugal::to_bf16(each));
    });
  }
  EXPECT_FALSE(same_bits(x, numbers(n, 1)));
  EXPECT_LT(narrow.state_bytes(), full.state_bytes());
  EXPECT_NE(narrow.algorithm(), full.algorithm());
}

}  // namespace frugal_test
