// SPDX-License-Identifier: Apache-2.0
#include <frugal/comm/loopback.hpp>
#include <frugal/compress/ef21.hpp>
#include <frugal/compress/rand_k.hpp>

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

TEST(ef21, without_compression_it_is_the_gradient) {
  frugal::ef21 f(cpu, 100, frugal::identity{});
  floats estimate(100);
  for (int t = 0; t < 10; ++t) {
    const floats g = whole(100, std::uint64_t(t));
    f.add_to(estimate, f.compress(g), 1, {0, std::uint64_t(t)});
    EXPECT_TRUE(same_bits(g, estimate));
  }
}

// With a gradient that stands still, |h - g|^2 shrinks by 1 - alpha a round.
TEST(ef21, the_distortion_contracts) {
  const auto check = [](auto how, int rounds) {
    const floats g = numbers(1000, 3);
    frugal::ef21 f(cpu, 1000, how);
    const double alpha = f.compressor().alpha();
    double bound = square_norm(g);
    for (int t = 0; t < rounds; ++t) {
      f.compress(g);
      bound *= 1 - alpha;
      const floats h = frugal::to_host(cpu, f.state());
      EXPECT_LE(square_distance(h, g), bound + 1e-13 * square_norm(g)) << t;  // (2^-24)^2 = 4e-15, a few times
    }
  };
  check(frugal::top_k{.k = 100}, 10);  // afterwards all has been sent
  check(frugal::top_k{.k = 7}, 100);
  check(frugal::scaled_sign{}, 100);
  check(frugal::scaled_sign{.block = 256}, 100);
}

TEST(ef21, starts_where_it_is_told) {
  frugal::ef21 f(cpu, 1000, frugal::top_k{.k = 10});
  const floats g = numbers(1000, 3);
  frugal::to_backend(cpu, f.state(), g);
  floats d(1000, 1.f);
  f.compressor().decode(d, f.compress(g));
  EXPECT_TRUE(same_bits(floats(1000), d)) << "nothing is left to send";
}

TEST(ef21, what_was_not_offered_is_not_accepted) {
  frugal::ef21 f(cpu, 100, frugal::top_k{.k = 10});
  const floats g = numbers(100, 3);
  const auto refuses = [&] {
    EXPECT_TRUE(refused([&] { f.accept(); }, "a message to be accepted", "offer() before", "none"));
  };
  refuses();
  f.offer(g), f.accept();
  refuses();  // twice
  f.offer(g), f.reset();
  refuses();
  EXPECT_TRUE(same_bits(floats(100), frugal::to_host(cpu, f.state())));
  f.offer(g), f.compress(g);
  refuses();
  EXPECT_EQ(f.round(), 1);
  f.offer(g);
  EXPECT_THROW(f.compress(floats(99)), frugal::invalid_argument);  // and changes nothing
  f.accept();
  EXPECT_EQ(f.round(), 2);
}

// Three workers, f_i(x) = <a_i, x>^2 + |x|^2 / 4: what top-1 alone does to gradient descent, and EF21 does not.
struct counterexample {
  static constexpr double a[3][3] = {{-3, 2, 2}, {2, -3, 2}, {2, 2, -3}};
  static floats gradient(int i, std::vector<double> const& x) {
    const double s = a[i][0] * x[0] + a[i][1] * x[1] + a[i][2] * x[2];
    floats g;
    for (int k = 0; k < 3; ++k) g.push_back(float(2 * s * a[i][k] + x[std::size_t(k)] / 2));
    return g;
  }
  static double norm(std::vector<double> const& x) { return std::sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]); }
};

golden_case golden(std::string const& name) {
  for (golden_case const& c : read_golden("feedback.txt"))
    if (c.name == name) return c;
  throw std::runtime_error("no golden case " + name);
}

TEST(ef21, top_1_alone_diverges) {
  const golden_case c = golden("counterexample_top_1");
  frugal::compressor code(cpu, 3, frugal::top_k{.k = 1});
  std::vector<double> x{1, 1, 1};
  std::size_t line = 0;
  for (int t = 1; t <= 200; ++t) {
    std::vector<double> step(3);
    for (int i = 0; i < 3; ++i) {
      floats d(3);
      code.decode(d, code.encode(counterexample::gradient(i, x)));
      for (std::size_t k = 0; k < 3; ++k) step[k] += c.config("eta") / 3 * d[k];
    }
    for (std::size_t k = 0; k < 3; ++k) x[k] -= step[k];
    const double want = std::pow(1 + 11 * c.config("eta") / 6, t) * std::sqrt(3);
    EXPECT_NEAR(counterexample::norm(x), want, want * 6e-8 * t) << "gradients are rounded to float";
    if (c.numbers<double>("norms", line)[0] == t) {
      EXPECT_NEAR(counterexample::norm(x), c.numbers<double>("norms", line)[1], want * 6e-8 * t);
      line = std::min(line + 1, c.count("norms") - 1);
    }
  }
  EXPECT_NEAR(counterexample::norm(x), 14.6757, 1e-3);
}

// To |x| < 1e-6, in as many steps as in double; a step shrinks x by 0.7 percent, floats are off by 1e-7 of it.
TEST(ef21, with_it_top_1_converges) {
  const golden_case c = golden("counterexample_top_1");
  const auto steps_from = [&](bool gradient) {
    std::vector<frugal::ef21<frugal::top_k, frugal::serial_backend>> worker;
    std::vector<double> x{1, 1, 1};
    for (int i = 0; i < 3; ++i) {
      worker.emplace_back(cpu, 3, frugal::top_k{.k = 1}, i);
      if (gradient) frugal::to_backend(cpu, worker.back().state(), counterexample::gradient(i, x));
    }
    for (int t = 1; t <= 3000; ++t) {
      for (auto& w : worker)
        for (int k = 0; k < 3; ++k) x[std::size_t(k)] -= c.config("eta") / 3 * w.state()[k];
      if (counterexample::norm(x) < 1e-6) return t;
      for (int i = 0; i < 3; ++i) worker[std::size_t(i)].compress(counterexample::gradient(i, x));
    }
    return 3000;
  };
  EXPECT_NEAR(steps_from(false), c.numbers<int>("steps")[1], 20);
  EXPECT_NEAR(steps_from(true), c.numbers<int>("steps")[2], 20);
}

// Over a communicator, every rank adds the same, and the mean of the states follows the mean of the gradients.
TEST(ef21, ranks_agree) {
  for (int ranks : {1, 2, 4}) {
    std::vector<floats> estimate(std::size_t(ranks), floats(500)), state(estimate.size());
    frugal::run_loopback(ranks, [&](frugal::loopback_comm& world) {
      const auto me = std::size_t(world.rank());
      frugal::ef21 f(cpu, 500, frugal::top_k{.k = 20}, world.rank());
      for (int t = 0; t < 5; ++t) {
        f.compress(whole(500, std::uint64_t(10 * t + world.rank())));
        f.add_mean(world, estimate[me], ranks);
      }
      state[me] = frugal::to_host(cpu, f.state());
    });
    floats sum(500);
    for (floats const& h : state)
      for (std::size_t k = 0; k < 500; ++k) sum[k] += h[k];
    for (floats const& e : estimate) EXPECT_TRUE(same_bits(sum, e)) << ranks;
  }
}

TEST(ef21, a_compressor_that_does_not_contract_is_refused) {
  EXPECT_TRUE(refused([] { frugal::ef21(cpu, 100, frugal::rand_k{.k = 5, .scaled = true}); },
                      "a compressor inside an error feedback", "a contractive one", "rand_k"));
  frugal::ef21 f(cpu, 100, frugal::rand_k{.k = 5});
  const floats g = whole(100, 1);
  for (int t = 0; t < 400; ++t) f.compress(g);
  EXPECT_TRUE(same_bits(g, frugal::to_host(cpu, f.state()))) << "draws of 400 rounds reach every element";
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(ef21, feedback_suite,
                         testing::Values(feedback_subject{"ef21", {"h"}, true, &make_memory<frugal::ef21>}));
}
