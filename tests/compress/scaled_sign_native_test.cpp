// SPDX-License-Identifier: Apache-2.0
// Bits from and to this processor's widest registers.
#include <frugal/backend/serial.hpp>
#include <frugal/compress/scaled_sign.hpp>

#include "support/bits.hpp"
#include "support/compressor_suite.hpp"

namespace {
using namespace frugal_test;

TEST(scaled_sign_native, golden_messages) {
  int cases = 0;
  for (golden_case const& c : read_golden("compressors.txt")) {
    if (c.count("sign_codes") == 0) continue;
    ++cases;
    const auto x = input_of(c);
    const auto scales = c.numbers<float>("scales_256");
    for (std::size_t offset = 0; offset < 16; ++offset) {
      std::vector<float> there(offset);
      there.insert(there.end(), x.begin(), x.end());
      const frugal::view<float> moved(there.data() + offset, frugal::index_t(x.size()));
      frugal::compressor code(frugal::serial_backend{}, x.size(), frugal::scaled_sign{.block = 256});
      const bytes m = bytes_of(code.encode(moved));
      bytes want = c.codes("sign_codes");
      want.insert(want.begin(), 4 * scales.size(), 0);
      std::memcpy(want.data(), scales.data(), 4 * scales.size());
      ASSERT_TRUE(same_bits(want, {m.begin() + 64, m.end()})) << c.name << " at " << offset;
      code.add_to(moved, m, -0.5);
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_EQ(moved[frugal::index_t(i)], x[i] - 0.5f * (x[i] >= 0 ? scales[i / 256] : -scales[i / 256])) << i;
      code.decode(moved, m);
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_EQ(moved[frugal::index_t(i)], x[i] >= 0 ? scales[i / 256] : -scales[i / 256]) << i;
    }
  }
  EXPECT_GE(cases, 15);
}

}  // namespace
