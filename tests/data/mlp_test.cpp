// SPDX-License-Identifier: Apache-2.0
#include "training/mlp.hpp"

#include <gtest/gtest.h>

namespace {

TEST(mlp, gradient_by_hand_agrees_with_finite_differences) {
  for (std::uint64_t seed : {1, 2, 3}) EXPECT_LT(bench::gradient_error(seed), 1e-6);
}

}  // namespace
