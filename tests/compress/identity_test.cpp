// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/identity.hpp>

#include "support/compressor_suite.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;

TEST(identity, is_exact) {
  const auto x = numbers(5000, 1);
  const auto c = make_codec(serial(), 5000, frugal::identity{});
  EXPECT_TRUE(same_bits(x, c->decode(c->encode(x))));
  EXPECT_EQ(c->alpha(), 1);
  EXPECT_EQ(c->last().payload_bits(), 32u * 5000);
  EXPECT_EQ(c->last().wire_bits(), 32u * 5000 + 512);
}

// What all compressors check in one place.
TEST(identity, bad_arguments_are_refused) {
  frugal::compressor c(frugal::serial_backend{}, 8, frugal::identity{});
  std::vector<float> x(8, 1.f), other(7);
  const bytes m = bytes_of(c.encode(x));
  EXPECT_TRUE(refused([&] { c.encode(other); }, "a vector to be compressed", "8", "7"));
  EXPECT_TRUE(refused([&] { c.encode({nullptr, 8}); }, "a vector to be compressed", "a pointer", "null"));
  EXPECT_TRUE(same_bits(m, bytes_of(c.last())));
  EXPECT_TRUE(refused([&] { c.add_to(other, m); }, "a vector to add to", "8", "7"));
  EXPECT_TRUE(refused([&] { c.add_to({nullptr, 8}, m); }, "a vector to add to", "a pointer", "null"));
  EXPECT_TRUE(refused([&] { c.decode(other, m); }, "a vector to decode into", "8", "7"));
  for (double scale : {double(INFINITY), double(NAN), 1e300})
    EXPECT_TRUE(throws<frugal::invalid_argument>(
        [&] { c.add_to(x, m, scale); }, {"the scale of a message: expected [-1.70141e+38, 1.70141e+38], got"}));
  EXPECT_TRUE(refused([&] { c.add_to(x, {nullptr, 96}); }, "a message", "a pointer", "null"));
  EXPECT_TRUE(same_bits(std::vector<float>(8, 1.f), x));
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(identity, compressor_suite, these(frugal::identity{}));
}
