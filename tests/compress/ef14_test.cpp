// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/ef14.hpp>

#include "support/feedback_suite.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using floats = std::vector<float>;
const frugal::serial_backend cpu;

// Small whole numbers: their sums are exact.
floats whole(frugal::index_t n, std::uint64_t seed) {
  floats v;
  for (dice d(seed); frugal::index_t(v.size()) < n;) v.push_back(std::round(float(d.between(-500, 500))));
  return v;
}

TEST(ef14, without_compression_it_is_gradient_descent) {
  frugal::ef14 f(cpu, 100, frugal::identity{});
  floats x = numbers(100, 1), want = x;
  for (int t = 0; t < 10; ++t) {
    const floats g = numbers(100, std::uint64_t(t));
    const double eta = 0.1 / (t + 1);
    f.add_to(x, f.compress(g, eta), -1, {0, std::uint64_t(t)});
    for (std::size_t k = 0; k < 100; ++k) {
      const volatile float step = float(eta) * g[k];
      want[k] = want[k] - step;
    }
    EXPECT_TRUE(same_bits(want, x)) << t;
    EXPECT_TRUE(same_bits(floats(100), frugal::to_host(cpu, f.state()))) << t;
  }
}

// x - mean of all e goes the way of gradient descent: what is not sent is kept. Exact, as all numbers are whole.
TEST(ef14, virtual_iterates) {
  constexpr int workers = 4;
  std::vector<frugal::ef14<frugal::top_k, frugal::serial_backend>> worker;
  for (int i = 0; i < workers; ++i) worker.emplace_back(cpu, 200, frugal::top_k{.k = 5}, i);
  floats x = whole(200, 99), without = x;
  for (float& v : without) v *= workers;
  for (int t = 0; t < 50; ++t) {
    floats now(200);
    for (int i = 0; i < workers; ++i) {
      const floats g = whole(200, std::uint64_t(10 * t + i));
      const double eta = t < 25 ? 2 : 1;  // a rate that changes
      worker[std::size_t(i)].add_to(x, worker[std::size_t(i)].compress(g, eta), -1. / workers, {i, std::uint64_t(t)});
      for (std::size_t k = 0; k < 200; ++k) without[k] -= float(eta) * g[k];
      const floats e = frugal::to_host(cpu, worker[std::size_t(i)].state());
      for (std::size_t k = 0; k < 200; ++k) now[k] -= e[k];
    }
    for (std::size_t k = 0; k < 200; ++k) now[k] += workers * x[k];
    EXPECT_TRUE(same_bits(without, now)) << t;
  }
}

// What is sent in all is what was put in, but for the memory; also where scales are rounded.
TEST(ef14, the_memory_is_what_was_not_sent) {
  for (with c : all_compressors) {
    const auto f = make_memory<frugal::ef14>(serial(), 1000, c, 0);
    floats sent(1000);
    std::vector<double> in(1000);
    double most = 0;
    for (int t = 0; t < 50; ++t) {
      const floats g = numbers(1000, std::uint64_t(t));
      sent = f->add_to(sent, f->compress(g, 0.5), 1, {0, std::uint64_t(t)});
      for (std::size_t k = 0; k < 1000; ++k) in[k] += 0.5 * g[k], most = std::max(most, std::abs(in[k]));
    }
    const floats e = piece<float>(f->save(), "e");
    for (std::size_t k = 0; k < 1000; ++k)  // three roundings a round of numbers up to a few times `most`
      ASSERT_NEAR(double(sent[k]) + e[k], in[k], 50 * 3 * 4 * most * 0x1p-24) << k << ", compressor " << int(c);
  }
}

// f(x) = |x1 + x2| / 2 + |x1 - x2| from (1, 1) with eta = 0.1 / sqrt(t): signs alone never leave the line x1 + x2 = 2.
TEST(ef14, signs_alone_do_not_converge_and_with_it_they_do) {
  const auto f = [](floats const& x) { return 0.5 * std::abs(double(x[0]) + x[1]) + std::abs(double(x[0]) - x[1]); };
  const auto gradient = [](floats const& x) {
    const float s = x[0] + x[1] >= 0 ? 0.5f : -0.5f, d = x[0] - x[1] >= 0 ? 1.f : -1.f;
    return floats{s + d, s - d};
  };
  frugal::compressor alone(cpu, 2, frugal::scaled_sign{});
  frugal::ef14 memory(cpu, 2, frugal::scaled_sign{});
  floats x{1, 1}, y{1, 1};
  double least_x = 9, least_y = 9, mean_y = 0;
  for (int t = 1; t <= 4000; ++t) {
    const double eta = 0.1 / std::sqrt(t);
    alone.add_to(x, alone.encode(gradient(x)), -eta);  // the scale of these gradients is 1
    memory.add_to(y, memory.compress(gradient(y), eta), -1, {0, std::uint64_t(t - 1)});
    least_x = std::min(least_x, f(x)), least_y = std::min(least_y, f(y));
    if (t > 3900) mean_y += f(y) / 100;
  }
  EXPECT_GE(least_x, 1 - 4000 * 0x1p-24);
  EXPECT_LT(least_y, 1e-6);
  for (golden_case const& c : read_golden("feedback.txt"))
    if (c.name == "counterexample_sign") {
      EXPECT_LT(mean_y, 2 * c.numbers<double>("with")[1]);
      EXPECT_GT(mean_y, 0.5 * c.numbers<double>("with")[1]);
    }
}

TEST(ef14, top_1_converges_with_it) {
  constexpr double a[3][3] = {{-3, 2, 2}, {2, -3, 2}, {2, 2, -3}};
  std::vector<frugal::ef14<frugal::top_k, frugal::serial_backend>> worker;
  for (int i = 0; i < 3; ++i) worker.emplace_back(cpu, 3, frugal::top_k{.k = 1}, i);
  std::vector<double> x{1, 1, 1};
  int steps = 0;
  const auto norm = [&] { return std::sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]); };
  for (; norm() >= 1e-6 && steps < 3000; ++steps) {
    const std::vector<double> now = x;
    for (int i = 0; i < 3; ++i) {
      const double s = a[i][0] * now[0] + a[i][1] * now[1] + a[i][2] * now[2];
      floats g, d(3);
      for (int k = 0; k < 3; ++k) g.push_back(float(2 * s * a[i][k] + now[std::size_t(k)] / 2));
      auto& w = worker[std::size_t(i)];
      w.compressor().decode(d, w.compress(g, 0x1.7ffbbd71b0b72p-8), {i, std::uint64_t(steps)});
      for (std::size_t k = 0; k < 3; ++k) x[k] -= d[k] / 3.;
    }
  }
  EXPECT_NEAR(steps, 2079, 20);  // of golden/feedback.txt; a step shrinks x by 0.7 percent
}

TEST(ef14, bad_rates_are_refused) {
  frugal::ef14 f(cpu, 10, frugal::identity{});
  const floats g(10, 1.f);
  for (double eta : {0., -1., 1e-60, 1e300, double(INFINITY), double(NAN)})
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { f.compress(g, eta); }, {"eta: expected"})) << eta;
  EXPECT_EQ(f.round(), 0);
  EXPECT_TRUE(same_bits(floats(10), frugal::to_host(cpu, f.state())));
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(ef14, feedback_suite,
                         testing::Values(feedback_subject{"ef14", {"e"}, false, &make_memory<frugal::ef14>}));
}
