// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/scaled_sign.hpp>

#include <cmath>

#include "support/compressor_suite.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using frugal::scaled_sign;

bytes payload(std::vector<float> const& scales, bytes const& codes) {
  bytes all(4 * scales.size());
  if (!all.empty()) std::memcpy(all.data(), scales.data(), all.size());
  all.insert(all.end(), codes.begin(), codes.end());
  return all;
}

TEST(scaled_sign, golden_messages) {
  std::size_t cases = 0;
  for (golden_case const& c : read_golden("compressors.txt")) {
    if (c.count("sign_codes") == 0) continue;
    ++cases;
    const auto x = input_of(c);
    for (auto [block, name] : {std::pair{0, "whole"}, {256, "256"}, {4096, "4096"}}) {
      SCOPED_TRACE(c.name + ", block " + name);
      const std::string suffix = std::string("_") + name;
      const auto scales = c.numbers<float>("scales" + suffix);
      for (machine const& m : machines()) {
        const auto s = make_codec(m, x.size(), scaled_sign{.block = block});
        const bytes sent = s->encode(x);
        EXPECT_TRUE(same_bits(payload(scales, c.codes("sign_codes")), {sent.begin() + 64, sent.end()})) << m.name;
        EXPECT_EQ(s->last().payload_bits(), c.numbers<std::uint64_t>("payload" + suffix)[0]);
        EXPECT_EQ(sent.size() - 64, c.numbers<std::size_t>("payload" + suffix)[1]);
        const auto d = s->decode(sent);
        for (std::size_t i = 0; i < x.size(); ++i) {
          const float scale = scales[block == 0 ? 0 : i / std::size_t(block)];
          ASSERT_EQ(d[i], x[i] >= 0 ? scale : -scale) << i;
        }
        const double error = c.number<double>("error" + suffix);
        EXPECT_NEAR(square_distance(x, d), error, 1e-11 * error);
      }
    }
    // |C(x) - x|^2 = |x|^2 - |x|_1^2 / n; a relative error r of the scale adds r^2 |x|_1^2 / n, here 2^-48 and what
    // floats lose in the sum: 16 additions to a slot, 8 of slots.
    const double norm1 = c.numbers<double>("norms")[0], lost = std::ldexp(25., -24);
    EXPECT_NEAR(c.number<double>("error_whole"), c.number<double>("error_identity"),
                lost * lost * norm1 * norm1 / double(x.size()) + 1e-12 * c.numbers<double>("norms")[1]);
  }
  EXPECT_GE(cases, 15u);
}

TEST(scaled_sign, blocks_are_vectors_of_their_own) {
  const auto x = numbers(9000, 3);
  for (index_t block : {256, 768, 4096, 16384}) {
    const auto together = make_codec(serial(), 9000, scaled_sign{.block = block});
    const auto d = together->decode(together->encode(x));
    for (index_t at = 0; at < 9000; at += block) {
      const index_t to = std::min<index_t>(at + block, 9000);
      const auto alone = make_codec(serial(), to - at, scaled_sign{});
      EXPECT_TRUE(
          same_bits({d.begin() + at, d.begin() + to}, alone->decode(alone->encode({x.begin() + at, x.begin() + to}))))
          << block << " at " << at;
    }
  }
}

TEST(scaled_sign, worked_numbers) {
  const auto c = make_codec(serial(), 5, scaled_sign{});
  const bytes m = c->encode({1, -2, 0, -0.f, -7});
  EXPECT_EQ(m[68], 0b01101);
  EXPECT_EQ(c->decode(m), (std::vector<float>{2, -2, 2, 2, -2}));
  EXPECT_EQ(c->alpha(), 0.2);
  EXPECT_EQ(make_codec(serial(), 1000, scaled_sign{.block = 512})->alpha(), 1. / 512);
}

TEST(scaled_sign, what_is_not_finite_stays_in_its_block) {
  const float inf = std::numeric_limits<float>::infinity();
  for (float bad : {inf, -inf, std::numeric_limits<float>::quiet_NaN()}) {
    auto x = numbers(700, 5);
    x[300] = bad;
    for (machine const& m : {serial(), emulated()}) {
      const auto c = make_codec(m, 700, scaled_sign{.block = 256});
      const auto d = c->decode(c->encode(x));
      for (std::size_t i = 0; i < 700; ++i) ASSERT_EQ(std::isfinite(d[i]), i / 256 != 1) << bad << " " << i;
      EXPECT_TRUE(std::isnan(bad) || d[300] == bad);
    }
  }
}

TEST(scaled_sign, bad_options_and_payloads_are_refused) {
  for (index_t block : {-256, 1, 255, 16640})
    EXPECT_TRUE(refused([&] { make_codec(serial(), 10, scaled_sign{.block = block}); }, "block",
                        "0, or a multiple of 256 up to 16384", std::to_string(block)));
  const auto c = make_codec(serial(), 13, scaled_sign{});
  const std::vector<float> x(13, 1.f);
  const bytes m = c->encode(x);
  EXPECT_EQ(m.size(), 64u + 4 + 2);
  bytes other = m;
  other[69] |= 0x40;
  EXPECT_TRUE(refused([&] { c->add_to(x, sealed(other)); }, "the bits behind the last element of a message", "0", "2"));
  other = m;
  other[67] |= 0x80;
  EXPECT_TRUE(refused([&] { c->add_to(x, sealed(other)); }, "a scale of a message", ">= 0", "-1"));
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(scaled_sign, compressor_suite, these(scaled_sign{}, scaled_sign{.block = 256}));
}
