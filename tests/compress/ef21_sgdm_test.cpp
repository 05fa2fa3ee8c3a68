// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/ef21.hpp>
#include <frugal/compress/ef21_sgdm.hpp>

#include "support/feedback_suite.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using floats = std::vector<float>;
const frugal::serial_backend cpu;

TEST(ef21_sgdm, with_all_weight_on_the_new_gradient_it_is_ef21) {
  frugal::ef21 plain(cpu, 1000, frugal::top_k{.k = 30});
  frugal::ef21_sgdm f(cpu, 1000, frugal::top_k{.k = 30}, {.b = 1});
  for (int t = 0; t < 10; ++t) {
    const floats g = numbers(1000, std::uint64_t(t));
    const bytes want = bytes_of(plain.compress(g));
    EXPECT_TRUE(same_bits(want, bytes_of(f.compress(g)))) << t;
    EXPECT_TRUE(same_bits(frugal::to_host(cpu, plain.state()), frugal::to_host(cpu, f.state()))) << t;
    EXPECT_TRUE(same_bits(g, frugal::to_host(cpu, f.state(1)))) << t;
  }
}

// b = 1/4 and multiples of 4^10: all is exact.
TEST(ef21_sgdm, without_compression_it_is_the_mean_of_momentum) {
  frugal::ef21_sgdm f(cpu, 100, frugal::identity{}, {.b = 0.25});
  std::vector<double> v(100);
  for (int t = 0; t < 10; ++t) {
    floats g;
    for (dice d{std::uint64_t(t)}; g.size() < 100;) g.push_back(float(int(d.bits() & 7) - 4) * 0x1p20f);
    f.compress(g);
    for (std::size_t k = 0; k < 100; ++k) {
      v[k] = 0.75 * v[k] + 0.25 * g[k];
      ASSERT_EQ(frugal::to_host(cpu, f.state(0))[k], v[k]) << t;
      ASSERT_EQ(frugal::to_host(cpu, f.state(1))[k], v[k]) << t;
    }
  }
}

// Noise of every gradient reaches EF21's iterates nearly undiminished, and is averaged here. f_i = |x|^2 / 2, top-5 of
// 50, four workers, deviation 5 / sqrt(50) a coordinate, eta = 0.01; stationary |x|^2: 0.032 and 0.245.
TEST(ef21_sgdm, noise_is_averaged) {
  const auto stationary = [](auto make) {
    std::vector<decltype(make(0))> worker;
    for (int i = 0; i < 4; ++i) worker.push_back(make(i));
    dice d(5);
    std::vector<double> x(50);
    double mean = 0;
    constexpr int steps = 6000, last = 3000;
    for (int t = 0; t < steps; ++t) {
      for (auto& w : worker) {
        floats g;
        for (double v : x) g.push_back(float(v + d.normal() * 5 / std::sqrt(50)));
        w.compress(g);
      }
      for (auto& w : worker)
        for (int k = 0; k < 50; ++k) x[std::size_t(k)] -= 0.01 / 4 * w.state()[k];
      if (t >= steps - last)
        for (double v : x) mean += v * v / last;
    }
    return mean;
  };
  const double with = stationary([](int i) { return frugal::ef21_sgdm(cpu, 50, frugal::top_k{.k = 5}, {}, i); });
  const double without = stationary([](int i) { return frugal::ef21(cpu, 50, frugal::top_k{.k = 5}, i); });
  EXPECT_LT(with, 2 * 0.032);
  EXPECT_GT(with, 0.032 / 2);
  EXPECT_LT(without, 2 * 0.245);
  EXPECT_GT(without, 0.245 / 2);
}

TEST(ef21_sgdm, weights_are_rounded_once) {
  for (double b : {0.1, 0.7, 0.9, 0.99, 1. / 3}) {
    frugal::ef21_sgdm f(cpu, 2, frugal::identity{}, {.b = b});
    frugal::to_backend(cpu, f.state(1), floats{1, 0});
    f.compress(floats{0, 1});
    EXPECT_TRUE(same_bits(floats{float(1 - b), float(b)}, frugal::to_host(cpu, f.state(1)))) << b;
  }
}

TEST(ef21_sgdm, bad_weights_are_refused) {
  EXPECT_EQ(frugal::ef21_sgdm_config{}.b, 0.1);
  for (double b : {0., -0.1, 1.1, double(NAN)})
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { frugal::ef21_sgdm(cpu, 10, frugal::identity{}, {.b = b}); },
                                                 {"b: expected (0, 1], got"}))
        << b;
  frugal::ef21_sgdm f(cpu, 10, frugal::identity{});
  f.config().b = 2;
  EXPECT_THROW(f.compress(floats(10)), frugal::invalid_argument);
  EXPECT_EQ(f.round(), 0);
}

}  // namespace

namespace frugal_test {
template <class C, class B>
struct ef21_sgdm : frugal::ef21_sgdm<C, B> {
  ef21_sgdm(B b, frugal::layout l, C how, std::int32_t sender) : frugal::ef21_sgdm<C, B>(b, l, how, {}, sender) {}
};
INSTANTIATE_TEST_SUITE_P(ef21_sgdm, feedback_suite,
                         testing::Values(feedback_subject{"sgdm", {"h", "v"}, true, &make_memory<ef21_sgdm>}));
}  // namespace frugal_test
