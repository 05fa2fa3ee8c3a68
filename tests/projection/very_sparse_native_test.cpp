// SPDX-License-Identifier: Apache-2.0
// With the registers of this processor.
#include "very_sparse_golden.hpp"

namespace {
using namespace frugal_test;

TEST(very_sparse_native, golden_products) {
  for (projection_case const& c : projection_cases())
    EXPECT_TRUE(same_bits(expected_products(c), products(frugal::serial_backend{}, c))) << c.name;
}
}  // namespace
