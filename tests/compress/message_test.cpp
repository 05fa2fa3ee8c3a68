// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/message.hpp>

#include <frugal/compress/identity.hpp>
#include <limits>
#include <set>

#include "support/compressor_suite.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;

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

TEST(message, formats_that_cannot_be_are_refused) {
  const frugal::message good({.algorithm = "1234567890abcdef"});
  const auto refuses = [&](frugal::message_format const& f, std::string const& says) {
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { frugal::message m(f); }, {says}));
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { frugal::open_message(good, f, {}); }, {says}));
  };
  for (char const* name : {"", "1234567890abcdefg", "1234567890abcdef1234567890abcdef1234567890abcdef"})
    refuses({.algorithm = name}, "the name of an algorithm: expected 1 to 16 characters");
  refuses({.algorithm = "a", .elements = -1}, "the elements of a message: expected >= 0, got -1");
  for (index_t payload : {index_t(-1), (std::numeric_limits<index_t>::min)(), (std::numeric_limits<index_t>::max)()})
    refuses({.algorithm = "a", .payload = payload}, "the bytes of a message's payload: expected 0 to 2^60");
}

TEST(message, what_another_compressor_checked_is_refused) {
  frugal::compressor c(frugal::serial_backend{}, 3, frugal::identity{}),
      longer(frugal::serial_backend{}, 5000, frugal::identity{}),
      named(frugal::serial_backend{}, {{"w", {5000}}}, frugal::identity{});
  std::vector<float> x(5000, 1.f);
  for (auto* other : {&c, &named}) {
    const frugal::checked_message m =
        other->check(other->encode(std::vector<float>(std::size_t(other->layout().size()))));
    EXPECT_TRUE(
        refused([&] { longer.add_to(x, m); }, "a checked message", "one that this compressor checked", "another's"));
  }
  EXPECT_EQ(x, std::vector<float>(5000, 1.f));
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
