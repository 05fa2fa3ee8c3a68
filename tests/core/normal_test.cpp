// SPDX-License-Identifier: Apache-2.0
#include <frugal/core/normal.hpp>
#include <frugal/core/random_format.hpp>
#include <frugal/core/sphere.hpp>

#include <algorithm>
#include <cfenv>
#include <cmath>

#include "support/backends.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using frugal::random_stream;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using isa = frugal::native_isa;

template <class T>
u64 checksum(std::vector<T> const& v) {
  u64 h = 0xcbf29ce484222325u;
  for (T x : v) {
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, &x, sizeof x);
    for (unsigned char b : bytes) h = (h ^ b) * 0x100000001b3u;
  }
  return h;
}
u32 bits(float x) { return frugal::detail::bit_cast<u32>(x); }

// The cases whose name begins so; at least one.
std::vector<golden_case> golden(std::string const& prefix) {
  std::vector<golden_case> found;
  for (golden_case const& c : read_golden("normal.txt"))
    if (c.name.starts_with(prefix)) found.push_back(c);
  EXPECT_FALSE(found.empty());
  return found;
}
random_stream stream_of(golden_case const& c) { return {c.number<u64>("seed")}; }

// ---- the definition -----------------------------------------------------------------------------------------------
TEST(normal, pairs) {
  const golden_case c = golden("pairs").front();
  ASSERT_EQ(c.count("pair"), 7u);
  for (std::size_t i = 0; i < c.count("pair"); ++i) {
    const auto words = c.numbers<double>("pair", i);
    const auto z = frugal::to_normals(u32(words.at(0)), u32(words.at(1)));
    EXPECT_EQ(z.z0, words.at(2));
    EXPECT_EQ(z.z1, words.at(3));
  }
  const auto edges = c.numbers<u32>("edges");
  std::vector<float> all;
  for (u32 a : edges)
    for (u32 b : edges) {
      const auto z = frugal::to_normals(a, b);
      all.insert(all.end(), {z.z0, z.z1});
      EXPECT_EQ(bits(z.z0) >> 31, a >> 31);
      EXPECT_EQ(bits(z.z1) >> 31, b >> 31);
    }
  EXPECT_EQ(checksum(all), c.number<u64>("sum"));
  EXPECT_EQ(checksum(all), 0xacb1ffdec5572850u);
  EXPECT_EQ(frugal::normal_format_version, 1u);
}

TEST(normal, any_coordinate) {
  for (golden_case const& c : golden("stream_")) {
    const auto expected = c.numbers<float>("normals");
    const auto first = c.number<u64>("first"), dir = c.number<u64>("dir");
    for (u64 k = 0; k < expected.size(); ++k)
      EXPECT_EQ(frugal::normal(stream_of(c), dir, first + k), expected[k]) << c.name << " " << k;
  }
}

// What the words alone decide: the sign. And what no word can exceed.
TEST(normal, sign_and_range) {
  std::vector<float> z(1 << 16);
  std::vector<u32> w(z.size());
  for (u64 dir = 0; dir < 1526; ++dir) {  // 10^8 of them
    frugal::detail::random_run<isa>({11}, dir, 0, index_t(z.size() / 4), z.data());
    frugal::detail::random_run<isa>({11}, dir, 0, index_t(z.size() / 4), w.data());
    for (std::size_t i = 0; i < z.size(); ++i)
      ASSERT_TRUE((bits(z[i]) ^ w[i]) >> 31 == 0 && std::abs(z[i]) >= 1.7e-13f && std::abs(z[i]) <= 6.5555415f)
          << i << ": " << z[i];
  }
}

// ---- every path ---------------------------------------------------------------------------------------------------
template <class To>
struct path {
  char const* name;
  frugal::detail::random_fill<isa, To> fill;
};
template <class To>
std::vector<path<To>> paths() {
  std::vector<path<To>> all = {{"chosen", frugal::detail::random_run<isa, To>},
                               {"blocks", frugal::detail::random_blocks<isa>::template fill<To>}};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    all.push_back({"avx2", frugal::detail::random_avx2<isa>::template fill<To>});
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
    all.push_back({"avx512", frugal::detail::random_avx512<isa>::template fill<To>});
#endif
  return all;
}

TEST(normal_runs, checksums) {
  for (golden_case const& c : golden("run_"))
    for (auto const& p : paths<float>()) {
      const auto count = c.number<std::size_t>("count"), skip = c.number<std::size_t>("skip");
      std::vector<float> z(count + 4);
      p.fill(stream_of(c), c.number<u64>("dir"), c.number<u64>("block"), index_t(z.size() / 4), z.data());
      z.erase(z.begin(), z.begin() + index_t(skip));
      z.resize(count);
      EXPECT_EQ(checksum(z), c.number<u64>("sum")) << p.name << " " << c.name;
    }
}

// Counts that fill no register, counters that cross 2^32 and 2^64, nothing written outside.
template <class To>
void compare_counts(To guard) {
  const random_stream s{0xfedcba9876543210u};
  const u64 dir = frugal::direction_id(3, 9);
  for (auto const& p : paths<To>())
    for (u64 first : {u64(0), u64(7), (u64(1) << 32) - 13, u64(0) - 21})
      for (index_t blocks = 0; blocks <= 73; ++blocks) {
        std::vector<To> got(std::size_t(4 * blocks + 2), guard), want = {guard};
        p.fill(s, dir, first, blocks, got.data() + 1);  // not aligned
        for (index_t i = 0; i < blocks; ++i) {
          const frugal::philox_block b = s.block(dir, first + u64(i));
          if constexpr (std::is_same_v<To, float>) {
            const frugal::normal_block z = frugal::to_normals(b);
            want.insert(want.end(), z.z, z.z + 4);
          } else {
            want.insert(want.end(), b.word, b.word + 4);
          }
        }
        want.push_back(guard);
        ASSERT_TRUE(same_bits(got, want)) << p.name << ", " << blocks << " blocks from " << first << " on";
      }
}
TEST(normal_runs, any_count) {
  compare_counts<float>(9.f);
  compare_counts<u32>(12345u);
}

// Teams make runs of odd lengths, one after the other, each with what it needs of both.
struct runs {
  [[maybe_unused]] static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 16 * 37;
  random_stream s;
  u64 dir, first;
  float* normals;
  u32* words;
  index_t teams() const { return 5; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t blocks = 37;
    const u64 at = first + u64(blocks * team.rank());
    float* const z = team.template scratch<float>();
    team.normals(s, dir, at, blocks, z);
    team.words(s, dir, at, blocks, words + 4 * blocks * team.rank());
    team.sync();
    for (index_t i = team.lane(); i < 4 * blocks; i += team.lanes()) normals[4 * blocks * team.rank() + i] = z[i];
  }
};
TEST(normal_runs, teams) {
  for (u64 first : {u64(0), u64(1), (u64(1) << 32) - 60}) {
    const random_stream s{42};
    const auto all = same_on_every_backend([&](auto b) {
      frugal::buffer<float, decltype(b)> z(b, 5 * 4 * 37);
      frugal::buffer<u32, decltype(b)> w(b, z.size());
      b.for_teams(runs{s, 17, first, z.data(), w.data()});
      auto out = to_host(b, w.view());
      for (float x : to_host(b, z.view())) out.push_back(bits(x));
      return out;
    });
    for (u64 k = 0; k < all.size() / 2; ++k) {
      ASSERT_EQ(all[k], s.word(17, 4 * first + k)) << k;
      ASSERT_EQ(all[all.size() / 2 + k], bits(frugal::normal(s, 17, 4 * first + k))) << k;
    }
  }
}

// ---- uniform numbers and signs ------------------------------------------------------------------------------------
TEST(normal, other_numbers) {
  const golden_case c = golden("numbers").front();
  std::vector<float> u01, u11;
  std::vector<std::uint8_t> signs;
  const random_stream s{42};
  for (u64 j = 0; j < 4096; ++j) {
    u01.push_back(frugal::u01(s.word(0, j)));
    u11.push_back(frugal::u11(s.word(0, j)));
    signs.push_back(s.negative(0, j));
  }
  EXPECT_EQ(checksum(u01), c.number<u64>("u01"));
  EXPECT_EQ(checksum(u11), c.number<u64>("u11"));
  EXPECT_EQ(checksum(signs), c.number<u64>("signs"));
}

template <class Words>
void compare_values(std::vector<u32> const& words) {
  for (std::size_t i = 0; i + Words::width <= words.size(); i += Words::width) {
    alignas(64) std::int32_t in[Words::width];
    std::memcpy(in, words.data() + i, sizeof in);
    const auto w = Words::load(in);
    alignas(64) float a[Words::width];
    alignas(64) float b[Words::width];
    frugal::u01(w).store(a);
    frugal::u11(w).store(b);
    for (std::size_t k = 0; k < Words::width; ++k) {
      ASSERT_EQ(a[k], frugal::u01(words[i + k])) << words[i + k];
      ASSERT_EQ(b[k], frugal::u11(words[i + k])) << words[i + k];
    }
  }
}
TEST(normal, values_of_words) {
  std::vector<u32> words = golden("pairs").front().numbers<u32>("edges");
  for (u64 j = 0; j < 1000; ++j) words.push_back(random_stream{5}.word(0, j));
  compare_values<frugal::lanes<std::int32_t, 1>>(words);
  compare_values<frugal::lanes<std::int32_t, 4>>(words);
  compare_values<frugal::cpu_value<isa, std::int32_t>>(words);
}

// ---- quality ------------------------------------------------------------------------------------------------------
constexpr std::size_t N = std::size_t(1) << 20;
std::vector<double> sample(u64 seed, u64 dir) {
  std::vector<float> z(N);
  frugal::detail::random_run<isa>({seed}, dir, 0, index_t(N / 4), z.data());
  return {z.begin(), z.end()};
}
double mean_product(std::vector<double> const& a, std::vector<double> const& b, std::size_t lag) {
  double sum = 0;
  for (std::size_t i = 0; i + lag < N; ++i) sum += a[i] * b[i + lag];
  return sum / double(N);
}

TEST(normal_quality, moments_and_distance) {
  const double n = double(N);
  for (u64 dir : {u64(0), frugal::direction_id(5, 3)}) {
    std::vector<double> z = sample(2024, dir);
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
    for (double x : z) m1 += x, m2 += x * x, m3 += x * x * x, m4 += x * x * x * x;
    EXPECT_LT(std::abs(m1 / n), 5 / std::sqrt(n));
    EXPECT_LT(std::abs(m2 / n - 1), 5 * std::sqrt(2 / n));
    EXPECT_LT(std::abs(m3 / n), 5 * std::sqrt(15 / n));
    EXPECT_LT(std::abs(m4 / n - 3), 5 * std::sqrt(96 / n));
    std::sort(z.begin(), z.end());
    double distance = 0;
    for (std::size_t i = 0; i < N; ++i) {
      const double p = 0.5 * std::erfc(-z[i] / std::sqrt(2.));
      distance = std::max({distance, p - double(i) / n, double(i + 1) / n - p});
    }
    EXPECT_LT(distance, 1.95 / std::sqrt(n));  // Kolmogorov and Smirnov
  }
}

TEST(normal_quality, correlations) {
  const double bound = 5 / std::sqrt(double(N));
  const std::vector<double> z = sample(2024, 1);
  std::vector<double> squares;
  for (double x : z) squares.push_back((x * x - 1) / std::sqrt(2.));
  for (std::size_t lag = 1; lag <= 8; ++lag) {
    EXPECT_LT(std::abs(mean_product(z, z, lag)), bound) << lag;
    EXPECT_LT(std::abs(mean_product(squares, squares, lag)), bound) << lag;
  }
  EXPECT_LT(std::abs(mean_product(z, sample(2024, 2), 0)), bound);
  EXPECT_LT(std::abs(mean_product(z, sample(2024, 1 + (u64(1) << 32)), 0)), bound);
  for (int bit : {0, 17, 40, 63})
    EXPECT_LT(std::abs(mean_product(z, sample(2024 ^ u64(1) << bit, 1), 0)), bound) << bit;
}

// ---- the sphere ---------------------------------------------------------------------------------------------------
frugal::layout layout_of(std::vector<index_t> const& sizes) {
  std::vector<frugal::tensor_spec> tensors;
  for (std::size_t i = 0; i < sizes.size(); ++i) tensors.push_back({std::to_string(i), {sizes[i]}});
  return tensors;
}

TEST(sphere, golden) {
  for (golden_case const& c : golden("sphere_")) {
    const auto l = layout_of(c.numbers<index_t>("sizes"));
    const auto scales = same_on_every_backend([&](auto b) {
      frugal::sphere s(b, l);
      const double other = s.scale(stream_of(c), c.number<u64>("dir") + 1);
      return std::vector<double>{other, s.scale(stream_of(c), c.number<u64>("dir")),
                                 frugal::sphere_scale(b, stream_of(c), c.number<u64>("dir"), l)};
    });
    EXPECT_NE(scales[0], scales[1]);
    EXPECT_EQ(scales[1], c.number<double>("scale")) << c.name;
    EXPECT_EQ(scales[2], scales[1]);
  }
}

TEST(sphere, radius) {
  const index_t n = 5000;
  const double scale = frugal::sphere_scale(frugal::serial_backend{}, {1}, 2, frugal::layout(n));
  double sum = 0;
  for (u64 j = 0; j < u64(n); ++j) sum += std::pow(scale * double(frugal::normal({1}, 2, j)), 2);
  EXPECT_NEAR(sum, double(n), 1e-3);
  EXPECT_TRUE(refused([] { frugal::sphere(frugal::serial_backend{}, frugal::layout(0)); }, "the dimension of a sphere",
                      "at least 1", "0"));
}

// ---- the self-test ------------------------------------------------------------------------------------------------
// Kinds of backends of their own, so that none has passed before.
template <int Kind>
struct fresh : frugal::serial_backend {
  static inline int launches = 0;
  template <class F>
  void for_teams(F const& f) const {
    ++launches;
    frugal::serial_backend::for_teams(f);
  }
};

TEST(random_format, passes_once) {
  fresh<0> b;
  frugal::require_random_format(b);
  EXPECT_EQ(b.launches, 1);
  frugal::require_random_format(b);
  EXPECT_EQ(b.launches, 1);
  frugal::require_random_format(frugal::serial_backend{});
  frugal::require_random_format(frugal::tbb_backend(2));
  frugal::require_random_format(frugal::emulated_backend{});
  frugal::require_random_format(frugal::emulated_backend({.seed = 4, .lanes = 3}));
}

template <int Kind>
void notices(int rounding) {
  fresh<Kind> b;
  std::fesetround(rounding);
  const auto thrown = throws<frugal::random_format_error>(
      [&] { frugal::require_random_format(b); },
      {"normal numbers", "'serial'", "-ffast-math", "-funsafe-math-optimizations", "rounding mode"});
  std::fesetround(FE_TONEAREST);
  EXPECT_TRUE(thrown);
  frugal::require_random_format(b);  // a failure is not remembered as a success
  EXPECT_EQ(b.launches, 2);
}
TEST(random_format, notices_the_rounding_mode) {
  notices<1>(FE_UPWARD);
  notices<2>(FE_DOWNWARD);
  notices<3>(FE_TOWARDZERO);
}

TEST(random_format, notices_any_bit) {
  struct backend : frugal::serial_backend {
    index_t at = -1;
    void copy_out(void* to, void const* from, std::size_t bytes) const {
      frugal::serial_backend::copy_out(to, from, bytes);
      if (at >= 0) static_cast<u32*>(to)[at] ^= 1u << (at % 32);
    }
  };
  const auto changed = [](index_t at, char const* what) {
    backend b;
    b.at = at;
    return throws<frugal::random_format_error>([&] { frugal::require_random_format(b); }, {what});
  };
  EXPECT_TRUE(changed(11, "random words"));
  for (index_t at : {12, 1261}) EXPECT_TRUE(changed(at, "normal numbers at the edges")) << at;
  for (index_t at : {1264, 5359}) EXPECT_TRUE(changed(at, "the normal numbers of")) << at;
  frugal::require_random_format(backend{});
}

}  // namespace
