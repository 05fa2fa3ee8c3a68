// SPDX-License-Identifier: Apache-2.0
#include <frugal/core/random.hpp>

#include <set>

#include "support/bits.hpp"
#include "support/golden.hpp"

namespace {
using namespace frugal_test;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// Calls f(case, stream, direction, first coordinate) for the cases whose name begins so; at least one.
template <class F>
void for_cases(std::string const& prefix, F const& f) {
  int found = 0;
  for (golden_case const& c : read_golden("philox.txt")) {
    if (!c.name.starts_with(prefix)) continue;
    ++found;
    SCOPED_TRACE(c.name);
    if (c.count("seed") == 0) f(c, frugal::random_stream{}, 0, 0);
    else f(c, frugal::random_stream{c.number<u64>("seed")}, c.number<u64>("dir"), c.number<u64>("first"));
  }
  EXPECT_GT(found, 0);
}

TEST(random, known_answers) {
  for_cases("known_", [](golden_case const& c, auto, u64, u64) {
    const auto counter = c.numbers<u32>("counter"), key = c.numbers<u32>("key");
    const auto block =
        frugal::philox({{counter.at(0), counter.at(1), counter.at(2), counter.at(3)}}, key.at(0), key.at(1));
    EXPECT_EQ(std::vector<u32>(block.word, block.word + 4), c.numbers<u32>("output"));
  });
}

TEST(random, words) {
  for_cases("words_", [](golden_case const& c, frugal::random_stream s, u64 dir, u64 first) {
    const auto words = c.numbers<u32>("words");
    for (u64 k = 0; k < words.size(); ++k) {
      EXPECT_EQ(s.word(dir, first + k), words[k]) << k;
      EXPECT_EQ(s.block(dir, (first + k) / 4).word[(first + k) % 4], words[k]) << k;
    }
  });
}

TEST(random, numbers) {
  for_cases("numbers_", [](golden_case const& c, frugal::random_stream s, u64 dir, u64 first) {
    const auto u01 = c.numbers<float>("u01"), u11 = c.numbers<float>("u11");
    const auto doubles = c.numbers<double>("double_u01");
    for (u64 k = 0; k < u01.size(); ++k) {
      const u64 j = first + k;
      EXPECT_EQ(frugal::u01(s.word(dir, j)), u01[k]);
      EXPECT_EQ(frugal::u11(s.word(dir, j)), u11[k]);
      EXPECT_EQ(frugal::u01(s.word(dir, 2 * j), s.word(dir, 2 * j + 1)), doubles.at(k));
    }
    for (std::size_t i = 0; i < c.count("below"); ++i) {
      const auto line = c.numbers<u64>("below", i);
      for (u64 k = 0; k + 1 < line.size(); ++k) EXPECT_EQ(frugal::below(s.word(dir, first + k), line[0]), line[k + 1]);
    }
  });
}

TEST(random, conversions_at_the_ends) {
  for_cases("conversions", [](golden_case const& c, auto, u64, u64) {
    ASSERT_GT(c.count("convert"), 0u);
    for (std::size_t i = 0; i < c.count("convert"); ++i) {
      const auto line = c.numbers<double>("convert", i);
      const auto w = u32(line.at(0));
      EXPECT_EQ(frugal::u01(w), line.at(1));
      EXPECT_EQ(frugal::u11(w), line.at(2));
      EXPECT_EQ(frugal::below(w, 1000), line.at(3));
      EXPECT_EQ(frugal::below(w, u64(1) << 32), line.at(4));
    }
    for (std::size_t i = 0; i < c.count("convert_double"); ++i) {
      const auto line = c.numbers<double>("convert_double", i);
      EXPECT_EQ(frugal::u01(u32(line.at(0)), u32(line.at(1))), line.at(2));
    }
  });
}

TEST(random, signs) {
  for_cases("signs_", [](golden_case const& c, frugal::random_stream s, u64 dir, u64 first) {
    const auto signs = c.numbers<int>("signs");
    ASSERT_GE(signs.size(), 200u);
    for (u64 k = 0; k < signs.size(); ++k) {
      EXPECT_EQ(s.sign(dir, first + k), float(signs[k])) << k;
      EXPECT_EQ(s.negative(dir, first + k), signs[k] < 0) << k;
    }
  });
}

TEST(random, derived_seeds) {
  for_cases("derive", [](golden_case const& c, auto, u64, u64) {
    ASSERT_GT(c.count("derive"), 0u);
    std::set<u64> all;
    for (std::size_t i = 0; i < c.count("derive"); ++i) {
      const auto line = c.numbers<u64>("derive", i);
      EXPECT_EQ(frugal::random_stream{line.at(0)}.derive(line.at(1)), line.at(2));
      all.insert(line.at(2));
    }
    EXPECT_EQ(all.size(), c.count("derive"));
  });
}

TEST(random, directions) {
  EXPECT_EQ(frugal::direction_id(0, 0), 0u);
  EXPECT_EQ(frugal::direction_id(0, ~u32(0)), 0xffffffffu);
  EXPECT_EQ(frugal::direction_id(1, 0), u64(1) << 32);
  EXPECT_EQ(frugal::direction_id(7, 5), (u64(7) << 32) | 5);
}

}  // namespace
