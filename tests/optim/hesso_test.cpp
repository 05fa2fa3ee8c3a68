// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <frugal/comm/loopback.hpp>
#include <frugal/distributed/sharded.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/hesso.hpp>
#include <frugal/optim/momentum.hpp>

#include "decentralized/ranks.hpp"
#include "support/backends.hpp"
#include "support/driver.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::group_part;
using frugal::group_set;
using frugal::group_sums;
using frugal::hesso;
using frugal::hesso_config;
using frugal::index_t;
using frugal::layout;
using frugal::momentum;

const frugal::serial_backend cpu;

layout network() { return {{"w1", {8, 5}}, {"b1", {8}}, {"w2", {3, 8}}, {"b2", {3}}}; }
std::vector<group_set> hidden() { return {{{{"w1"}, {"b1"}, {"w2", 1}}}}; }
// Heads, with what reads them; rows and what goes with them; a place in all heads.
layout attention() { return {{"q", {6, 4}}, {"o", {4, 6}}, {"c", {5, 2, 3}}, {"aux", {5}}, {"k", {6, 2}}}; }
std::vector<group_set> heads() {
  return {{{{"q"}, {"o", 1, group_part::follows}}, 3, true}, {{{"c"}, {"aux", 0, group_part::zeroed}}}, {{{"k"}}, 3}};
}

template <class T, class Backend>
auto made(Backend const& b, golden_case const& c) {
  const auto weights = c.numbers<double>("weights");
  const bool small = c.name != "attention";
  return hesso(momentum(b, small ? network() : attention(), {.lr = c.config("lr")}, frugal::types<T>{}),
               small ? hidden() : heads(),
               {.sparsity = c.config("sparsity"),
                .start = std::int64_t(c.config("start")),
                .pruning_steps = std::int64_t(c.config("pruning_steps")),
                .periods = std::int64_t(c.config("periods")),
                .divisible = std::int64_t(c.config("divisible")),
                .magnitude = weights[0],
                .mean_magnitude = weights[1],
                .cosine = weights[2],
                .taylor1 = weights[3],
                .taylor2 = weights[4]});
}
template <class Object>
std::vector<std::uint8_t> status(Object& o) {
  return piece<std::uint8_t>(frugal::save_state(o), "status");
}

template <class T>
void follows_golden(double tolerance) {
  const std::string bits = sizeof(T) == 8 ? "64" : "32";
  const auto cases = read_golden("hesso.txt");
  ASSERT_EQ(cases.size(), 4u);
  for (golden_case const& c : cases) {
    auto opt = made<T>(cpu, c);
    std::vector<T> x = c.numbers<T>("x0");
    for (std::size_t t = 0; t < c.number<std::size_t>("steps"); ++t) {
      opt.step(x, c.numbers<T>("g", t));
      const auto want = c.numbers<T>("x" + bits, t);
      const auto states = c.numbers<int>("status" + bits, t);
      const auto now = status(opt);
      EXPECT_EQ(std::vector<int>(now.begin(), now.end()), states) << c.name << " step " << t + 1;
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_LE(std::abs(double(x[i]) - double(want[i])), tolerance * (1 + std::abs(double(want[i]))))
            << c.name << " step " << t + 1 << " element " << i;
    }
  }
}
TEST(hesso, golden_trajectories) {
  follows_golden<double>(1e-14);
  follows_golden<float>(0);
}

std::vector<double> scores(hesso_config const& c, std::vector<group_sums> const& g) {
  std::vector<double> s(g.size());
  group_scores(c, g, s);
  return s;
}
// Three groups, by hand.
TEST(hesso, each_criterion_by_hand) {
  const std::vector<group_sums> g{{25, 4, 6, 2}, {1, 9, -3, 5}, {0, 16, 0, 2}};  // |p| 5 1 0, |d| 2 3 4
  const auto only = [&](auto set) {
    hesso_config c{.magnitude = 0, .mean_magnitude = 0, .cosine = 0, .taylor1 = 0, .taylor2 = 0};
    set(c);
    return scores(c, g);
  };
  const auto near = [](std::vector<double> const& a, std::vector<double> b) {
    double norm = 0;
    for (double v : b) norm += v * v;
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], 0.5 * b[i] / std::sqrt(norm), 1e-6) << i;
  };
  near(only([](auto& c) { c.magnitude = 0.5; }), {5, 1, 0});
  near(only([](auto& c) { c.mean_magnitude = 0.5; }), {2.5, 0.2, 0});
  near(only([](auto& c) { c.cosine = 0.5; }), {1.6, 0, 1});  // 6 / 10, -3 / 3, 0 / 0
  near(only([](auto& c) { c.taylor1 = 0.5; }), {6, 3, 0});
  near(only([](auto& c) { c.taylor2 = 0.5; }), {18, 4.5, 0});
  // A scale common to all groups changes none of them, and that of d neither.
  std::vector<group_sums> scaled = g;
  for (auto& s : scaled) s.pp *= 16, s.pd *= 8, s.dd *= 4;  // x 4, d 2
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(scores({}, g)[i], scores({}, scaled)[i], 1e-6);
}

// What is no number in one group is in no other's score.
TEST(hesso, one_group_that_is_no_number) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const std::vector<group_sums> finite{{25, 4, 6, 2}, {1, 9, -3, 5}, {4, 16, 1, 2}};
  const auto of_three = scores({}, finite);
  for (group_sums const& bad : {group_sums{nan, nan, nan, 2}, group_sums{infinity, 1, nan, 2}}) {
    std::vector<group_sums> g = finite;
    g.insert(g.begin() + 1, bad);
    const auto s = scores({}, g);
    EXPECT_FALSE(std::isfinite(s[1]));
    EXPECT_TRUE(same_bits(std::vector<double>{s[0], s[2], s[3]}, of_three));
  }
}

// Ties go by index, and what is no number is the highest.
TEST(hesso, the_lowest_scores) {
  frugal::detail::group_sets sets(network(), hidden(), 1);
  const double nan = std::nan("");
  const auto chosen = [&](std::vector<double> const& s, index_t count) {
    std::vector<std::uint8_t> status(8, 0);
    sets.choose(s, count, status);
    return status;
  };
  using codes = std::vector<std::uint8_t>;
  EXPECT_EQ(chosen({nan, 3, nan, 1, 2, nan, 5, 4}, 5), (codes{0, 1, 0, 1, 1, 0, 1, 1}));
  EXPECT_EQ(chosen({nan, 3, nan, 1, 2, nan, 5, 4}, 6), (codes{1, 1, 0, 1, 1, 0, 1, 1}));
  EXPECT_EQ(chosen({2, 1, 1, 1, 0, 2, 1, 2}, 3), (codes{0, 1, 1, 0, 1, 0, 0, 0}));
  EXPECT_EQ(chosen({1, 1, 1, 1, 1, 1, 1, 1}, 99), (codes{1, 1, 1, 1, 1, 1, 1, 0}));  // a set keeps one
}

// As many groups as were asked for, whatever the rule, and bitwise zeros from then on; what reads them is left alone.
TEST(hesso, exact_counts_and_zeros) {
  for (double sparsity : {0., 0.1, 0.5, 0.75, 0.99}) {
    hesso opt(frugal::adamw(cpu, attention(), {.lr = 0.01}), heads(),
              {.sparsity = sparsity, .start = 3, .pruning_steps = 10, .periods = 3});
    const index_t size = attention().size();
    std::vector<float> x = numbers(size, 5);
    EXPECT_EQ(opt.target(), index_t(10 * sparsity));
    for (int t = 1; t <= 20; ++t) {
      opt.step(x, numbers(size, std::uint64_t(t)));
      if (t < 4) {
        EXPECT_EQ(opt.removed(), 0);
      }
    }
    const index_t most = 10 - 3;  // each set keeps one
    EXPECT_EQ(opt.removed(), std::min(opt.target(), most)) << sparsity;
    const auto now = status(opt);
    for (std::size_t k = 0; k < 3; ++k)
      for (std::size_t i = 8 * k; i < 8 * (k + 1); ++i) {
        EXPECT_EQ(frugal::detail::bit_cast<std::uint32_t>(x[i]) == 0, now[k] == 2) << "q " << k;
        EXPECT_NE(x[24 + i], 0) << "o";
      }
    for (std::size_t k = 0; k < 5; ++k) EXPECT_EQ(x[48 + 30 + k] == 0, now[3 + k] == 2) << "aux " << k;
    for (std::size_t k = 0; k < 2; ++k)
      for (std::size_t j = 0; j < 3; ++j) EXPECT_EQ(x[83 + 2 * (2 * j + k)] == 0, now[8 + k] == 2) << "k " << k;
  }
}

// Without gradients a group is (q - 1 - j) / (q - 1) of what it was after j steps.
TEST(hesso, shrinks_in_equal_steps) {
  hesso opt(momentum(cpu, network(), {.lr = 0.01}, frugal::types<double>{}), hidden(),
            {.sparsity = 0.25, .start = 0, .pruning_steps = 9});
  std::vector<double> x = numbers<double>(network().size(), 1), start = x, g(x.size(), 0.);
  for (int j = 1; j <= 8; ++j) {
    opt.step(x, g);
    const auto now = status(opt);
    EXPECT_EQ(std::count(now.begin(), now.end(), j < 8 ? 1 : 2), 2);
    for (std::size_t k = 0; k < 8; ++k)
      for (std::size_t i = 5 * k; i < 5 * k + 5; ++i)
        EXPECT_NEAR(x[i], now[k] ? start[i] * (8 - j) / 8. : start[i], 1e-14 * std::abs(start[i]));
  }
}

// d is what the step did over the rate of its group: the factor changes no score, and of factor 0 d is 0.
TEST(hesso, the_rate_of_a_group) {
  const auto removed = [](double at_first, double now) {
    const layout l({{"a", {4, 2}, "slow"}, {"b", {4, 2}}}, {{.name = "slow", .lr = at_first}});
    hesso opt(momentum(cpu, l, {.lr = 0.125, .momentum = 0}, frugal::types<double>{}), {{{{"a"}}}, {{{"b"}}}},
              {.sparsity = 0.5, .magnitude = 0, .mean_magnitude = 0, .cosine = 0, .taylor1 = 1, .taylor2 = 0});
    opt.optimizer().set_group({.name = "slow", .lr = now});
    std::vector<double> x(16, 1), g{5, 5, 1, 1, 6, 6, 2, 2, 7, 7, 3, 3, 8, 8, 4, 4};
    for (int t = 0; t < 2; ++t) opt.step(x, g);
    return status(opt);
  };
  const std::vector<std::uint8_t> alike{0, 2, 0, 2, 0, 2, 0, 2}, still{2, 2, 2, 0, 0, 2, 0, 0};  // a set keeps one
  EXPECT_EQ(removed(1, 1), alike);
  EXPECT_EQ(removed(0.015625, 0.015625), alike);
  EXPECT_EQ(removed(1, 64), alike);
  EXPECT_EQ(removed(1, 0), still);
}

// A step that the optimizer skips is none: as if it had not been called.
TEST(hesso, skipped_steps_do_not_count) {
  const auto made_here = [] {
    hesso opt(momentum(cpu, network()), hidden(), {.sparsity = 0.5, .start = 1, .pruning_steps = 6, .periods = 2});
    opt.optimizer().options().skip_nonfinite = true;
    return opt;
  };
  auto opt = made_here(), alone = made_here();
  std::vector<float> x = numbers(network().size(), 1), y = x, bad(x.size(), std::nanf(""));
  const float found = 1;
  for (std::uint64_t t = 0; t < 9; ++t) {
    const auto g = numbers(network().size(), t);
    opt.step(x, bad);
    opt.optimizer().options().skip_nonfinite = false;
    opt.optimizer().options().found_inf = {&found, 1};
    opt.step(x, g);
    opt.optimizer().options().found_inf = {};
    opt.optimizer().options().skip_nonfinite = true;
    EXPECT_TRUE(same_bits(x, y)) << t;
    opt.step(x, g), alone.step(y, g);
    EXPECT_TRUE(same_bits(x, y)) << t;
    EXPECT_EQ(status(opt), status(alone)) << t;
  }
  EXPECT_EQ(opt.removed(), 4);
}

// Around shards of the states: all ranks find what one would, and skip what one of them says.
TEST(hesso, around_a_sharded_optimizer) {
  const layout l{{"w1", {64, 700}}, {"b1", {64}}, {"w2", {3, 64}}};  // of three tiles
  const hesso_config c{.sparsity = 0.5, .start = 2, .pruning_steps = 6, .periods = 2};
  const std::vector<float> found{1};
  hesso alone(momentum(cpu, l, {.lr = 0.1}), hidden(), c);
  auto x = numbers(l.size(), 1);
  const auto gradient = [&](std::uint64_t t) { return numbers(l.size(), 10 + t); };
  for (std::uint64_t t = 0; t < 10; ++t)
    if (t != 4) alone.step(x, gradient(t));
  EXPECT_EQ(alone.removed(), 32);
  const auto shares = on_ranks(4, [&](frugal::loopback_comm& world) {
    hesso opt(frugal::sharded(momentum(cpu, l, {.lr = 0.1}, frugal::shard(l, world)), world), hidden(), c);
    auto y = numbers(l.size(), 1);
    for (std::uint64_t t = 0; t < 10; ++t) {
      if (t == 4 && world.rank() == 1) opt.optimizer().options().found_inf = found;
      auto g = gradient(t);
      for (float& v : g) v *= world.rank() == 0 ? 4.f : 0.f;  // whose mean is exact
      opt.step(y, g);
      opt.optimizer().options().found_inf = {};
    }
    EXPECT_TRUE(same_bits(x, y)) << world.rank();
    EXPECT_EQ(status(opt), status(alone));
    return opt.optimizer().state_bytes();
  });
  EXPECT_EQ(shares[0] + shares[1] + shares[2] + shares[3], alone.optimizer().state_bytes());
  EXPECT_LT(shares[0], shares[0] + shares[1]);
}

// Nothing to remove: the optimizer, bit for bit.
TEST(hesso, sparsity_zero) {
  hesso opt(momentum(cpu, network()), hidden(), {.sparsity = 0, .pruning_steps = 5});
  momentum alone(cpu, network());
  std::vector<float> x = numbers(network().size(), 1), y = x;
  for (std::uint64_t t = 0; t < 9; ++t) {
    const auto g = numbers(network().size(), t);
    opt.step(x, g), alone.step(y, g);
  }
  EXPECT_TRUE(same_bits(x, y));
}

// The small network computes what the large one does.
TEST(hesso, extracts_the_network) {
  hesso opt(momentum(cpu, network(), {.lr = 1e-3}), hidden(), {.sparsity = 0.5, .pruning_steps = 4});
  std::vector<float> x = numbers(network().size(), 3);
  for (std::uint64_t t = 0; t < 6; ++t) opt.step(x, numbers(network().size(), t));
  const auto small = opt.extract(x);
  ASSERT_EQ(small.kept.size(), 1u);
  ASSERT_EQ(small.kept[0].size(), 4u);
  EXPECT_EQ(small.layout.tensors()[0].shape, (std::vector<index_t>{4, 5}));
  EXPECT_EQ(small.layout.tensors()[2].shape, (std::vector<index_t>{3, 4}));
  EXPECT_EQ(small.layout.size(), index_t(small.x.size()));
  const auto output = [](std::vector<float> const& w, int units, int o) {
    const double in[] = {0.3, -0.2, 0.5, 1, -0.7};
    float const *b1 = w.data() + 5 * units, *w2 = b1 + units;
    double y = double(w2[3 * units + o]);
    for (int k = 0; k < units; ++k) {
      double h = double(b1[k]);
      for (int i = 0; i < 5; ++i) h += double(w[std::size_t(5 * k + i)]) * in[i];
      y += double(w2[o * units + k]) * std::max(h, 0.);
    }
    return y;
  };
  for (int o = 0; o < 3; ++o) EXPECT_EQ(output(x, 8, o), output(small.x, 4, o));

  // Heads, with the columns that read them.
  hesso more(momentum(cpu, attention()), heads(), {.sparsity = 0.6, .pruning_steps = 2});
  std::vector<float> y = numbers(attention().size(), 4);
  for (std::uint64_t t = 0; t < 4; ++t) more.step(y, numbers(attention().size(), t));
  const auto cut = more.extract(y);
  const index_t h = index_t(cut.kept[0].size()), r = index_t(cut.kept[1].size()), p = index_t(cut.kept[2].size());
  EXPECT_EQ(h + r + p, 4);
  EXPECT_EQ(cut.layout.tensors()[0].shape, (std::vector<index_t>{2 * h, 4}));
  EXPECT_EQ(cut.layout.tensors()[1].shape, (std::vector<index_t>{4, 2 * h}));
  EXPECT_EQ(cut.layout.tensors()[2].shape, (std::vector<index_t>{r, 2, 3}));
  EXPECT_EQ(cut.layout.tensors()[4].shape, (std::vector<index_t>{3 * p, 2}));
  EXPECT_EQ(cut.layout.size(), index_t(cut.x.size()));
  EXPECT_EQ(cut.x[std::size_t(8 * h)], y[std::size_t(24 + 2 * cut.kept[0][0])]);
}

TEST(hesso, the_same_on_every_backend) {
  const layout l{{"w", {9, 700}}, {"b", {9}}, {"v", {257, 9}}};
  const auto end = same_on_every_backend([&](auto const& b) {
    hesso opt(momentum(b, l), {{{{"w"}, {"b"}, {"v", 1}}}},
              {.sparsity = 0.6, .start = 1, .pruning_steps = 4, .periods = 2});
    const there<float, std::remove_cvref_t<decltype(b)>> x(b, numbers(l.size(), 1)), g(b, numbers(l.size(), 2));
    for (int t = 0; t < 7; ++t) opt.step(x.all(), g.constant());
    return x.get();
  });
  EXPECT_EQ(std::count(end.begin(), end.end(), 0.f) > 5 * 900, true);
}

TEST(hesso, continues_where_it_was_saved) {
  const auto made_here = [] {
    return hesso(momentum(cpu, network()), hidden(), {.sparsity = 0.5, .start = 1, .pruning_steps = 8, .periods = 2});
  };
  for (int stop : {0, 1, 2, 3, 5, 7, 9}) {
    auto straight = made_here(), resumed = made_here();
    std::vector<float> x = numbers(network().size(), 1), y;
    for (int t = 0; t < 12; ++t) {
      if (t == stop) frugal::restore_state(resumed, frugal::save_state(straight)), y = x;
      const auto g = numbers(network().size(), std::uint64_t(t));
      straight.step(x, g);
      if (t >= stop) resumed.step(y, g);
    }
    EXPECT_TRUE(same_bits(x, y)) << stop;
    EXPECT_TRUE(same_bits(frugal::save_state(straight), frugal::save_state(resumed)));
  }
  auto one = made_here();
  hesso other(momentum(cpu, network()), {{{{"w1"}, {"b1"}}}}, {.pruning_steps = 8});
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { frugal::restore_state(other, frugal::save_state(one)); },
                                               {"a saved state's layout"}));
  // The same members in other sets.
  const layout l{{"a", {4, 2}}, {"b", {4}}, {"c", {4}}};
  const auto saved = [&](std::vector<group_set> sets) {
    hesso opt(momentum(cpu, l), std::move(sets), {.sparsity = 0});
    return frugal::save_state(opt).layout;
  };
  const auto one_set = saved({{{{"a"}, {"b"}, {"c"}}}}), first = saved({{{{"a"}}}, {{{"b"}, {"c"}}}}),
             second = saved({{{{"a"}, {"b"}}}, {{{"c"}}}});
  EXPECT_NE(first, second);
  EXPECT_NE(first, one_set);
  EXPECT_NE(second, one_set);
}

TEST(hesso, bf16_and_a_list_of_tensors) {
  using narrow = frugal::types<frugal::bf16, float>;
  const layout l = network();
  hesso opt(momentum(cpu, l, {}, narrow{}, frugal::float_master{}), hidden(), {.sparsity = 0.5, .pruning_steps = 3});
  std::vector<std::vector<frugal::bf16>> x;
  std::vector<std::vector<float>> g;
  std::vector<frugal::view<frugal::bf16>> xs;
  std::vector<frugal::view<float const>> gs;
  for (auto const& t : l.tensors()) x.push_back(numbers<frugal::bf16>(t.size, 1)), g.push_back(numbers(t.size, 2));
  for (auto& v : x) xs.push_back(v);
  for (auto& v : g) gs.push_back(v);
  for (int t = 0; t < 5; ++t) opt.step(xs, gs);
  EXPECT_EQ(opt.removed(), 4);
  int zeros = 0;
  for (frugal::bf16 v : x[1]) zeros += v.bits == 0;
  EXPECT_EQ(zeros, 4);
}

TEST(hesso, a_step_allocates_nothing) {
  hesso opt(momentum(cpu, network()), hidden(), {.sparsity = 0.5, .start = 3, .pruning_steps = 4});
  std::vector<float> x = numbers(network().size(), 1), g = numbers(network().size(), 2);
  for (int t = 1; t <= 9; ++t) {
    const long before = allocations;
    opt.step(x, g);
    EXPECT_EQ(allocations, before) << t;
  }
}

TEST(hesso, refusals) {
  const auto made_of = [](std::vector<group_set> sets, hesso_config c = {}) {
    hesso(momentum(cpu, network()), std::move(sets), c);
  };
  EXPECT_TRUE(refused([&] { made_of({{}}); }, "the members of a set of groups", "one or more", "0"));
  EXPECT_TRUE(refused([&] { made_of({{{{"w3"}}}}); }, "a tensor of a set of groups", "one of the layout", "'w3'"));
  EXPECT_TRUE(refused([&] { made_of({{{{"b1", 1}}}}); }, "the axis of 'b1' in a set of groups", "[0, 1)", "1"));
  EXPECT_TRUE(refused([&] { made_of({{{{"w1"}, {"b2"}}}}); }, "the slices of 'b2' in a set of groups", "8", "3"));
  EXPECT_TRUE(refused([&] { made_of({{{{"w1"}}}, {{{"w1", 1}}}}); }, "the groups of 'w1'", "one set", "a second one"));
  EXPECT_TRUE(refused(
      [&] {
        made_of({{{{"w1"}}, 3}});
      },
      "the axis of 'w1' in a set of groups", "a multiple of 3 heads", "8"));
  EXPECT_TRUE(refused([&] { made_of({{{{"w1"}}, 0}}); }, "the heads of a set of groups", ">= 1", "0"));
  EXPECT_TRUE(refused(
      [&] {
        made_of({{{{"w1", 0, group_part::zeroed}}}});
      },
      "the members of a set of groups", "one that is scored, and not empty", "none"));
  for (double s : {-0.1, 1., std::nan("")})
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { made_of(hidden(), {.sparsity = s}); }, {"sparsity"}));
  EXPECT_TRUE(refused([&] { made_of(hidden(), {.start = -1}); }, "start", ">= 0", "-1"));
  EXPECT_TRUE(refused([&] { made_of(hidden(), {.pruning_steps = 2, .periods = 3}); }, "pruning_steps",
                      "at least periods, 3", "2"));
  EXPECT_TRUE(refused([&] { made_of(hidden(), {.periods = 0}); }, "periods", ">= 1", "0"));
  EXPECT_TRUE(refused([&] { made_of(hidden(), {.divisible = 0}); }, "divisible", ">= 1", "0"));
  EXPECT_TRUE(
      throws<frugal::invalid_argument>([&] { made_of(hidden(), {.cosine = -1}); }, {"the weight of a criterion"}));

  EXPECT_TRUE(refused(
      [&] { made_of(hidden(), {.magnitude = 0, .mean_magnitude = 0, .cosine = 0, .taylor1 = 0, .taylor2 = 0}); },
      "the weights of the criteria", "one that is > 0", "0 for all"));
  // Of 8 groups 4 in each of two periods are no multiple of 3 that is left, 2 of 8 in one are: 6.
  for (std::int64_t periods : {1, 2})
    EXPECT_NO_THROW(made_of(hidden(), {.sparsity = 0.5, .pruning_steps = 4, .periods = periods, .divisible = 3}));
  EXPECT_TRUE(refused([&] { made_of(hidden(), {.sparsity = 0.5, .pruning_steps = 4, .periods = 4, .divisible = 3}); },
                      "sparsity, with periods and divisible", "at least 2 groups in the last period", "1"));
  const layout part = layout({{"w1", {8, 5}, "still"}, {"b1", {8}}}, {{.name = "still", .frozen = true}});
  for (auto p : {group_part::scored, group_part::zeroed, group_part::follows}) {
    const auto make = [&] { hesso(momentum(cpu, part), {{{{"w1", 0, p}, {"b1"}}}}, {.sparsity = 0}); };
    if (p == group_part::follows) EXPECT_NO_THROW(make());
    else
      EXPECT_TRUE(refused(make, "a tensor of a set of groups", "one that is not frozen, or one that follows", "'w1'"));
  }

  hesso opt(momentum(cpu, network()), hidden(), {.pruning_steps = 5});
  std::vector<float> x = numbers(network().size(), 1), before = x, g = numbers(network().size(), 2);
  const auto state = frugal::save_state(opt);
  g.pop_back();
  EXPECT_THROW(opt.step(x, g), frugal::invalid_argument);
  g.push_back(0);
  opt.optimizer().config().lr = -1;
  EXPECT_THROW(opt.step(x, g), frugal::invalid_argument);
  opt.optimizer().config().lr = 1;
  const double rate = 1;
  opt.optimizer().options().lr = {&rate, 1};
  EXPECT_TRUE(refused([&] { opt.step(x, g); }, "the rate of hesso's optimizer", "config().lr", "a view"));
  EXPECT_TRUE(same_bits(x, before));
  EXPECT_TRUE(same_bits(frugal::save_state(opt), state));
}

}  // namespace
