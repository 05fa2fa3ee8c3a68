// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/rand_k.hpp>

#include <cmath>
#include <numeric>

#include "support/compressor_suite.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using frugal::rand_k;

// 1, 2, 3 ...: what is sent says where it was.
std::vector<float> counted(index_t n) {
  std::vector<float> x(static_cast<std::size_t>(n));
  std::iota(x.begin(), x.end(), 1.f);
  return x;
}
std::vector<float> values(bytes const& m) {
  std::vector<float> v((m.size() - 72) / 4);
  std::memcpy(v.data(), m.data() + 64, 4 * v.size());
  return v;
}

// The images of golden/permutation.py are the coordinates, in their order.
TEST(rand_k, golden_draws) {
  std::size_t cases = 0;
  for (golden_case const& c : read_golden("permutation.txt")) {
    const auto at = c.numbers<index_t>("at"), image = c.numbers<index_t>("image");
    const auto n = c.number<index_t>("n"), k = index_t(at.size());
    if (n > 1 << 20 || at.back() != k - 1) continue;
    ++cases;
    for (machine const& m : machines()) {
      const auto s = make_codec(m, n, rand_k{.k = k, .seed = c.number<std::uint64_t>("seed"), .shared = true});
      const bytes sent = s->encode(counted(n), {5, c.number<std::uint64_t>("dir")});
      std::vector<float> want;
      for (index_t i : image) want.push_back(float(i + 1));
      ASSERT_TRUE(same_bits(want, values(sent))) << c.name << " " << m.name;
      EXPECT_EQ(frugal::detail::little_endian_word(sent.data() + sent.size() - 8), c.number<std::uint64_t>("seed"));
      EXPECT_EQ(s->last().payload_bits(), std::uint64_t(32 * k + 64));
    }
  }
  EXPECT_GT(cases, 10u);
}

TEST(rand_k, senders_draw_for_themselves_or_alike) {
  const auto x = counted(1000);
  const auto drawn = [&](bool shared, std::int32_t sender, std::uint64_t round) {
    const auto c = make_codec(serial(), 1000, rand_k{.k = 20, .seed = 3, .shared = shared});
    return values(c->encode(x, {sender, round}));
  };
  EXPECT_EQ(drawn(true, 0, 4), drawn(true, 1, 4));
  EXPECT_NE(drawn(true, 0, 4), drawn(true, 0, 5));
  EXPECT_NE(drawn(false, 0, 4), drawn(false, 1, 4));
  EXPECT_NE(drawn(false, 0, 4), drawn(false, 0, 5));
  EXPECT_EQ(drawn(false, 7, 4), drawn(false, 7, 4));
}

TEST(rand_k, what_is_drawn_arrives_and_the_rest_is_zero) {
  const auto x = numbers(5000, 4);
  const auto c = make_codec(serial(), 5000, rand_k{.k = 100});
  const auto d = c->decode(c->encode(x));
  int arrived = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    ASSERT_TRUE(d[i] == 0 || d[i] == x[i]);
    arrived += d[i] != 0 || x[i] == 0;
  }
  EXPECT_GE(arrived, 100);
  const auto all = make_codec(serial(), 5000, rand_k{.ratio = 1});
  EXPECT_TRUE(same_bits(x, all->decode(all->encode(x))));
}

// Scaled: the mean over draws is x, each coordinate is drawn as often as the others, |C(x)|^2 is n / k |x|^2 on
// average.
TEST(rand_k, scaled_is_unbiased) {
  constexpr index_t n = 60, k = 12, draws = 2000;
  std::vector<float> x = numbers(n, 8);
  for (float& v : x) v = v == 0 ? 0.25f : v;
  const auto c = make_codec(serial(), n, rand_k{.k = k, .seed = 11, .scaled = true});
  EXPECT_EQ(c->alpha(), 0);
  std::vector<double> times(n);
  double squares = 0, squares2 = 0;
  for (std::uint64_t t = 0; t < draws; ++t) {
    const auto d = c->decode(c->encode(x, {0, t}), {0, t});
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_TRUE(d[i] == 0 || d[i] == 5 * x[i]);
      times[i] += d[i] != 0;
    }
    const double s = square_norm(d);
    squares += s / draws, squares2 += s * s / draws;
  }
  const double p = double(k) / n;
  for (double count : times) EXPECT_NEAR(count, draws * p, 4.5 * std::sqrt(draws * p * (1 - p)));
  EXPECT_NEAR(squares, square_norm(x) / p, 4 * std::sqrt((squares2 - squares * squares) / draws));
}

TEST(rand_k, bad_options_and_payloads_are_refused) {
  EXPECT_TRUE(refused([] { make_codec(serial(), 10, rand_k{}); }, "k and ratio", "one of them", "neither"));
  EXPECT_TRUE(refused([] { make_codec(serial(), 10, rand_k{.k = 11}); }, "k", "1 to 10", "11"));
  const std::vector<float> x(10, 1.f);
  const auto c = make_codec(serial(), 10, rand_k{.k = 2, .seed = 1, .shared = true});
  const auto other = make_codec(serial(), 10, rand_k{.k = 2, .seed = 2, .shared = true});
  EXPECT_TRUE(refused([&] { c->add_to(x, other->encode(x)); }, "the seed of a message", "1", "2"));
  const auto alone = make_codec(serial(), 10, rand_k{.k = 2, .seed = 1});
  EXPECT_THROW(c->add_to(x, alone->encode(x)), frugal::invalid_argument);
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(rand_k, compressor_suite,
                         these(rand_k{.ratio = 0.25, .seed = 7},
                               rand_k{.ratio = 0.03, .shared = true, .scaled = true}));
}
