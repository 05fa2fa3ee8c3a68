// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <frugal/optim/cric.hpp>
#include <frugal/optim/momentum.hpp>

#include "support/backends.hpp"
#include "support/driver.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::cric;
using frugal::cric_schedule;
using frugal::cric_stage;
using frugal::group_part;
using frugal::group_set;
using frugal::hesso;
using frugal::hesso_config;
using frugal::index_t;
using frugal::layout;
using frugal::momentum;

const frugal::serial_backend cpu;

layout network() { return {{"w1", {8, 2}}, {"b1", {8}}, {"w2", {1, 8}}, {"b2", {2}}}; }
std::vector<group_set> hidden() { return {{{{"w1"}, {"b1"}, {"w2", 1}}}}; }
layout attention() { return {{"q", {6, 2}}, {"o", {1, 6}}, {"c", {5, 1, 2}}, {"aux", {5}}, {"k", {6}}}; }
std::vector<group_set> heads() {
  return {{{{"q"}, {"o", 1, group_part::follows}}, 3, true}, {{{"c"}, {"aux", 0, group_part::zeroed}}}, {{{"k"}}, 3}};
}
template <class Object>
std::vector<std::uint8_t> status(Object& o) {
  return piece<std::uint8_t>(frugal::save_state(o), "status");
}
template <class T>
double squares(std::vector<T> const& x) {
  double s = 0;
  for (T v : x) s += double(v) * double(v);
  return s;
}

template <class T>
void follows_golden(double tolerance) {
  const std::string bits = sizeof(T) == 8 ? "64" : "32";
  const auto cases = read_golden("cric.txt");
  ASSERT_EQ(cases.size(), 5u);
  for (golden_case const& c : cases) {
    const auto w = c.numbers<double>("weights");
    const auto count = [&](char const* key) { return std::int64_t(c.config(key)); };
    const bool large = c.name.find("attention") != std::string::npos;
    hesso opt(momentum(cpu, large ? attention() : network(), {.lr = c.config("lr"), .momentum = c.config("mu")},
                       frugal::types<T>{}),
              large ? heads() : hidden(),
              {.sparsity = c.config("sparsity"),
               .start = count("start"),
               .pruning_steps = count("pruning_steps"),
               .divisible = count("divisible"),
               .magnitude = w[0],
               .mean_magnitude = w[1],
               .cosine = w[2],
               .taylor1 = w[3],
               .taylor2 = w[4]},
              cric{.sampling_steps = count("sampling"),
                   .max_cycles = count("cycles"),
                   .tolerance = count("tolerance"),
                   .loss = c.config("loss"),
                   .schedule = c.config("released") != 0 ? cric_schedule::released : cric_schedule::gradual});
    std::vector<T> x = c.numbers<T>("x0");
    for (std::size_t t = 0; t < c.number<std::size_t>("steps"); ++t) {
      if (c.config("closure") != 0) opt.step(x, c.numbers<T>("g", t), [&] { return squares(x); });
      else opt.step(x, c.numbers<T>("g", t), c.number<double>("loss", t));
      const auto want = c.numbers<T>("x" + bits, t);
      const auto now = status(opt);
      EXPECT_EQ(std::vector<int>(now.begin(), now.end()), c.numbers<int>("status", t)) << c.name << " step " << t + 1;
      EXPECT_EQ(opt.identification().cycles(), c.number<int>("cycle", t)) << c.name << " step " << t + 1;
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_LE(std::abs(double(x[i]) - double(want[i])), tolerance * (1 + std::abs(double(want[i]))))
            << c.name << " step " << t + 1 << " element " << i;
    }
  }
}
TEST(cric, golden_trajectories) {
  follows_golden<double>(1e-14);
  follows_golden<float>(0);
}

auto made(hesso_config c, cric how) { return hesso(momentum(cpu, network(), {.lr = 0.02}), hidden(), c, how); }
const hesso_config half{.sparsity = 0.5, .start = 2, .pruning_steps = 3};
// Steps until `stage` is over, 300 at most; gradients are those of |x - y|^2 / 2.
template <class Object>
int run(Object& opt, std::vector<float>& x, cric_stage until, bool at_once = false) {
  const auto y = numbers(index_t(x.size()), 77);
  for (int t = 1; t <= 300; ++t) {
    auto g = numbers(index_t(x.size()), std::uint64_t(t));
    for (std::size_t i = 0; i < x.size(); ++i) g[i] = 0.3f * g[i] + x[i] - y[i];
    if (at_once) opt.step(x, g, [&] { return squares(x); });
    else opt.step(x, g, squares(x));
    if (opt.identification().stage() > until) return t;
  }
  return 300;
}

// Whatever is tried on the way, x comes back bit for bit, and what is removed at last is exactly as much as was asked.
TEST(cric, what_is_tried_is_taken_back_and_counts_are_exact) {
  for (auto schedule : {cric_schedule::gradual, cric_schedule::released})
    for (bool at_once : {false, true})
      for (double sparsity : {0.125, 0.5, 0.75}) {
        auto opt = made({.sparsity = sparsity, .start = 0, .pruning_steps = 3},
                        {.sampling_steps = 4, .max_cycles = 3, .schedule = schedule});
        std::vector<float> x = numbers(network().size(), 1);
        const auto start = x;
        EXPECT_EQ(run(opt, x, cric_stage::probing, at_once), at_once ? 1 : 6);
        EXPECT_TRUE(same_bits(x, start));
        run(opt, x, cric_stage::sampling, at_once);
        EXPECT_TRUE(same_bits(x, start));
        EXPECT_EQ(opt.identification().stage(), cric_stage::shrinking);
        EXPECT_GE(opt.identification().cycles(), 1);
        EXPECT_EQ(opt.removed(), 0);
        for (int t = 0; t < 5; ++t) opt.step(x, numbers(network().size(), 5), 1.f);
        EXPECT_EQ(opt.removed(), index_t(8 * sparsity));
        EXPECT_EQ(std::count(x.begin() + 16, x.begin() + 24, 0.f), index_t(8 * sparsity));
        EXPECT_EQ(opt.extract(x).kept[0].size(), std::size_t(8 - 8 * sparsity));
      }
}

// A set that the loss needs is left alone: two sets of equal numbers, one of which the loss looks at.
TEST(cric, the_probe_sees_what_scores_do_not) {
  const layout l{{"used", {6, 4}}, {"idle", {6, 4}}};
  for (double weight : {0., 5.}) {
    hesso opt(momentum(cpu, l, {.lr = 1e-3}), {{{{"used"}}}, {{{"idle"}}}}, {.sparsity = 0.4},
              cric{.sampling_steps = 2, .loss = weight});
    std::vector<float> x = numbers(24, 1), g = numbers(24, 2);
    for (auto* v : {&x, &g}) v->insert(v->end(), v->begin(), v->begin() + 24);
    const auto all = squares(x);
    for (int t = 0; t < 50; ++t)  // removing used ones makes it larger
      opt.step(x, g, [&] { return 1 + all - 2 * squares(std::vector<float>(x.begin(), x.begin() + 24)); });
    ASSERT_EQ(opt.removed(), 4);
    const auto now = status(opt);
    EXPECT_EQ(std::count(now.begin(), now.begin() + 6, 2), weight == 0 ? 2 : 0);
  }
}

// A loss that is not finite where groups are missing: their set is the last to lose any.
TEST(cric, a_loss_that_is_not_finite) {
  const layout l{{"used", {6, 4}}, {"idle", {6, 4}}};
  const double infinity = std::numeric_limits<double>::infinity();
  for (double bad : {infinity, -infinity, std::nan("")})
    for (bool at_once : {false, true}) {
      hesso opt(momentum(cpu, l, {.lr = 1e-3}), {{{{"used"}}}, {{{"idle"}}}}, {.sparsity = 0.4},
                cric{.sampling_steps = 2});
      std::vector<float> x = numbers(24, 1), g = numbers(24, 2);
      for (auto* v : {&x, &g}) v->insert(v->end(), v->begin(), v->begin() + 24);
      for (int t = 0; t < 50; ++t) {
        const auto loss = [&] { return std::count(x.begin(), x.begin() + 24, 0.f) > 0 ? bad : 1.; };
        if (at_once) opt.step(x, g, loss);
        else opt.step(x, g, loss());
      }
      const auto now = status(opt);
      EXPECT_EQ(std::count(now.begin(), now.begin() + 6, 2), 0);
      EXPECT_EQ(opt.removed(), 4);
    }
}

// Before the probe and after the cycles a step that is skipped is none.
TEST(cric, skipped_steps) {
  auto opt = made(half, {.sampling_steps = 2}), alone = made(half, {.sampling_steps = 2});
  opt.optimizer().options().skip_nonfinite = true;
  std::vector<float> x = numbers(network().size(), 1), y = x;
  const std::vector<float> bad(x.size(), std::nanf(""));
  for (std::uint64_t t = 0; t < 40; ++t) {
    const auto stage = opt.identification().stage();
    if (t == 0 || stage == cric_stage::shrinking) {
      opt.step(x, bad, 1.f);
      EXPECT_TRUE(same_bits(x, y)) << t;
    }
    const auto g = numbers(network().size(), t);
    opt.step(x, g, 1.f), alone.step(y, g, 1.f);
    EXPECT_TRUE(same_bits(x, y)) << t;
    EXPECT_EQ(status(opt), status(alone)) << t;
  }
  EXPECT_EQ(opt.removed(), 4);
}

// In the gradual schedule V is (S - 1 - h) / S of x after step h of a cycle, where gradients are zero.
TEST(cric, v_goes_to_zero_in_equal_parts) {
  auto opt = made(half, {.sampling_steps = 5});
  std::vector<float> x = numbers(network().size(), 3), g(x.size(), 0.f);
  for (int t = 1; t <= 7; ++t) opt.step(x, g, 1.f);
  const auto start = x;
  for (int h = 0; h < 4; ++h) {
    opt.step(x, g, 1.f);
    const auto now = status(opt);
    EXPECT_EQ(std::count(now.begin(), now.end(), 1), 4);
    for (std::size_t k = 0; k < 8; ++k)
      EXPECT_NEAR(x[16 + k], now[k] ? start[16 + k] * float(4 - h) / 5 : start[16 + k], 1e-6);
  }
  opt.step(x, g, 1.f);
  EXPECT_TRUE(same_bits(x, start));
}

TEST(cric, sparsity_zero_is_the_optimizer) {
  auto opt = made({.sparsity = 0}, {});
  momentum alone(cpu, network(), {.lr = 0.02});
  std::vector<float> x = numbers(network().size(), 1), y = x;
  for (std::uint64_t t = 0; t < 9; ++t) {
    const auto g = numbers(network().size(), t);
    opt.step(x, g, std::nan("")), alone.step(y, g);
  }
  EXPECT_TRUE(same_bits(x, y));
}

TEST(cric, the_same_on_every_backend) {
  const layout l{{"w", {7, 300}}, {"b", {7}}, {"v", {130, 7}}, {"other", {50}}};
  for (auto schedule : {cric_schedule::gradual, cric_schedule::released}) {
    const auto end = same_on_every_backend([&](auto const& b) {
      hesso opt(momentum(b, l), {{{{"w"}, {"b"}, {"v", 1}}}}, {.sparsity = 0.5, .start = 2, .pruning_steps = 2},
                cric{.sampling_steps = 3, .max_cycles = 2, .schedule = schedule});
      using data = there<float, std::remove_cvref_t<decltype(b)>>;
      const data x(b, numbers(l.size(), 1));
      data g(b, x.get());
      std::vector<float> seen;
      std::vector<double> sums;  // of scores: the choices alone would hide their last bits
      for (std::uint64_t t = 0; t < 17; ++t) {
        g.set(numbers(l.size(), t + 2));
        opt.step(x.all(), g.constant(), 1. + double(t));
        const auto now = x.get();
        seen.insert(seen.end(), now.begin(), now.end());
        if (t == 12) sums = piece<double>(frugal::save_state(opt), "cric.sums");
      }
      EXPECT_EQ(opt.removed(), 3);
      for (double s : sums) {
        float parts[2];
        std::memcpy(parts, &s, sizeof s);
        seen.insert(seen.end(), parts, parts + 2);
      }
      return seen;
    });
    EXPECT_FALSE(end.empty());
  }
}

// Saved at any step of a probe, a cycle, or while groups shrink.
TEST(cric, continues_where_it_was_saved) {
  for (auto schedule : {cric_schedule::gradual, cric_schedule::released}) {
    const auto here = [&] { return made(half, {.sampling_steps = 3, .max_cycles = 3, .schedule = schedule}); };
    for (int stop = 0; stop < 21; ++stop) {
      auto straight = here(), resumed = here();
      std::vector<float> x = numbers(network().size(), 1), y;
      for (int t = 0; t < 22; ++t) {
        if (t == stop) frugal::restore_state(resumed, frugal::save_state(straight)), y = x;
        const auto g = numbers(network().size(), std::uint64_t(t));
        straight.step(x, g, 1.f + float(t % 3));
        if (t >= stop) resumed.step(y, g, 1.f + float(t % 3));
      }
      EXPECT_TRUE(same_bits(x, y)) << stop;
      EXPECT_TRUE(same_bits(frugal::save_state(straight), frugal::save_state(resumed))) << stop;
      EXPECT_EQ(straight.removed(), 4);
    }
  }
  auto opt = made(half, {});
  hesso plain(momentum(cpu, network()), hidden(), half);
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { frugal::restore_state(plain, frugal::save_state(opt)); },
                                               {"hesso/cric(momentum/full)"}));
}

// Counts and codes of a state are anybody's: nothing out of bounds, no division by zero, and it ends.
TEST(cric, any_state_is_survived) {
  for (std::int64_t stage : {0, 1, 2, 3, 9})
    for (std::int64_t at : {std::int64_t(0), std::int64_t(5), std::int64_t(6), std::int64_t(1) << 60}) {
      auto opt = made(half, {.sampling_steps = 3, .max_cycles = 3});
      auto s = frugal::save_state(opt);
      for (auto& p : s.pieces) {
        const std::int64_t counts[] = {stage, at, 99, 0};
        if (p.name == "cric") std::memcpy(p.bytes.data(), counts, sizeof counts);
        if (p.name == "cric.marks" || p.name == "status") std::fill(p.bytes.begin(), p.bytes.end(), 7);
      }
      frugal::restore_state(opt, s);
      std::vector<float> x = numbers(network().size(), 1);
      for (int t = 0; t < 40; ++t) opt.step(x, numbers(network().size(), 2), 1.f);
      EXPECT_EQ(opt.identification().stage(), cric_stage::shrinking) << stage << ' ' << at;
    }
}

TEST(cric, bf16_with_a_master) {
  hesso opt(momentum(cpu, network(), {.lr = 0.02}, frugal::types<frugal::bf16, float>{}, frugal::float_master{}),
            hidden(), half, cric{.sampling_steps = 4});
  std::vector<frugal::bf16> x = numbers<frugal::bf16>(network().size(), 1);
  for (std::uint64_t t = 0; t < 60; ++t) opt.step(x, numbers(network().size(), t), 1.f);
  EXPECT_EQ(opt.removed(), 4);
  EXPECT_EQ(std::count_if(x.begin() + 16, x.begin() + 24, [](frugal::bf16 v) { return v.bits == 0; }), 4);
}

TEST(cric, a_step_allocates_nothing) {
  auto opt = made(half, {.sampling_steps = 3, .max_cycles = 2});
  std::vector<float> x = numbers(network().size(), 1);
  for (std::uint64_t t = 1; t <= 20; ++t) {
    const auto g = numbers(network().size(), t);
    const long before = allocations;
    opt.step(x, g, 1.f);
    EXPECT_EQ(allocations, before) << t;
  }
  EXPECT_EQ(opt.identification().stage(), cric_stage::shrinking);
}

TEST(cric, refusals) {
  const auto with = [](cric c, hesso_config h = {}) { made(h, c); };
  EXPECT_TRUE(refused([&] { with({.sampling_steps = 0}); }, "sampling_steps", ">= 1", "0"));
  EXPECT_TRUE(refused([&] { with({.max_cycles = 0}); }, "max_cycles", ">= 1", "0"));
  EXPECT_TRUE(refused([&] { with({.tolerance = -1}); }, "tolerance", ">= 0", "-1"));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { with({.loss = -1}); }, {"the weight of the loss"}));
  EXPECT_TRUE(refused([&] { with({}, {.pruning_steps = 4, .periods = 2}); }, "periods", "1, with cric", "2"));

  const double nan = std::nan("");
  for (auto schedule : {cric_schedule::gradual, cric_schedule::released}) {
    auto opt = made(half, {.sampling_steps = 2, .schedule = schedule});
    std::vector<float> x = numbers(network().size(), 1), few(3);
    for (std::uint64_t t = 0; t < 12; ++t) {
      const auto g = numbers(network().size(), t);
      const auto before = x;
      const auto state = frugal::save_state(opt);
      EXPECT_THROW(opt.step(x, few, 1.f), frugal::invalid_argument);
      EXPECT_THROW(opt.step(x, x, 1.f), frugal::invalid_argument) << t;
      opt.optimizer().config().lr = -1;
      EXPECT_THROW(opt.step(x, g, 1.f), frugal::invalid_argument);
      opt.optimizer().config().lr = 0.02;
      for (double l : {0., -1., nan, std::numeric_limits<double>::infinity()})
        if (t == 1) {
          const auto number = [&] { opt.step(x, g, l); };
          const auto function = [&] { opt.step(x, g, [&] { return l; }); };
          const std::string about = "the loss where cric's probe begins", got = frugal::detail::text(l);
          EXPECT_TRUE(refused(number, about, "a positive number", got));
          EXPECT_TRUE(refused(function, about, "a positive number", got));
        }
      EXPECT_TRUE(same_bits(x, before)) << t;
      EXPECT_TRUE(same_bits(frugal::save_state(opt), state)) << t;
      opt.step(x, g, 1.f);
    }
  }
  // What throws while all is probed at once: x is what it was, and the next step probes again.
  auto opt = made(half, {.sampling_steps = 2});
  std::vector<float> x = numbers(network().size(), 1);
  opt.step(x, numbers(network().size(), 2), 1.f);
  const auto before = x;
  int calls = 0;
  const auto loss = [&] {
    if (++calls == 3) throw calls;
    return 1.;
  };
  EXPECT_THROW(opt.step(x, numbers(network().size(), 3), loss), int);
  EXPECT_TRUE(same_bits(x, before));
  EXPECT_EQ(opt.identification().stage(), cric_stage::waiting);
  opt.step(x, numbers(network().size(), 3), loss);
  EXPECT_EQ(opt.identification().stage(), cric_stage::sampling);
  EXPECT_EQ(calls, 3 + 4);
}

}  // namespace
