// SPDX-License-Identifier: Apache-2.0
#include <frugal/decentralized/gossip.hpp>

#include <cmath>

#include "decentralized/ranks.hpp"
#include "decentralized/vectors.hpp"
#include "support/backends.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::gossip;
using frugal::gossip_config;
using frugal::index_t;
using frugal::loopback_comm;
using frugal::mixing_matrix;
using frugal::mixing_schedule;
using frugal::topology;

const frugal::serial_backend cpu;

// The vectors after so many steps.
template <class Backend>
vectors mixed(Backend const& b, mixing_schedule const& w, vectors const& start, int steps, gossip_config c = {}) {
  return on_ranks(w.size(), [&](loopback_comm& world) {
    there<float, Backend> x(b, start[std::size_t(world.rank())], 3);
    gossip mix(b, world, w, index_t(start[0].size()), c);
    for (int t = 0; t < steps; ++t) mix.step(x.all());
    return x.get();
  });
}
mixing_schedule schedule_of(std::string const& name) {
  const topology ring = topology::ring(5), grid = topology::grid(2, 3);
  if (name == "ring" || name == "two_rounds" || name == "chebyshev_ring") return ring;
  if (name == "star") return topology::star(6);
  if (name == "lazy_grid") return mixing_matrix::lazy(mixing_matrix::metropolis(grid));
  if (name == "best_grid" || name == "chebyshev_grid") return mixing_matrix::best_constant(grid);
  if (name == "one_peer") return mixing_schedule::one_peer_exponential(8);
  throw std::runtime_error("no schedule is called " + name);
}

TEST(gossip, golden) {
  for (golden_case const& c : read_golden("gossip.txt")) {
    const auto w = schedule_of(c.name);
    const bool filter = c.count("sigma") > 0;
    EXPECT_NEAR(w.turn(0).slem(), filter ? c.number<double>("sigma") : w.turn(0).slem(), 1e-14) << c.name;
    const auto ranks = std::size_t(w.size());
    const auto read = [&](std::string const& key, std::size_t step) {
      vectors x;
      for (std::size_t i = 0; i < ranks; ++i) {
        auto line = c.numbers<float>(key, step * ranks + i);
        EXPECT_EQ(line[0], float(i));
        x.emplace_back(line.begin() + 1, line.end());
      }
      return x;
    };
    const vectors start = read("x0", 0);
    const auto replay = [&](auto const& b, std::size_t steps) {
      using backend = std::remove_cvref_t<decltype(b)>;
      return joined(on_ranks(w.size(), [&](loopback_comm& world) {
        there<float, backend> x(b, start[std::size_t(world.rank())]);
        gossip mix(b, world, w, c.number<index_t>("n"), {.rounds = c.number<int>("rounds"), .chebyshev = filter});
        for (std::size_t t = 0; t < steps; ++t) {
          mix.step(x.all());
          EXPECT_TRUE(same_bits(read("x32", t)[std::size_t(world.rank())], x.get()))
              << c.name << ", rank " << world.rank() << ", step " << t;
        }
        return x.get();
      }));
    };
    replay(cpu, c.count("step"));
    same_on_every_backend([&](auto const& b) { return replay(b, 4); });
  }
}

// All sizes and both kinds of pass; against additions one by one.
TEST(gossip, every_backend_and_size) {
  const auto w = mixing_matrix::metropolis(topology::star(5));
  for (index_t n : {0, 1, 255, 256, 257, 4095, 4097, 100003}) {
    vectors start;
    for (int r = 0; r < 5; ++r) start.push_back(numbers(n, std::uint64_t(r) + 1));
    const auto got = same_on_every_backend([&](auto const& b) { return joined(mixed(b, w, start, 1)); });
    vectors want;
    for (int i = 0; i < 5; ++i) {
      // 1/5 as a float, and for the leaves, whose own weight is 4/5, as a multiple of 2^-24.
      const float other = i == 0 ? 0.2f : 3355443 * 0x1p-24f, own = i == 0 ? float(1 - 4. * other) : 1 - other;
      std::vector<float> sum;
      for (int j : i == 0 ? std::vector{0, 1, 2, 3, 4} : std::vector{0, i})
        for (std::size_t k = 0; k < std::size_t(n); ++k) {
          const float product = (j == i ? own : other) * start[std::size_t(j)][k];
          if (sum.size() <= k) sum.push_back(product);
          else sum[k] += product;
        }
      want.push_back(sum);
    }
    EXPECT_TRUE(same_bits(joined(want), got)) << n;
    if (n < 5000)
      same_on_every_backend(
          [&](auto const& b) { return joined(mixed(b, w, start, 1, {.rounds = 3, .chebyshev = true})); });
  }
}

TEST(gossip, alone_and_among_many) {
  const vectors one = normal(1, 100, 1);
  EXPECT_TRUE(same_bits(mixed(cpu, topology::custom(1, {}), one, 3)[0], one[0]));
  // The complete graph: everybody has the mean of all after one round.
  const vectors many = normal(12, 100, 2);
  const auto after = mixed(cpu, topology::complete(12), many, 1);
  for (std::size_t i = 0; i < 100; ++i)
    for (auto const& x : after) EXPECT_NEAR(x[i], mean_of(many, i), 12 * 1e-7);
}

TEST(gossip, one_period_of_one_peer_graphs_is_the_mean) {
  for (int m : {1, 2, 3, 4}) {
    const int n = 1 << m;
    vectors x(static_cast<std::size_t>(n));
    for (int r = 0; r < n; ++r) x[std::size_t(r)] = {float(r), float(r * r), 1};  // sums that floats hold
    const auto after = mixed(cpu, mixing_schedule::one_peer_exponential(n), x, m);
    for (auto const& y : after) EXPECT_TRUE(same_bits(y, {float(mean_of(x, 0)), float(mean_of(x, 1)), 1.f})) << n;
  }
}

TEST(gossip, keeps_the_mean_and_contracts) {
  for (mixing_matrix const& w :
       {mixing_matrix::metropolis(topology::ring(8)), mixing_matrix::best_constant(topology::grid(2, 4)),
        mixing_matrix::lazy(mixing_matrix::metropolis(topology::star(8)))}) {
    const vectors start = normal(8, 50, 3);
    const double sigma = w.slem(), before = spread(start);
    for (int steps : {1, 3, 10, 30}) {
      const auto after = mixed(cpu, w, start, steps);
      EXPECT_LE(spread(after), before * std::pow(sigma, 2 * steps) * (1 + 1e-5) + 1e-12 * before);
      for (std::size_t i = 0; i < 50; ++i) EXPECT_NEAR(mean_of(after, i), mean_of(start, i), 1e-7 * (1 + steps));
    }
  }
}

// Thousands of rounds do not move a consensus away: what rounding leaves has no direction, although 1/6 is no float.
TEST(gossip, a_consensus_stays) {
  const vectors start(6, numbers(40, 9));
  const auto after = mixed(cpu, topology::star(6), start, 4000);
  for (auto const& x : after)
    for (std::size_t i = 0; i < x.size(); ++i)
      EXPECT_LE(std::abs(x[i] - start[0][i]), 1.2e-5 * std::abs(start[0][i])) << i;
}

// The slowest difference of a ring, cos(2 pi i / n), shrinks by sigma a round and not faster.
TEST(gossip, the_slow_mode_is_as_slow_as_predicted) {
  const int n = 12;
  vectors x;
  for (int i = 0; i < n; ++i) x.push_back({float(std::cos(2 * 3.14159265358979323846 * i / n))});
  const double sigma = mixing_matrix::metropolis(topology::ring(n)).slem();
  EXPECT_NEAR(std::sqrt(spread(mixed(cpu, topology::ring(n), x, 40)) / spread(x)), std::pow(sigma, 40), 1e-5);
}

TEST(gossip, chebyshev) {
  const topology ring = topology::ring(16);
  const auto w = mixing_matrix::best_constant(ring);
  const auto l = frugal::laplacian_eigenvalues(ring);
  const vectors start = normal(16, 20, 5);
  // Degree 1 is the matrix itself.
  EXPECT_TRUE(
      same_bits(joined(mixed(cpu, w, start, 2, {.rounds = 1, .chebyshev = true})), joined(mixed(cpu, w, start, 2))));
  for (int k : {2, 5, 9}) {
    const double root = std::sqrt(l[1] / l.back()), c1 = std::pow((1 - root) / (1 + root), k);
    const double bound = std::pow(2 * c1 / (1 + c1 * c1), 2);
    const auto after = mixed(cpu, w, start, 1, {.rounds = k, .chebyshev = true});
    EXPECT_LE(spread(after), bound * spread(start) * (1 + 1e-4) + 1e-10) << k;
    for (std::size_t i = 0; i < 20; ++i) EXPECT_NEAR(mean_of(after, i), mean_of(start, i), 1e-6);
  }
}

// 64 ranks in a ring, 20 exchanges: plain rounds hardly move the slow modes, the filter of degree 20 does.
TEST(gossip, chebyshev_on_a_long_ring) {
  const topology ring = topology::ring(64);
  const auto w = mixing_matrix::best_constant(ring);
  vectors slow;
  for (int i = 0; i < 64; ++i) slow.push_back({float(std::cos(2 * 3.14159265358979323846 * i / 64))});
  const double before = spread(slow);
  EXPECT_NEAR(std::sqrt(spread(mixed(cpu, ring, slow, 20)) / before), std::pow(0.9968, 20), 1e-3);
  EXPECT_LE(std::sqrt(spread(mixed(cpu, w, slow, 1, {.rounds = 20, .chebyshev = true})) / before), 0.276);
}

TEST(gossip, continues_where_it_was_saved) {
  const auto w = mixing_schedule::one_peer_exponential(8);
  const vectors start = normal(8, 40, 6);
  const auto straight = mixed(cpu, w, start, 7);
  same_on_every_backend([&](auto const& b) {
    using backend = std::remove_cvref_t<decltype(b)>;
    const auto resumed = on_ranks(8, [&](loopback_comm& world) {
      there<float, backend> x(b, start[std::size_t(world.rank())]);
      frugal::snapshot saved;
      {
        gossip mix(b, world, w, 40);
        for (int t = 0; t < 4; ++t) mix.step(x.all());
        saved = frugal::save_state(mix);
      }
      gossip mix(b, world, w, 40);
      frugal::restore_state(mix, saved);
      EXPECT_EQ(mix.round(), 4);
      for (int t = 4; t < 7; ++t) mix.step(x.all());
      return x.get();
    });
    EXPECT_TRUE(same_bits(joined(straight), joined(resumed)));
    return joined(resumed);
  });
  // Not with other weights, and not on another rank.
  frugal::snapshot of_rank_0;
  on_ranks(4, [&](loopback_comm& world) {
    gossip a(cpu, world, topology::ring(4), 40), b(cpu, world, topology::star(4), 40);
    const auto refuses = [](gossip<frugal::serial_backend, frugal::loopback_transport>& g, frugal::snapshot const& s) {
      EXPECT_TRUE(throws<frugal::invalid_argument>([&] { frugal::restore_state(g, s); }, {"a saved state's layout"}));
    };
    refuses(b, frugal::save_state(a));
    if (world.rank() == 0) of_rank_0 = frugal::save_state(a);
    world.barrier(cpu);
    if (world.rank() != 0) refuses(a, of_rank_0);
    return 0;
  });
}

TEST(gossip, counts_bytes) {
  on_ranks(6, [&](loopback_comm& world) {
    const auto kind = frugal::message_kind::neighbour_exchange;
    gossip mix(cpu, world, topology::star(6), 100, {.rounds = 2});
    EXPECT_EQ(world.bytes_sent(kind), 0);
    std::vector<float> x(100);
    mix.step(x), mix.step(x);
    EXPECT_EQ(mix.round(), 4);
    EXPECT_EQ(mix.bytes_sent(), 4 * (world.rank() == 0 ? 5 : 1) * (64 + 400));
    EXPECT_EQ(mix.bytes_sent(), world.bytes_sent(kind));
    EXPECT_EQ(mix.state_bytes(), 0u);
    return 0;
  });
}

TEST(gossip, refusals) {
  on_ranks(3, [&](loopback_comm& world) {
    EXPECT_TRUE(
        refused([&] { gossip mix(cpu, world, topology::ring(4), 10); }, "the ranks of a mixing schedule", "3", "4"));
    EXPECT_TRUE(refused([&] { gossip mix(cpu, world, topology::ring(3), 10, {.rounds = 0}); }, "rounds", ">= 1", "0"));
    EXPECT_TRUE(refused(
        [&] { gossip mix(cpu, world, mixing_schedule::one_peer_exponential(3), 10, {.rounds = 2, .chebyshev = true}); },
        "the matrices of a Chebyshev filter", "1", "2"));
    EXPECT_TRUE(refused(
        [&] {
          gossip mix(cpu, world, mixing_matrix::dense({0, 1, 0, 0, 0, 1, 1, 0, 0}), 10, {.chebyshev = true});
        },
        "the matrix of a Chebyshev filter", "a symmetric one", "another"));
    gossip mix(cpu, world, topology::ring(3), 10);
    std::vector<float> x(11, 1.f);
    EXPECT_TRUE(refused([&] { mix.step(x); }, "a vector to be mixed", "10", "11"));
    EXPECT_TRUE(refused([&] { mix.step({nullptr, 10}); }, "a vector to be mixed", "a pointer", "null"));
    EXPECT_TRUE(same_bits(x, std::vector<float>(11, 1.f)));
    EXPECT_EQ(mix.round(), 0);
    return 0;
  });
}

// Whoever differs, all ranks are told, and nobody waits.
TEST(gossip, ranks_that_disagree) {
  const auto expect = [](std::string const& about, auto const& construct) {
    on_ranks(3, [&](loopback_comm& world) {
      EXPECT_TRUE(throws<frugal::comm_error>(
          [&] { construct(world, world.rank() == 2); },
          {"frugal: gossip: the ranks disagree about " + about + ": rank 0 has ", ", rank 2 has "}));
      return 0;
    });
  };
  const topology ring = topology::ring(3), path = topology::path(3);
  expect("the number of elements",
         [&](loopback_comm& world, bool odd) { gossip mix(cpu, world, ring, odd ? 11 : 10); });
  expect("the layout", [&](loopback_comm& world, bool odd) {
    gossip mix(cpu, world, ring, frugal::layout{{odd ? "b" : "a", {10}}});
  });
  expect("the weights", [&](loopback_comm& world, bool odd) { gossip mix(cpu, world, odd ? path : ring, 10); });
  expect("the options",
         [&](loopback_comm& world, bool odd) { gossip mix(cpu, world, ring, 10, {.rounds = odd ? 2 : 1}); });
}

// A message that is not the one expected ends the run everywhere, with a text, and leaves the vector as it was.
TEST(gossip, damaged_messages) {
  struct kind {
    damage how;
    std::string says;
  };
  for (kind const& k : {kind{damage::altered, "the checksum of a message"},
                        kind{damage::replayed, "the round of a message: expected 2, got 1"},
                        kind{damage::foreign, "the sender of a message: expected 2, got 0"},
                        kind{damage::truncated,
                             "the ranks disagree: rank 0 expected neighbour_exchange with tag 0 of "
                             "104 uint8 (104 bytes), got neighbour_exchange with tag 0 of 94"},
                        kind{damage::none, ""}}) {
    int ended = 0;
    const auto errors = errors_on_ranks(3, [&](loopback_comm& plain) {
      damaging_transport transport(plain.transport());
      if (plain.rank() == 1) transport.damage_exchange(3, k.how);
      damaging_comm<frugal::loopback_transport> world(transport);
      gossip mix(cpu, world, topology::ring(3), 10);
      std::vector<float> x = numbers(10, std::uint64_t(plain.rank())), before;
      for (int t = 0; t < 5; ++t) {
        before = x;
        try {
          mix.step(x);
        } catch (...) {
          EXPECT_TRUE(same_bits(x, before));
          EXPECT_EQ(mix.round(), t);
          ++ended;
          throw;
        }
      }
      world.barrier(cpu);
    });
    EXPECT_EQ(ended, k.how == damage::none ? 0 : 3);
    std::string all;
    for (auto const& e : errors) all += e + "\n";
    EXPECT_NE(all.find(k.says), all.npos) << all;
  }
}

}  // namespace
