// SPDX-License-Identifier: Apache-2.0
#include <frugal/decentralized/d_psgd.hpp>
#include <frugal/decentralized/gossip.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/momentum.hpp>

#include <cmath>

#include "decentralized/ranks.hpp"
#include "support/backends.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::d_psgd;
using frugal::d_psgd_config;
using frugal::gossip;
using frugal::index_t;
using frugal::loopback_comm;
using frugal::mixing_order;
using frugal::mixing_schedule;
using frugal::topology;

const frugal::serial_backend cpu;
constexpr auto cta = mixing_order::combine_then_adapt, atc = mixing_order::adapt_then_combine;

// Plain SGD on the graph.
auto sgd(loopback_comm& world, mixing_schedule const& w, index_t n, double lr, d_psgd_config c = {}) {
  return d_psgd(frugal::momentum(cpu, n, {.lr = lr, .momentum = 0}), gossip(cpu, world, w, n), c);
}

TEST(d_psgd, golden) {
  for (golden_case const& c : read_golden("d_psgd.txt")) {
    const int ranks = c.number<int>("ranks");
    const auto n = c.number<index_t>("n");
    const d_psgd_config how{c.words("order")[0] == "cta" ? cta : atc, c.number<int>("local_steps")};
    const auto replay = [&](auto const& b, std::size_t steps) {
      using backend = std::remove_cvref_t<decltype(b)>;
      const auto all = on_ranks(ranks, [&](loopback_comm& world) {
        const auto mine = [&](std::string const& key, std::size_t t) {
          const auto line = c.numbers<float>(key, t * std::size_t(ranks) + std::size_t(world.rank()));
          EXPECT_EQ(line[0], float(world.rank()));
          return std::vector<float>(line.begin() + 1, line.end());
        };
        there<float, backend> x(b, mine("x0", 0)), g(b, mine("x0", 0));
        d_psgd train(
            frugal::momentum(
                b, n,
                {.lr = c.config("lr"), .momentum = c.config("momentum"), .weight_decay = c.config("weight_decay")}),
            gossip(b, world, topology::ring(ranks), n), how);
        for (std::size_t t = 0; t < steps; ++t) {
          g.set(mine("g", t));
          train.step(x.all(), g.constant());
          EXPECT_TRUE(same_bits(mine("x32", t), x.get())) << c.name << ", rank " << world.rank() << ", step " << t;
        }
        const auto m = piece<float>(frugal::save_state(train), "optimizer.m");
        if (steps == c.count("step")) {
          EXPECT_TRUE(same_bits(mine("m32", 0), {m.begin(), m.begin() + n})) << c.name;
        }
        return x.get();
      });
      std::vector<float> joined;
      for (auto const& x : all) joined.insert(joined.end(), x.begin(), x.end());
      return joined;
    };
    replay(cpu, c.count("step"));
    same_on_every_backend([&](auto const& b) { return replay(b, 5); });
  }
}

// A rank alone is its optimizer, bit for bit.
TEST(d_psgd, alone) {
  for (mixing_order order : {cta, atc})
    on_ranks(1, [&](loopback_comm& world) {
      std::vector<float> x = numbers(300, 1), y = x;
      const auto adamw = [] { return frugal::adamw(cpu, 300, {.weight_decay = 0.1}); };
      d_psgd train(adamw(), gossip(cpu, world, topology::custom(1, {}), 300), {.order = order});
      auto optimizer = adamw();
      for (std::uint64_t t = 0; t < 20; ++t) {
        train.step(x, numbers(300, t + 2));
        optimizer.step(y, numbers(300, t + 2));
        EXPECT_TRUE(same_bits(x, y));
      }
      return 0;
    });
}

// The complete graph mixes with J: the steps of one large batch.
TEST(d_psgd, complete_graph_is_a_large_batch) {
  constexpr int n = 50;
  const auto gradient = [](int rank, std::uint64_t t) { return numbers(n, 10 * t + std::uint64_t(rank)); };
  const auto all = on_ranks(4, [&](loopback_comm& world) {
    std::vector<float> x(n, 1.f);
    auto train = sgd(world, topology::complete(4), n, 0.01, {.order = atc});
    for (std::uint64_t t = 0; t < 30; ++t) train.step(x, gradient(world.rank(), t));
    return x;
  });
  std::vector<double> x(n, 1.);
  std::vector<double> size(n, 1.);
  for (std::uint64_t t = 0; t < 30; ++t)
    for (int r = 0; r < 4; ++r)
      for (std::size_t i = 0; i < n; ++i) {
        x[i] -= 0.01 * double(gradient(r, t)[i]) / 4;
        size[i] = std::max(size[i], std::abs(x[i]));
      }
  for (auto const& y : all) {
    EXPECT_TRUE(same_bits(y, all[0]));  // all additions are the same ones in the same order
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], x[i], 30 * 4 * 6e-8 * size[i]) << i;
  }
}

// |x|^2 / 2 with gradients of noise 1: the mean model is centralized SGD with the mean noise, whatever the graph
// (a linear speed-up), and the distance from it is that of an autoregressive process in every mode of W. 400 steps of
// 1000 coordinates, of which, correlated as they are, 1 % and 0.4 % are the standard deviations: five of those.
TEST(d_psgd, stationary_figures) {
  constexpr int ranks = 16, d = 1000, warm = 150, steps = 400;
  const double eta = 0.05;
  for (topology const& t : {topology::ring(ranks), topology::complete(ranks)}) {
    std::vector<std::vector<float>> now(ranks, std::vector<float>(d));
    double of_mean = 0, consensus = 0;
    frugal::run_loopback(ranks, [&](loopback_comm& world) {
      auto train = sgd(world, t, d, eta, {.order = atc});
      dice noise(std::uint64_t(world.rank()) + 1);
      std::vector<float>&x = now[std::size_t(world.rank())], g(d);
      for (int k = 0; k < warm + steps; ++k) {
        for (std::size_t i = 0; i < d; ++i) g[i] = float(x[i] + noise.normal());
        train.step(x, g);
        world.barrier(cpu);
        if (world.rank() == 0 && k >= warm)
          for (std::size_t i = 0; i < d; ++i) {
            double mean = 0;
            for (auto const& y : now) mean += y[i] / double(ranks);
            of_mean += mean * mean / steps;
            for (auto const& y : now) consensus += (y[i] - mean) * (y[i] - mean) / ranks / steps;
          }
        world.barrier(cpu);
      }
    });
    EXPECT_NEAR(of_mean / (eta * d / ((2 - eta) * ranks)), 1, 0.05);
    double expected = 0;  // 0 on the complete graph
    for (int k = 1; k < ranks && t.degree(0) == 2; ++k) {
      const double l = 1 / 3. + 2 / 3. * std::cos(2 * 3.14159265358979323846 * k / ranks);
      expected += double(d) / ranks * l * l * eta * eta / (1 - l * l * (1 - eta) * (1 - eta));
    }
    EXPECT_NEAR(consensus, expected, 0.02 * expected + 1e-9 * d);
  }
}

// Where constant rates lead: (I - W) X = -eta grad F(X), and X = W (X - eta grad F(X)).
TEST(d_psgd, fixed_points) {
  constexpr int ranks = 6, d = 8;
  const double eta = 0.1;
  const auto w = frugal::mixing_matrix::metropolis(topology::star(ranks));
  std::vector<std::vector<double>> a, c;
  dice random(5);
  for (int i = 0; i < ranks; ++i) {
    a.emplace_back(), c.emplace_back();
    for (int k = 0; k < d; ++k) a.back().push_back(random.between(0.5, 2)), c.back().push_back(random.between(-3, 3));
  }
  for (mixing_order order : {cta, atc}) {
    const auto x = on_ranks(ranks, [&](loopback_comm& world) {
      auto train = sgd(world, w, d, eta, {.order = order});
      std::vector<float> v(d), g(d);
      auto const &ai = a[std::size_t(world.rank())], &ci = c[std::size_t(world.rank())];
      for (int t = 0; t < 600; ++t) {
        for (std::size_t k = 0; k < d; ++k) g[k] = float(ai[k] * (v[k] - ci[k]));
        train.step(v, g);
      }
      return v;
    });
    for (std::size_t k = 0; k < d; ++k)
      for (int i = 0; i < ranks; ++i) {
        const auto moved = [&](std::size_t j) { return x[j][k] - eta * a[j][k] * (x[j][k] - c[j][k]); };
        double mixed = 0;
        for (auto const& [j, value] : w.row(i))
          mixed += value * (order == cta ? double(x[std::size_t(j)][k]) : moved(std::size_t(j)));
        const auto me = std::size_t(i);
        EXPECT_NEAR(x[me][k], order == cta ? mixed + moved(me) - x[me][k] : mixed, 2e-6);
      }
  }
}

TEST(d_psgd, continues_where_it_was_saved) {
  for (mixing_order order : {cta, atc})
    on_ranks(4, [&](loopback_comm& world) {
      const auto make = [&] {
        return d_psgd(frugal::adamw(cpu, 70), gossip(cpu, world, topology::ring(4), 70),
                      {.order = order, .local_steps = 3});
      };
      std::vector<float> x = numbers(70, std::uint64_t(world.rank())), y;
      const auto gradient = [&](int t) { return numbers(70, std::uint64_t(100 * t + world.rank())); };
      auto straight = make();
      frugal::snapshot saved;
      for (int t = 0; t < 10; ++t) {
        if (t == 5) saved = frugal::save_state(straight), y = x;
        straight.step(x, gradient(t));
      }
      auto resumed = make();
      frugal::restore_state(resumed, saved);
      EXPECT_EQ(resumed.steps(), 5);
      for (int t = 5; t < 10; ++t) resumed.step(y, gradient(t));
      EXPECT_TRUE(same_bits(x, y));
      EXPECT_TRUE(same_bits(frugal::save_state(straight), frugal::save_state(resumed)));
      EXPECT_EQ(resumed.algorithm(), "d_psgd(adamw/full, gossip)");
      EXPECT_EQ(resumed.state_bytes(), resumed.optimizer().state_bytes());
      EXPECT_EQ(resumed.mixing().round(), order == cta ? 4 : 3);
      return 0;
    });
}

TEST(d_psgd, refusals) {
  on_ranks(3, [&](loopback_comm& world) {
    const auto mix = [&](index_t n = 10) { return gossip(cpu, world, topology::ring(3), n); };
    EXPECT_TRUE(
        refused([&] { d_psgd(frugal::momentum(cpu, 10), mix(), {.local_steps = 0}); }, "local_steps", ">= 1", "0"));
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { d_psgd(frugal::momentum(cpu, 11), mix()); },
                                                 {"the layout of an optimizer and its mixing: expected one"}));
    EXPECT_TRUE(refused(
        [&] { d_psgd(frugal::momentum(cpu, 10), gossip(cpu, world, mixing_schedule::one_peer_exponential(3), 10)); },
        "the weights of d_psgd", "a symmetric matrix", "another"));
    d_psgd train(frugal::momentum(cpu, 10), mix());
    std::vector<float> x(10, 1.f), g(11), same = x;
    EXPECT_TRUE(refused([&] { train.step(x, g); }, "gradient", "10", "11"));
    EXPECT_TRUE(refused([&] { train.step(g, x); }, "parameters", "10", "11"));
    EXPECT_TRUE(refused([&] { train.step(x, {nullptr, 10}); }, "gradient", "a pointer", "null"));
    EXPECT_TRUE(
        refused([&] { train.step(x, x); }, "parameters and gradients", "memory of their own each", "an overlap"));
    train.optimizer().config().lr = -1;
    g.resize(10);
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { train.step(x, g); }, {"lr: expected "}));
    EXPECT_TRUE(same_bits(x, same));
    EXPECT_EQ(train.steps() + train.mixing().round(), 0);

    const auto differ = [&](d_psgd_config c, std::string const& about) {
      EXPECT_TRUE(throws<frugal::comm_error>(
          [&] { d_psgd(frugal::momentum(cpu, 10), mix(), world.rank() == 1 ? c : d_psgd_config{}); },
          {"frugal: d_psgd: the ranks disagree about " + about + ": rank 0 has ", ", rank 1 has "}));
    };
    differ({.order = atc}, "the order");
    differ({.local_steps = 2}, "local_steps");
    return 0;
  });
}

}  // namespace
