// SPDX-License-Identifier: Apache-2.0
// In the widest registers of this processor, where eight directions of signs are added up in another way.
#include <gtest/gtest.h>
#include <frugal/backend/serial.hpp>

#include "training.hpp"

TEST(mezo, the_same_in_wide_registers) {
  using namespace frugal_test;
  const frugal::serial_backend cpu;
  const auto nothing = [](auto const&) {};
  frugal::mezo normals(cpu, few_tensors(), few_steps);
  EXPECT_EQ(trained(normals, nothing), mezo_digest);
  frugal::mezo signs(cpu, few_tensors(), few_steps, frugal::rademacher{});
  EXPECT_EQ(trained(signs, nothing), mezo_digest_of_signs);
}
