// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "linalg/linalg_bits.hpp"

TEST(linalg, has_one_digest_on_this_processor) {
  EXPECT_EQ(frugal_test::digest_of_dense_algebra(), frugal_test::dense_algebra_digest);
}
