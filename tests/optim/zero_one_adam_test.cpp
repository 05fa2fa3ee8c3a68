// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/zero_one_adam.hpp>

#include <cmath>
#include <frugal/compress/ef14.hpp>
#include <frugal/compress/scaled_sign.hpp>

#include "decentralized/ranks.hpp"

#include "support/optimizer_suite.hpp"
#include "support/refusal.hpp"
#include "zero_one_adam_on_device.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t, frugal::layout, frugal::zero_one_gradient;
const frugal::serial_backend cpu;

struct zero_one_adam {
  template <class B, class S, class P, class T>
  using optimizer = frugal::zero_one_adam<B, S, P, T>;
  using config = frugal::zero_one_adam_config;
  static constexpr char const* name = "zero_one_adam";
  static constexpr bool nan_reaches_x = true;
  static constexpr bool anchored = true;
  static std::vector<std::string> states() { return {"m", "v"}; }
  static config from(golden_case const& c) {
    return {.lr = c.config("lr"),
            .beta1 = c.config("beta1"),
            .beta2 = c.config("beta2"),
            .epsilon = c.config("eps"),
            .weight_decay = c.config("weight_decay"),
            .variance_scaler = std::int64_t(c.config("kappa"))};
  }
  static config usual() { return {.lr = 0.01, .weight_decay = 0.05, .variance_scaler = 2}; }
};

TEST(zero_one_adam, defaults_are_the_program_s) {
  const frugal::zero_one_adam_config c;
  EXPECT_EQ(c.lr, 1e-3);
  EXPECT_EQ(c.beta1, 0.9);
  EXPECT_EQ(c.beta2, 0.999);
  EXPECT_EQ(c.epsilon, 1e-8);
  EXPECT_EQ(c.weight_decay, 0);
  EXPECT_EQ(c.freeze_step, 100000);
  EXPECT_EQ(c.variance_scaler, 16);
  EXPECT_EQ(c.local_scaler, 32678);
  EXPECT_EQ(c.local_limit, 16);
}

// Ranks of one process, whose mean is exact: of two by halves, as the golden data have it.
template <class T, class Optimizer>
struct group_of_ranks {
  using B = std::remove_cvref_t<decltype(std::declval<Optimizer&>().backend())>;
  std::vector<Optimizer> opt;
  std::vector<there<T, B>> x, z;

  template <class Make>
  group_of_ranks(std::size_t ranks, std::vector<T> const& x0, Make const& make) {
    for (std::size_t r = 0; r < ranks; ++r) {
      opt.push_back(make());
      x.emplace_back(opt[r].backend(), x0);
      z.emplace_back(opt[r].backend(), std::vector<T>(x0.size()));
    }
  }
  void step(std::size_t rank, std::vector<T> const& g) {
    const there<T, B> at(opt[rank].backend(), g);
    opt[rank].step(x[rank].all(), at.constant());
  }
  std::vector<T> meet() {
    const T share = T(1) / T(opt.size());
    std::vector<T> c(x[0].get().size());
    for (std::size_t r = 0; r < opt.size(); ++r) {
      EXPECT_TRUE(opt[r].meets());
      opt[r].difference(x[r].constant(), z[r].all());
      const auto own = z[r].get();
      for (std::size_t i = 0; i < c.size(); ++i) c[i] += share * own[i];
    }
    for (std::size_t r = 0; r < opt.size(); ++r) {
      const there<T, B> mean(opt[r].backend(), c);
      opt[r].meet(x[r].all(), mean.constant());
    }
    return c;
  }
};
template <class T, class Backend, class... Policies>
auto ranks_on(Backend const& b, std::size_t ranks, layout const& l, std::vector<T> const& x0,
              frugal::zero_one_adam_config const& c, Policies const&... policies) {
  const auto make = [&] { return frugal::zero_one_adam(b, l, c, frugal::types<T>{}, policies...); };
  return group_of_ranks<T, decltype(make())>(ranks, x0, make);
}

// Two ranks, step by step. The double trajectory is that of the paper's form, with u in place of x0.
template <class T, class Backend>
void check_ranks(Backend const& b, golden_case const& c) {
  constexpr bool exactly = std::is_same_v<T, float>;
  const auto x0 = c.numbers<T>("x0");
  const frugal::zero_one_adam_config config{.epsilon = c.config("eps"),
                                            .weight_decay = c.config("weight_decay"),
                                            .freeze_step = std::int64_t(c.config("freeze")),
                                            .variance_scaler = std::int64_t(c.config("kappa")),
                                            .local_scaler = std::int64_t(c.config("scaler")),
                                            .local_limit = std::int64_t(c.config("limit"))};
  auto ranks = ranks_on<T>(b, 2, index_t(x0.size()), x0, config);
  ASSERT_EQ(c.count("lr"), 25u);
  for (std::size_t t = 0; t < 25; ++t) {
    SCOPED_TRACE(t + 1);
    for (std::size_t r : {0, 1}) {
      ranks.opt[r].config().lr = c.number<double>("lr", t);
      EXPECT_EQ(ranks.opt[r].gradient() == zero_one_gradient::own, std::int64_t(t) >= config.freeze_step);
      ranks.step(r, c.numbers<T>("g_" + std::to_string(r), t));
      ASSERT_EQ(ranks.opt[r].meets(), c.number<int>("meets", t) != 0);
    }
    if (ranks.opt[0].meets()) ranks.meet();
    for (std::size_t r : {0, 1}) {
      const std::string of = (exactly ? "32_" : "64_") + std::to_string(r);
      const auto want = c.numbers<T>("x" + of, t), got = ranks.x[r].get();
      if constexpr (exactly) {
        ASSERT_TRUE(same_bits(want, got));
        const auto saved = frugal::save_state(ranks.opt[r]);
        for (std::string const& s : zero_one_adam::states())
          ASSERT_TRUE(same_bits(c.numbers<T>(s + of, t), piece<T>(saved, s))) << s;
      } else {
        for (std::size_t i = 0; i < want.size(); ++i)
          ASSERT_NEAR(want[i], got[i], 1e-12 * (1 + std::abs(want[i]))) << i;
      }
    }
  }
}
TEST(zero_one_adam, two_ranks_to_the_bit) {
  for (golden_case const& c : read_golden("zero_one_adam_ranks.txt")) {
    SCOPED_TRACE(c.name);
    check_ranks<float>(cpu, c);
    check_ranks<float>(frugal::emulated_backend({.seed = 1, .lanes = 5}), c);
    check_ranks<double>(cpu, c);
  }
}

// v changes at 1, 2, 4, 6, 8, 12; meetings are after 15, 16, 17, 18, 20, 24, 28.
TEST(zero_one_adam, what_a_step_takes) {
  std::string kinds, want =
                         "MMcMcMcMcccMcc"
                         "O!O!O!O!OO!OOOO!OOOO!OO";
  frugal::zero_one_adam opt(cpu, 3, {.freeze_step = 14, .variance_scaler = 2, .local_scaler = 3, .local_limit = 4});
  std::vector<float> x{1, 2, 3}, g{1, -1, 2}, z(3);
  for (int t = 1; t <= 30; ++t) {
    kinds += "McO"[int(opt.gradient())];
    opt.step(x, g);
    if (!opt.meets()) continue;
    kinds += '!';
    opt.difference(x, z);
    opt.meet(x, z);
  }
  EXPECT_EQ(kinds, want);
}

// A clock from elsewhere may hold anything: no interval of less than a step, and none beyond the steps so far, divides
// them.
TEST(zero_one_adam, intervals_that_are_none) {
  for (double interval : {0., 0.5, -0.5, -1., 1e300, double(NAN)}) {
    frugal::zero_one_adam opt(cpu, 3, {.freeze_step = 3});
    std::vector<float> x{1, 2, 3}, g{1, -1, 2};
    auto saved = frugal::save_state(opt);
    auto& clock = saved.pieces.at(1);
    ASSERT_EQ(clock.name, "clock");
    for (std::size_t at : {1, 3}) std::memcpy(clock.bytes.data() + at * sizeof(double), &interval, sizeof interval);
    frugal::restore_state(opt, saved);
    for (int t = 1; t <= 5; ++t) {
      EXPECT_EQ(opt.gradient(), t <= 3 ? zero_one_gradient::compressed_mean : zero_one_gradient::own) << interval;
      opt.step(x, g);
      EXPECT_FALSE(opt.meets()) << interval;
    }
    EXPECT_EQ(piece<float>(frugal::save_state(opt), "v"), std::vector<float>(3));
  }
  // Without a limit the interval of meetings goes on to double.
  frugal::zero_one_adam opt(cpu, 1, {.freeze_step = 1, .local_scaler = 1, .local_limit = INT64_MAX});
  std::vector<float> x{1}, g{1}, z(1);
  int meetings = 0;
  for (int t = 1; t <= 100; ++t) {
    opt.step(x, g);
    if (!opt.meets()) continue;
    opt.difference(x, z);
    opt.meet(x, z);
    ++meetings;
  }
  EXPECT_EQ(meetings, 2);  // after 2 and 4; the interval is 8 at 5, and so on
}

// After a meeting all ranks have the same bits, whatever stores the states and the parameters, on a CPU and on a
// device.
const frugal::zero_one_adam_config soon{
    .lr = 0.01, .weight_decay = 0.1, .freeze_step = 2, .local_scaler = 2, .local_limit = 4};
template <class Backend, class... Policies>
std::vector<float> three_ranks(Backend const& b, Policies const&... policies) {
  const layout l{{"w", {50, 90}}, {"b", {70}}};
  auto ranks = ranks_on<float>(b, 3, l, numbers(l.size(), 99), soon, policies...);
  int meetings = 0;
  for (int t = 1; t <= 12; ++t) {
    for (std::size_t r = 0; r < 3; ++r) ranks.step(r, numbers(l.size(), std::uint64_t(t <= 2 ? t : 10 * t + int(r))));
    if (!ranks.opt[0].meets()) {
      EXPECT_TRUE(t <= 2 || !same_bits(ranks.x[0].get(), ranks.x[1].get()));
      continue;
    }
    ++meetings;
    const auto c = ranks.meet();
    for (std::size_t r : {1, 2}) {
      EXPECT_TRUE(same_bits(ranks.x[0].get(), ranks.x[r].get())) << t;
      EXPECT_TRUE(same_bits(frugal::save_state(ranks.opt[0]), frugal::save_state(ranks.opt[r]))) << t;
    }
  }
  EXPECT_EQ(meetings, 5);  // after 3, 4, 6, 8, 12
  return ranks.x[0].get();
}
TEST(zero_one_adam, ranks_agree_after_they_met) {
  const frugal::emulated_backend gpu({.seed = 2, .lanes = 7});
  const frugal::blockwise8 coded, as_full{.min_size = 10000};
  const auto full = three_ranks(cpu, as_full), packed = three_ranks(cpu, coded);
  EXPECT_TRUE(same_bits(full, three_ranks(gpu, as_full)));
  EXPECT_TRUE(same_bits(packed, three_ranks(gpu, coded)));
  EXPECT_FALSE(same_bits(full, packed));
}
// Some coordinates of parameters of 16 bits: what the object does not own stays, also in z.
TEST(zero_one_adam, a_list_of_coordinates_in_16_bits) {
  constexpr index_t n = 300;
  const auto train = [](std::uint64_t own) {
    std::vector<frugal::bf16> x(n);
    std::vector<float> z(n, 7.f);
    frugal::zero_one_adam opt(cpu, n, soon, frugal::types<frugal::bf16, float>{}, frugal::stochastic{.seed = 5},
                              frugal::indices{{3, 4, 5, 200}});
    for (std::uint64_t t = 1; t <= 8; ++t) {
      opt.step(x, numbers(n, t <= 2 ? t : own + t));
      if (!opt.meets()) continue;
      opt.difference(x, z);
      opt.meet(x, numbers(n, t));  // what another sum may give
    }
    for (std::size_t i = 0; i < n; ++i) {
      const bool owned = (i > 2 && i < 6) || i == 200;
      EXPECT_EQ(z[i] != 7, owned) << i;
      EXPECT_EQ(x[i].bits != 0, owned) << i;
    }
    return x;
  };
  EXPECT_TRUE(same_bits(train(100), train(200)));
}

// Alone, and meeting after every step, a rank goes on as Adam with the v that it has: what it meets is itself.
TEST(zero_one_adam, alone_it_is_adam_with_a_fixed_v) {
  constexpr index_t n = 50;
  auto ranks = ranks_on<double>(cpu, 1, n, numbers<double>(n, 99), {.lr = 0.01, .freeze_step = 3});
  std::vector<double> x = numbers<double>(n, 99), m(n), v(n);
  for (int t = 1; t <= 40; ++t) {
    const auto g = numbers<double>(n, std::uint64_t(t));
    ranks.step(0, g);
    if (t > 3) ranks.meet();
    for (std::size_t i = 0; i < n; ++i) {
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      if (t <= 3) v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
      x[i] -= 0.01 * m[i] / (std::sqrt(v[i]) + 1e-8);
      ASSERT_NEAR(ranks.x[0].get()[i], x[i], 1e-9 * (1 + std::abs(x[i]))) << i << ", step " << t;
    }
  }
}

// What cannot be averaged exactly is sent by one bit a coordinate, gradients and meetings alike: ranks that want to go
// to different places end near the mean of those, on the same bits. Without feedback the bits lead elsewhere.
TEST(zero_one_adam, means_of_one_bit) {
  constexpr index_t n = 300;
  const auto place = [](int rank) {
    dice d(std::uint64_t(rank) + 1);
    std::vector<float> to(n);
    for (float& x : to) x = float(d.normal());
    return to;
  };
  const auto distance = [&](bool with_memory) {
    const auto ends = on_ranks(3, [&](frugal::loopback_comm& world) {
      frugal::zero_one_adam opt(
          cpu, n, {.lr = 0.005, .freeze_step = 50, .variance_scaler = 4, .local_scaler = 20, .local_limit = 8});
      const auto memory = [&] { return frugal::ef14(cpu, n, frugal::scaled_sign{}, world.rank()); };
      auto gradients = memory(), differences = memory();
      const auto average = [&](auto& feedback, std::vector<float>& v) {
        if (!with_memory) feedback = memory();
        feedback.compress(v, 1);
        std::fill(v.begin(), v.end(), 0.f);
        feedback.add_mean(world, v, 1);
      };
      const auto to = place(world.rank());
      std::vector<float> x(n, 2.f), g(n);
      for (int t = 1; t <= 400; ++t) {
        for (std::size_t i = 0; i < n; ++i) g[i] = x[i] - to[i];
        if (opt.gradient() == zero_one_gradient::mean)
          world.all_reduce(cpu, frugal::view<float>(g), frugal::op::mean{});
        else if (opt.gradient() == zero_one_gradient::compressed_mean) average(gradients, g);
        opt.step(x, g);
        if (!opt.meets()) continue;
        opt.difference(x, g);
        average(differences, g);
        opt.meet(x, g);
      }
      return x;
    });
    EXPECT_TRUE(same_bits(ends[0], ends[1]) && same_bits(ends[0], ends[2]));
    double far = 0, start = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double middle = (double(place(0)[i]) + place(1)[i] + place(2)[i]) / 3;
      far += std::pow(ends[0][i] - middle, 2), start += std::pow(2 - middle, 2);
    }
    return std::sqrt(far / start);
  };
  EXPECT_LT(distance(true), 0.08);
  EXPECT_GT(distance(false), 0.12);
}

TEST(zero_one_adam, a_device_gives_the_bits_of_serial) {  // which are these
  EXPECT_EQ(meetings(cpu), zero_one_adam_digest);
  EXPECT_EQ(meetings(frugal::emulated_backend({.seed = 3, .lanes = 6})), zero_one_adam_digest);
}

TEST(zero_one_adam, continues_between_meetings) {
  constexpr index_t n = 300;
  const auto run = [](int stop) {
    auto ranks = ranks_on<float>(cpu, 1, n, numbers(n, 99), soon, frugal::blockwise8{.min_size = 1});
    for (int t = 1; t <= 11; ++t) {
      ranks.step(0, numbers(n, std::uint64_t(t)));
      if (t == stop) {
        const auto saved = frugal::save_state(ranks.opt[0]);
        frugal::zero_one_adam again(cpu, n, soon, frugal::types<float>{}, frugal::blockwise8{.min_size = 1});
        frugal::restore_state(again, saved);
        ranks.opt[0] = std::move(again);
      }
      if (ranks.opt[0].meets()) ranks.meet();
    }
    return ranks.x[0].get();
  };
  for (int stop : {1, 2, 3, 5, 8, 10}) EXPECT_TRUE(same_bits(run(0), run(stop))) << stop;  // 8: a meeting is due
}

// What is skipped is no step: the same collective call comes next.
TEST(zero_one_adam, skipped_steps_do_not_count) {
  frugal::zero_one_adam opt(cpu, 3, {.freeze_step = 3, .variance_scaler = 1});
  std::vector<float> x{1, 2, 3}, g{1, -1, 2}, bad{1, NAN, 2};
  opt.options().skip_nonfinite = true;
  for (char kind : std::string("McO")) {
    kind == 'c' ? opt.step(x, bad) : void();
    EXPECT_EQ("McO"[int(opt.gradient())], kind == 'c' ? 'M' : kind == 'O' ? 'c' : 'M');
    opt.step(x, g);
  }
  EXPECT_EQ(opt.report().steps, 3);
  EXPECT_EQ(opt.report().skipped, 1);
  EXPECT_EQ(opt.gradient(), zero_one_gradient::own);
}

TEST(zero_one_adam, a_rate_of_zero_meets_nowhere_else) {
  frugal::zero_one_adam opt(cpu, 3, {.freeze_step = 1});
  std::vector<float> x{1, 2, 3}, g{1, -1, 2}, z(3, 7.f);
  opt.step(x, g);
  opt.config().lr = 0;
  const auto before = x;
  opt.step(x, g);
  const auto m = piece<float>(frugal::save_state(opt), "m");
  opt.difference(x, z);
  EXPECT_EQ(z, std::vector<float>(3));
  opt.meet(x, z);
  EXPECT_EQ(x, before);
  EXPECT_TRUE(same_bits(m, piece<float>(frugal::save_state(opt), "m")));
}

TEST(zero_one_adam, refusals) {
  frugal::zero_one_adam opt(cpu, 3, {.freeze_step = 1});
  std::vector<float> x{1, 2, 3}, g{1, -1, 2}, z(3), two(2);
  EXPECT_TRUE(refused([&] { opt.difference(x, z); }, "difference()", "a meeting that is due", "none"));
  EXPECT_TRUE(refused([&] { opt.meet(x, z); }, "meet()", "a meeting that is due", "none"));
  opt.step(x, g);
  const auto first = frugal::save_state(opt);  // the next step begins at an anchor of its own
  EXPECT_TRUE(refused([&] { opt.step(x, two); }, "the gradient", "3 elements", "2"));
  EXPECT_TRUE(refused([&] { opt.step(x, x); }, "parameters and gradients", "memory of their own each", "an overlap"));
  EXPECT_TRUE(same_bits(first, frugal::save_state(opt)));
  opt.step(x, g);
  const auto before = frugal::save_state(opt);
  const auto at = x;
  EXPECT_TRUE(refused([&] { opt.step(x, g); }, "a step of zero_one_adam", "meet() before", "a meeting that is due"));
  EXPECT_TRUE(refused([&] { opt.difference(x, two); }, "the difference", "3 elements", "2"));
  EXPECT_TRUE(refused([&] { opt.difference(x, x); }, "parameters and their difference", "memory of their own each",
                      "an overlap"));
  EXPECT_TRUE(refused([&] { opt.meet(two, z); }, "the parameters", "3 elements", "2"));
  EXPECT_TRUE(refused([&] { opt.meet(x, two); }, "the mean difference", "3 elements", "2"));
  opt.config().epsilon = -1;
  EXPECT_TRUE(refused([&] { opt.difference(x, z); }, "epsilon", "[0, 1e+30]", "-1"));
  EXPECT_TRUE(refused([&] { opt.meet(x, z); }, "epsilon", "[0, 1e+30]", "-1"));
  opt.config().epsilon = 1e-8;
  EXPECT_TRUE(refused(
      [&] {
        opt.set_group({"default", 2.});
      },
      "set_group()", "meet() before", "steps since the last meeting"));
  EXPECT_TRUE(same_bits(at, x));
  EXPECT_TRUE(same_bits(before, frugal::save_state(opt)));
  opt.meet(x, z);
  opt.set_group({"default", 2.});  // between a meeting and the next step
  const auto bad = [](frugal::zero_one_adam_config const& c, std::string const& what, std::string const& got) {
    EXPECT_TRUE(refused([&] { frugal::zero_one_adam(cpu, 3, c); }, what, ">= 1", got));
  };
  bad({.freeze_step = 0}, "freeze_step", "0");
  bad({.variance_scaler = 0}, "variance_scaler", "0");
  bad({.local_scaler = -1}, "local_scaler", "-1");
  bad({.local_limit = 0}, "local_limit", "0");
}

// Ranks with noise of their own, towards what they have in common.
TEST(zero_one_adam, ranks_minimise_together) {
  constexpr index_t n = 30;
  dice d(4);
  std::vector<double> c(n);
  for (double& v : c) v = d.between(-2, 2);
  auto ranks =
      ranks_on<double>(cpu, 4, n, std::vector<double>(n), {.freeze_step = 200, .local_scaler = 100, .local_limit = 8});
  const auto gradient = [&](std::vector<double> const& x) {
    std::vector<double> g(n);
    for (std::size_t i = 0; i < n; ++i) g[i] = x[i] - c[i] + 0.5 * d.normal();
    return g;
  };
  for (int t = 1; t <= 1500; ++t) {
    std::vector<std::vector<double>> g;
    for (std::size_t r = 0; r < 4; ++r) g.push_back(gradient(ranks.x[r].get()));
    if (ranks.opt[0].gradient() != zero_one_gradient::own) {
      for (std::size_t i = 0; i < n; ++i) g[0][i] = (g[0][i] + g[1][i] + g[2][i] + g[3][i]) / 4;
      g[1] = g[2] = g[3] = g[0];
    }
    for (std::size_t r = 0; r < 4; ++r) {
      ranks.opt[r].config().lr = 0.05 / std::sqrt(t);
      ranks.step(r, g[r]);
    }
    if (ranks.opt[0].meets()) ranks.meet();
  }
  double error = 0;
  const auto x = ranks.x[0].get();
  for (std::size_t i = 0; i < n; ++i) error += (x[i] - c[i]) * (x[i] - c[i]) / n;
  EXPECT_LT(error, 0.01);
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(zero_one_adam, optimizer_suite, the<zero_one_adam>());
}
