// SPDX-License-Identifier: Apache-2.0
#include "support/compressor_suite.hpp"

#include <cmath>

#include "support/refusal.hpp"

namespace frugal_test {
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(compressor_suite);  // tests of mechanisms do without

namespace {

using frugal::index_t;
constexpr index_t sizes[] = {0, 1, 2, 255, 256, 257, 4095, 4097, 100003};

float product(double scale, float d) { return float(scale) * d; }

TEST_P(compressor_suite, every_backend_gives_the_same_bits) {
  for (index_t n : sizes) {
    const auto x = numbers(n, 5), y = numbers(n, 6);
    const auto first = make(serial(), n);
    const bytes m = first->encode(x, {3, 9});
    const auto sum = first->add_to(y, m, -0.3, {3, 9}), d = first->decode(m, {3, 9});
    for (std::size_t i = 0; i < d.size(); ++i) ASSERT_EQ(sum[i], y[i] + product(-0.3, d[i])) << i << " of " << n;
    for (machine const& where : machines()) {
      const auto c = make(where, n);
      EXPECT_TRUE(same_bits(m, c->encode(x, {3, 9}))) << where.name << ", " << n;
      EXPECT_TRUE(same_bits(sum, c->add_to(y, m, -0.3, {3, 9}))) << where.name << ", " << n;
      EXPECT_TRUE(same_bits(d, c->decode(m, {3, 9}))) << where.name << ", " << n;
    }
  }
}

TEST_P(compressor_suite, alignment_does_not_matter) {
  constexpr index_t n = 1003;
  const auto x = numbers(n, 5), y = numbers(n, 6);
  for (machine const& where : {serial(), emulated()}) {
    const auto c = make(where, n);
    const bytes m = c->encode(x);
    const auto sum = c->add_to(y, m);
    for (index_t offset = 1; offset < (where.lanes > 0 ? 5 : 16); ++offset) {
      EXPECT_TRUE(same_bits(m, c->encode(x, {}, offset))) << offset;
      EXPECT_TRUE(same_bits(sum, c->add_to(y, m, 1, {}, offset))) << offset;
    }
  }
}

TEST_P(compressor_suite, a_payload_may_lie_anywhere) {
  const auto x = numbers(777, 5);
  const auto c = make(serial(), 777);
  const bytes m = c->encode(x);
  const auto want = c->decode(m);
  for (std::size_t offset : {1u, 2u, 3u}) {
    bytes moved(offset);
    moved.insert(moved.end(), m.begin(), m.end());
    EXPECT_TRUE(same_bits(want, c->decode({moved.data() + offset, index_t(m.size())}))) << offset;
  }
}

TEST_P(compressor_suite, bits_are_counted) {
  for (index_t n : sizes) {
    const auto c = make(serial(), n);
    const bytes m = c->encode(numbers(n, 5));
    EXPECT_EQ(index_t(m.size()), c->max_wire_bytes());
    EXPECT_EQ(c->last().wire_bits(), 8 * m.size());
    EXPECT_LE(c->last().payload_bits(), 8 * (m.size() - 64));
    EXPECT_GT(c->last().payload_bits() + 24, 8 * (m.size() - 64));  // at most three sections are filled up
  }
}

TEST_P(compressor_suite, encoding_does_not_allocate) {
  constexpr index_t n = 70001;
  for (machine const& where : {serial(), emulated()}) {
    const auto c = make(where, n);
    for (int t = 0; t < 3; ++t) {
      c->encode(numbers(n, std::uint64_t(t)));
      EXPECT_TRUE(c->allocated() == 0 || where.lanes > 0) << t;  // the emulation itself allocates
    }
  }
  EXPECT_GT(allocations, 100) << "allocations are not counted";
}

TEST_P(compressor_suite, a_power_of_two_passes_through) {
  const auto x = numbers(3000, 5);
  const auto c = make(serial(), 3000);
  auto want = c->decode(c->encode(x));
  auto scaled = x;
  for (float& v : scaled) v *= 0x1p20f;
  for (float& v : want) v *= 0x1p20f;
  EXPECT_TRUE(same_bits(want, c->decode(c->encode(scaled))));
}

TEST_P(compressor_suite, it_contracts_as_it_says) {
  for (index_t n : {1, 2, 300, 5000}) {
    const auto c = make(serial(), n);
    if (c->alpha() == 0) continue;
    EXPECT_LE(c->alpha(), 1);
    std::vector<std::vector<float>> inputs{numbers(n, 1), std::vector<float>(std::size_t(n), -3.f),
                                           std::vector<float>(std::size_t(n))};
    inputs.push_back(inputs.back());
    inputs.back()[std::size_t(n / 2)] = 5;  // one element
    for (auto const& x : inputs) {
      constexpr int draws = 100;  // five standard deviations for those that draw
      double sum = 0, squares = 0;
      for (std::uint64_t t = 0; t < draws; ++t) {
        const double error = square_distance(x, c->decode(c->encode(x, {0, t}), {0, t})) / (square_norm(x) + 1e-30);
        sum += error, squares += error * error;
      }
      const double mean = sum / draws, deviation = std::sqrt(std::max(0., squares / draws - mean * mean) / draws);
      EXPECT_LE(mean, 1 - c->alpha() + 5 * deviation + 1e-6) << n;
    }
  }
}

TEST_P(compressor_suite, what_is_not_finite_stays_visible) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto same = [](std::vector<float> const& d) {
    return std::any_of(d.begin(), d.end(), [](float v) { return std::isnan(v); });
  };
  auto x = numbers(300, 5);
  x[200] = nan;
  bool seen = false;
  for (machine const& where : {serial(), emulated()}) {
    const auto c = make(where, 300);
    seen = false;
    for (std::uint64_t t = 0; t < 100; ++t) seen = seen || same(c->decode(c->encode(x, {0, t}), {0, t}));
    EXPECT_TRUE(seen) << where.name;
  }
}

// ---- messages that must be refused
TEST_P(compressor_suite, foreign_messages_are_refused) {
  constexpr index_t n = 300;
  const auto x = numbers(n, 5);
  for (machine const& where : {serial(), emulated()}) {
    const auto c = make(where, n);
    const bytes m = c->encode(x, {2, 7});
    const auto gets = [&](bytes const& other, frugal::message_stamp expected = {2, 7}) {
      return [&c, &x, other, expected] { c->add_to(x, other, 1, expected); };
    };
    EXPECT_NO_THROW(gets(m)());
    EXPECT_TRUE(refused(gets(m, {2, 8}), "the round of a message", "8", "7"));
    EXPECT_TRUE(refused(gets(m, {3, 7}), "the sender of a message", "3", "2"));
    EXPECT_TRUE(refused(gets(m, {-2, 7}), "the sender of a message", "-2", "2"));
    const auto text = [](std::size_t k) { return std::to_string(k); };
    const std::size_t size = m.size();
    EXPECT_TRUE(refused(gets({}), "the size of a message", text(size), "0"));
    EXPECT_TRUE(refused(gets({m.begin(), m.begin() + 63}), "the size of a message", text(size), "63"));
    EXPECT_TRUE(refused(gets({m.begin(), m.end() - 1}), "the size of a message", text(size), text(size - 1)));
    bytes longer = m;
    longer.push_back(0);
    EXPECT_TRUE(refused(gets(longer), "the size of a message", text(size), text(size + 1)));
    // Fields of the header, with a checksum that fits.
    const auto with = [&](std::size_t at, std::uint8_t value) {
      bytes other = m;
      other[at] = value;
      return gets(sealed(other));
    };
    EXPECT_TRUE(refused(with(1, 0), "the mark of a message", "26215", "103"));
    EXPECT_TRUE(refused(with(2, 2), "the version of a message", "1", "2"));
    EXPECT_TRUE(refused(with(3, 9), "the type of a message's elements", "1", "9"));
    EXPECT_TRUE(throws<frugal::invalid_argument>(with(9, 7), {"the algorithm of a message: expected", "got", "?"}));
    EXPECT_TRUE(throws<frugal::invalid_argument>(with(23, 'x'), {"the algorithm of a message"}));
    EXPECT_TRUE(throws<frugal::invalid_argument>(with(27, m[27] ^ 1), {"the layout (its hash) of a message"}));
    EXPECT_TRUE(refused(with(33, 0), "the elements of a message", "300", "44"));
    EXPECT_TRUE(throws<frugal::invalid_argument>(with(55, 0x80), {"the bytes of a message's payload", "92233720"}));
    // Another vector: of other size, of other tensors.
    EXPECT_TRUE(throws<frugal::invalid_argument>(gets(make(serial(), n + 1)->encode(numbers(n + 1, 5), {2, 7})),
                                                 {"the layout (its hash) of a message"}));
    const frugal::layout named{{"weights", {n}}};
    EXPECT_TRUE(throws<frugal::invalid_argument>(gets(make(serial(), named)->encode(x, {2, 7})),
                                                 {"the layout (its hash) of a message"}));
  }
}

TEST_P(compressor_suite, no_altered_byte_gets_through) {
  const auto x = numbers(300, 5);
  const auto c = make(serial(), 300);
  const bytes m = c->encode(x, {2, 7});
  for (std::size_t i = 0; i < m.size(); ++i)
    for (std::uint8_t flip : {1, 0x80, 0xff}) {
      bytes other = m;
      other[i] ^= flip;
      ASSERT_THROW(c->add_to(x, other, 1, {2, 7}), frugal::invalid_argument) << i;
    }
}

// With a checksum that fits, a payload is refused or decoded; sanitizers watch.
TEST_P(compressor_suite, any_payload_is_refused_or_decoded) {
  constexpr index_t n = 300;
  const auto x = numbers(n, 5);
  const auto c = make(serial(), n);
  const bytes m = c->encode(x);
  dice d(8);
  for (int t = 0; t < 3000 && m.size() > 64; ++t) {
    bytes other = m;
    for (std::uint64_t k = 1 + d.bits() % 4; k > 0; --k)
      other[64 + d.bits() % (m.size() - 64)] = std::uint8_t(d.bits());
    try {
      c->add_to(x, sealed(other));
    } catch (frugal::invalid_argument const&) {
    }
  }
}

}  // namespace
}  // namespace frugal_test
