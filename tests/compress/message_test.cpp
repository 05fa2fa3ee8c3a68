// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/message.hpp>

#include <frugal/compress/identity.hpp>
#include <set>

#include "support/compressor_suite.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;

bytes data(std::size_t n) {
  bytes b;
  for (std::size_t j = 0; j < n; ++j) b.push_back(std::uint8_t((7 * j + 3) * (j + 1) % 251));
  return b;
}

TEST(message, golden_checksums) {
  const golden_case c = read_golden("message.txt").at(1);
  ASSERT_GT(c.count("sum"), 200u);
  for (std::size_t i = 0; i < c.count("sum"); ++i) {
    const auto line = c.numbers<std::uint64_t>("sum", i);
    bytes moved{0};  // an odd address
    const bytes b = data(line[0]);
    moved.insert(moved.end(), b.begin(), b.end());
    EXPECT_EQ(frugal::word_hash(moved.data() + 1, b.size(), line[1]), line[2]) << line[0] << " bytes";
  }
}

TEST(message, every_flipped_bit_and_pair_of_bits_changes_the_checksum) {
  bytes b = data(100);
  std::set<std::uint64_t> seen{frugal::word_hash(b.data(), b.size())};
  const auto flip = [&](std::size_t i) { b[i / 8] ^= std::uint8_t(1 << i % 8); };
  for (std::size_t i = 0; i < 800; ++i) {
    flip(i);
    ASSERT_TRUE(seen.insert(frugal::word_hash(b.data(), b.size())).second) << i;
    for (std::size_t k = i + 1; k < 800; ++k) {
      flip(k);
      ASSERT_TRUE(seen.insert(frugal::word_hash(b.data(), b.size())).second) << i << " and " << k;
      flip(k);
    }
    flip(i);
  }
  EXPECT_TRUE(seen.insert(frugal::word_hash(b.data(), 99)).second);
}

TEST(message, golden_bytes) {
  int cases = 0;
  for (golden_case const& c : read_golden("message.txt")) {
    if (!c.name.starts_with("identity")) continue;
    ++cases;
    const auto n = c.number<frugal::index_t>("n");
    const auto sent =
        make_codec(serial(), n, frugal::identity{})
            ->encode(c.numbers<float>("x"), {c.number<std::int32_t>("sender"), c.number<std::uint64_t>("round")});
    EXPECT_TRUE(same_bits(c.codes("bytes"), sent)) << c.name;
  }
  EXPECT_EQ(cases, 4);
}

TEST(message, names_have_1_to_16_characters) {
  EXPECT_NO_THROW(frugal::message({.algorithm = "1234567890abcdef"}));
  for (char const* name : {"", "1234567890abcdefg"})
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { frugal::message({.algorithm = name}); },
                                                 {"the name of an algorithm: expected 1 to 16 characters"}));
}

TEST(message, copies_are_messages_of_their_own) {
  frugal::compressor c(frugal::serial_backend{}, 3, frugal::identity{});
  const frugal::message first = c.encode(std::vector<float>{1, 2, 3}, {0, 1});
  c.encode(std::vector<float>{4, 5, 6}, {0, 2});
  std::vector<float> x(3);
  c.add_to(x, first, 1, {0, 1});
  EXPECT_EQ(x, (std::vector<float>{1, 2, 3}));
}

}  // namespace
