// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/top_k.hpp>

#include <cmath>

#include "support/compressor_suite.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using frugal::top_k;

// A payload as the header says it: bit by bit.
bytes payload(std::vector<float> const& values, std::vector<index_t> const& at, index_t n, bool mapped) {
  std::vector<bool> bits(mapped ? std::size_t(n) : 0);
  int width = 0;
  while (index_t(1) << width < n) ++width;
  for (index_t i : at) {
    if (mapped) bits[std::size_t(i)] = true;
    else
      for (int k = 0; k < width; ++k) bits.push_back(i >> k & 1);
  }
  bytes all(4 * values.size() + (bits.size() + 7) / 8);
  std::memcpy(all.data(), values.data(), 4 * values.size());
  for (std::size_t b = 0; b < bits.size(); ++b)
    if (bits[b]) all[4 * values.size() + b / 8] |= std::uint8_t(1 << b % 8);
  return all;
}

TEST(top_k, golden_messages) {
  std::size_t cases = 0;
  for (golden_case const& c : read_golden("compressors.txt")) {
    if (c.count("ks") == 0) continue;
    const auto x = input_of(c);
    const auto n = index_t(x.size());
    for (std::size_t i = 0; i < c.numbers<index_t>("ks").size(); ++i, ++cases) {
      const index_t k = c.numbers<index_t>("ks")[i];
      const auto size = c.numbers<std::uint64_t>("topk_payload", i);
      SCOPED_TRACE(c.name + ", k " + std::to_string(k));
      for (machine const& m : machines()) {
        const auto s = make_codec(m, n, top_k{.k = k});
        const bytes sent = s->encode(x);
        EXPECT_TRUE(same_bits(
            payload(c.numbers<float>("topk_values", i), c.numbers<index_t>("topk_indices", i), n, size[0] == 1),
            {sent.begin() + 64, sent.end()}))
            << m.name;
        EXPECT_EQ(s->last().payload_bits(), size[1]);
        EXPECT_EQ(sent.size() - 64, size[2]);
      }
      const auto s = make_codec(serial(), n, top_k{.k = k});
      const double error = c.number<double>("topk_error", i);
      EXPECT_NEAR(square_distance(x, s->decode(s->encode(x))), error, 1e-11 * error);
      EXPECT_EQ(s->alpha(), double(k) / double(n));
    }
  }
  EXPECT_GE(cases, 30u);
}

TEST(top_k, ratios_are_rounded_down_to_one_at_least) {
  const auto kept = [](double ratio, index_t n) {
    return (make_codec(serial(), n, top_k{.ratio = ratio})->alpha() * double(n));
  };
  EXPECT_NEAR(kept(0.01, 1000), 10, 1e-9);
  EXPECT_NEAR(kept(0.01, 1099), 10, 1e-9);
  EXPECT_NEAR(kept(0.01, 99), 1, 1e-9);
  EXPECT_NEAR(kept(1, 99), 99, 1e-9);
}

TEST(top_k, worked_numbers) {
  const auto c = make_codec(serial(), 6, top_k{.k = 3});
  EXPECT_EQ(c->decode(c->encode({1, -2, 2, 0, 2, -3})), (std::vector<float>{0, -2, 2, 0, 0, -3}));
  const bytes m = c->encode({0, 0, -0.f, 0, 0, 5});  // zeros are sent where there is nothing else
  EXPECT_EQ(m.size(), 64u + 12 + 1);                 // a map of six bits is less than three times three
  EXPECT_EQ(m.back(), 0b100011);
  EXPECT_EQ(c->decode(m), (std::vector<float>{0, 0, 0, 0, 0, 5}));
}

TEST(top_k, what_is_sent_twice_is_sent_whole) {
  for (index_t k : {1, 17, 300, 1000}) {
    const auto c = make_codec(serial(), 1000, top_k{.k = k});
    const auto d = c->decode(c->encode(numbers(1000, 4)));
    EXPECT_TRUE(same_bits(d, c->decode(c->encode(d))));
  }
}

TEST(top_k, bad_options_are_refused) {
  const auto made = [](top_k how, index_t n = 10) { return [=] { make_codec(serial(), n, how); }; };
  EXPECT_TRUE(refused(made({}), "k and ratio", "one of them", "neither"));
  EXPECT_TRUE(refused(made({.k = 1, .ratio = 0.5}), "k and ratio", "one of them", "both"));
  EXPECT_TRUE(refused(made({.k = -1}), "k", "1 to 10", "-1"));
  EXPECT_TRUE(refused(made({.k = 11}), "k", "1 to 10", "11"));
  EXPECT_TRUE(refused(made({.k = 1}, 0), "k", "1 to 0", "1"));
  EXPECT_TRUE(refused(made({.ratio = 1.5}), "ratio", "(0, 1]", "1.5"));
  EXPECT_TRUE(refused(made({.ratio = -0.5}), "ratio", "(0, 1]", "-0.5"));
  EXPECT_TRUE(refused(made({.ratio = NAN}), "ratio", "(0, 1]", "nan"));
}

TEST(top_k, bad_payloads_are_refused) {
  const std::vector<float> x(1000, 1.f);
  const auto c = make_codec(serial(), 1000, top_k{.k = 3});  // indices of 10 bits
  const auto gets = [&](std::vector<index_t> const& at, std::uint8_t padding = 0) {
    bytes m = c->encode(x), p = payload({1, 2, 3}, at, 1000, false);
    std::copy(p.begin(), p.end(), m.begin() + 64);
    m.back() |= padding;
    return [&, m] { c->add_to(x, sealed(m)); };
  };
  EXPECT_NO_THROW(gets({0, 1, 999})());
  const std::string indices = "the indices of a message", ascending = "an ascending list of elements";
  EXPECT_TRUE(refused(gets({0, 1, 1000}), indices, ascending, "1000"));
  EXPECT_TRUE(refused(gets({0, 5, 5}), indices, ascending, "5"));
  EXPECT_TRUE(refused(gets({7, 3, 9}), indices, ascending, "3"));
  EXPECT_TRUE(refused(gets({0, 1, 2}, 0x80), "the bits behind the last index of a message", "0", "2"));

  const std::vector<float> y(12, 1.f);
  const auto map = make_codec(serial(), 12, top_k{.k = 4});
  const auto gets_map = [&](std::uint8_t low, std::uint8_t high) {
    bytes m = map->encode(y);
    m[80] = low, m[81] = high;
    return [&, m] { map->add_to(y, sealed(m)); };
  };
  EXPECT_NO_THROW(gets_map(0x81, 0x09)());
  EXPECT_TRUE(refused(gets_map(0x81, 0x01), indices, "4", "3"));
  EXPECT_TRUE(refused(gets_map(0x8f, 0x01), indices, "4", "more"));
  EXPECT_TRUE(refused(gets_map(0x81, 0x11), indices, ascending, "12"));
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(top_k, compressor_suite, these(top_k{.ratio = 0.01}, top_k{.ratio = 0.4}));
}
