// SPDX-License-Identifier: Apache-2.0
// In the widest registers of this processor, where eight directions of signs are added up in another way.
#include "golden.hpp"

TEST(mezo, golden_in_wide_registers) {
  frugal_test::check_golden([](auto const& run) { return run(frugal::serial_backend{}); });
}
