// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/identity.hpp>
#include <frugal/compress/rand_k.hpp>
#include <frugal/compress/scaled_sign.hpp>
#include <frugal/compress/top_k.hpp>
#include <frugal/decentralized/choco.hpp>
#include <frugal/decentralized/d_psgd.hpp>
#include <frugal/optim/momentum.hpp>

#include <cmath>

#include "decentralized/choco_digest.hpp"
#include "decentralized/ranks.hpp"
#include "decentralized/vectors.hpp"
#include "support/backends.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::choco;
using frugal::gossip;
using frugal::identity;
using frugal::index_t;
using frugal::loopback_comm;
using frugal::mixing_matrix;
using frugal::scaled_sign;
using frugal::top_k;
using frugal::topology;

const frugal::serial_backend cpu;

// A golden case on a backend. Joins the vectors at their end.
template <class Backend, class C>
std::vector<float> replay(golden_case const& c, Backend const& b, C how) {
  using one = frugal::lanes<float, 1>;
  const int ranks = c.number<int>("ranks");
  const auto n = c.number<index_t>("n");
  const topology t = ranks == 5 ? topology::ring(5) : topology::star(ranks);
  const auto eta = float(c.number<double>("eta"));
  return joined(on_ranks(ranks, [&](loopback_comm& world) {
    const auto mine = [&](std::string const& key, std::size_t at) {
      const auto line = c.numbers<float>(key, at * std::size_t(ranks) + std::size_t(world.rank()));
      EXPECT_EQ(line[0], float(world.rank()));
      return std::vector<float>(line.begin() + 1, line.end());
    };
    there<float, Backend> x(b, mine("x0", 0));
    choco mix(b, world, t, n, how, {.gamma = c.number<double>("gamma")});
    for (std::size_t k = 0; k < c.count("step"); ++k) {
      auto here = x.get();
      for (std::size_t i = 0; i < here.size() && eta > 0; ++i)
        here[i] = (one(here[i]) - one(eta) * one(mine("g", k)[i])).v[0];
      x.set(here);
      mix.step(x.all());
      EXPECT_TRUE(same_bits(mine("x32", k), x.get())) << c.name << ", rank " << world.rank() << ", step " << k;
    }
    const auto state = frugal::save_state(mix);
    EXPECT_TRUE(same_bits(mine("h32", 0), piece<float>(state, "h"))) << c.name;
    EXPECT_TRUE(same_bits(mine("u32", 0), piece<float>(state, "u"))) << c.name;
    EXPECT_EQ(mix.state_bytes(), 2 * std::size_t(n) * sizeof(float));
    return x.get();
  }));
}

TEST(choco, golden) {
  for (golden_case const& c : read_golden("choco.txt")) {
    std::string const& how = c.words("compressor")[0];
    const auto k = c.count("k") ? c.number<index_t>("k") : 0;
    if (how == "identity") replay(c, cpu, identity{});
    if (how == "scaled_sign") same_on_every_backend([&](auto const& b) { return replay(c, b, scaled_sign{}); });
    if (how == "top_k") replay(c, cpu, top_k{.k = k});
  }
}

// CHOCO-SGD: the product with a local optimizer, step by step; and in the other order, where the gradient is that of
// the model before it was mixed.
TEST(choco, as_the_mixing_of_d_psgd) {
  for (auto order : {frugal::mixing_order::adapt_then_combine, frugal::mixing_order::combine_then_adapt})
    on_ranks(3, [&](loopback_comm& world) {
      const auto mixing = [&] { return choco(cpu, world, topology::ring(3), 40, top_k{.k = 4}, {0.5}); };
      frugal::d_psgd train(frugal::momentum(cpu, 40), mixing(), {.order = order});
      frugal::momentum optimizer(cpu, 40);
      auto mix = mixing();
      std::vector<float> x = numbers(40, 1), y = x;
      for (std::uint64_t t = 0; t < 10; ++t) {
        const auto g = numbers(40, 10 * t + std::uint64_t(world.rank()));
        train.step(x, g);
        if (order == frugal::mixing_order::combine_then_adapt) mix.step(y);
        optimizer.step(y, g);
        if (order == frugal::mixing_order::adapt_then_combine) mix.step(y);
        EXPECT_TRUE(same_bits(x, y)) << t;
      }
      EXPECT_EQ(train.algorithm(), "d_psgd(momentum/full, choco/top_k)");
      return 0;
    });
}

// The vectors after so many rounds on a graph.
template <class C>
vectors mixed(mixing_matrix const& w, vectors const& start, int rounds, C how, double gamma) {
  return on_ranks(w.size(), [&](loopback_comm& world) {
    auto x = start[std::size_t(world.rank())];
    choco mix(cpu, world, w, index_t(x.size()), how, {gamma});
    for (int t = 0; t < rounds; ++t) mix.step(x);
    return x;
  });
}

TEST(choco, every_size) {
  const auto w = mixing_matrix::metropolis(topology::path(3));
  for (index_t n : {1, 255, 256, 257, 4095, 4097, 100003}) {
    const vectors start = {numbers(n, 1), numbers(n, 2), numbers(n, 3)};
    same_on_every_backend([&](auto const& b) {
      using backend = std::remove_cvref_t<decltype(b)>;
      return joined(on_ranks(3, [&](loopback_comm& world) {
        there<float, backend> x(b, start[std::size_t(world.rank())], 3);
        choco sign(b, world, w, n, scaled_sign{}, {0.3});
        sign.step(x.all()), sign.step(x.all());
        return x.get();
      }));
    });
  }
  EXPECT_EQ(mixed(w, vectors(3), 2, top_k{.ratio = 0.5}, 0.5), vectors(3));
}

TEST(choco, a_device_gives_the_bits_of_serial) { EXPECT_EQ(digest_of_rounds(cpu), choco_digest); }

// Nothing compressed and gamma = 1: xhat is x, but for the rounding of differences, and a round is one of gossip.
TEST(choco, without_compression_it_is_gossip) {
  const auto w = mixing_matrix::metropolis(topology::star(6));
  const vectors start = normal(6, 100, 1);
  const auto plain = on_ranks(6, [&](loopback_comm& world) {
    auto x = start[std::size_t(world.rank())];
    gossip mix(cpu, world, w, 100, {.rounds = 30});
    mix.step(x);
    return x;
  });
  const auto compressed = mixed(w, start, 30, identity{}, 1);
  for (std::size_t r = 0; r < 6; ++r)
    for (std::size_t i = 0; i < 100; ++i) EXPECT_NEAR(compressed[r][i], plain[r][i], 30 * 6e-7);
}

// A rank alone stays what it is, whatever it sends to nobody.
TEST(choco, alone) {
  const vectors x{numbers(100, 1)};
  EXPECT_TRUE(same_bits(mixed(mixing_matrix::metropolis(topology::custom(1, {})), x, 5, top_k{.k = 3}, 0.5)[0], x[0]));
}

// After every round: the mean is that of the start, xhat + u is the weighted sum of all xhat, and whoever puts a rank's
// messages together has its xhat, bit for bit. Roundings of u, of some 1e-7, add up in it, and stay in the mean.
TEST(choco, invariants) {
  const auto w = mixing_matrix::metropolis(topology::grid(2, 3));
  const vectors start = normal(6, 64, 2);
  const auto check = [&](auto how, double gamma) {
    vectors x = start, h(6), u(6), rebuilt(6, std::vector<float>(64));
    frugal::run_loopback(6, [&](loopback_comm& world) {
      const auto me = std::size_t(world.rank());
      choco mix(cpu, world, w, 64, how, {gamma});
      frugal::ef21 same(cpu, 64, how, world.rank());  // its messages are those that choco sends
      const auto look = [&](double tolerance) {
        const auto state = frugal::save_state(mix);
        h[me] = piece<float>(state, "h"), u[me] = piece<float>(state, "u");
        world.barrier(cpu);
        for (std::size_t i = 0; i < 64; ++i) {
          double sum = 0;
          for (auto const& [j, value] : w.row(world.rank())) sum += value * h[std::size_t(j)][i];
          EXPECT_NEAR(double(h[me][i]) + u[me][i], sum, tolerance);
          EXPECT_NEAR(mean_of(x, i), mean_of(start, i), 2e-6);
        }
        world.barrier(cpu);
      };
      for (std::uint64_t t = 0; t < 40; ++t) {
        auto const& sent = same.compress(x[me]);
        same.add_to(rebuilt[me], {sent.data(), sent.size()}, 1, {std::int32_t(me), t});
        mix.step(x[me]);
        look(2e-6);
        EXPECT_TRUE(same_bits(h[me], rebuilt[me])) << t;
        EXPECT_TRUE(same_bits(h[me], {mix.public_copy().begin(), mix.public_copy().end()}));
      }
      auto damaged = frugal::save_state(mix);
      for (auto& p : damaged.pieces)
        if (p.name == "u") std::fill(p.bytes.begin(), p.bytes.end(), std::uint8_t(0));
      frugal::restore_state(mix, damaged);
      mix.resynchronise();
      look(8e-7);
    });
  };
  check(top_k{.k = 6}, 0.3);
  check(scaled_sign{}, 0.3);
  check(frugal::rand_k{.k = 6, .seed = 5}, 0.2);  // which elements a message holds follows from its stamp
}

// A ring of 25 ranks, d = 200, x ~ N(0, 1), to a relative squared error of 1e-6: with everything, 20 and 4 of 200
// elements a message it takes 271, 950 and 3400 rounds (in double precision, and other random numbers); here as many to
// within 10 %.
TEST(choco, ring_of_25) {
  const auto w = mixing_matrix::metropolis(topology::ring(25));
  const vectors start = normal(25, 200, 7);
  const auto expect = [&](auto how, double gamma, int rounds) {
    vectors x = start;
    frugal::run_loopback(25, [&](loopback_comm& world) {
      auto& mine = x[std::size_t(world.rank())];
      choco mix(cpu, world, w, 200, how, {gamma});
      for (int t = 1; t <= rounds + rounds / 10; ++t) {
        mix.step(mine);
        if (t != rounds - rounds / 10) continue;
        world.barrier(cpu);
        EXPECT_GT(spread(x) / spread(start), 1e-6) << how.name;
        world.barrier(cpu);
      }
    });
    EXPECT_LT(spread(x) / spread(start), 1e-6) << how.name;
  };
  expect(identity{}, 1, 271);
  expect(top_k{.k = 20}, 0.3, 950);
  expect(top_k{.k = 4}, 0.08, 3400);
}

// The error falls at one rate and has no floor but that of floats; thousands of rounds later it is still there, and the
// mean where it was.
TEST(choco, converges_linearly_and_stays) {
  const auto w = mixing_matrix::metropolis(topology::ring(6));
  const vectors start = normal(6, 50, 3);
  const auto error = [&](vectors const& x) { return spread(x) / spread(start); };
  double last = 1;
  for (int rounds : {60, 120, 180, 240}) {
    const double now = error(mixed(w, start, rounds, top_k{.k = 10}, 0.3));
    EXPECT_LT(now, 0.1 * last + 1e-13) << rounds;
    last = now;
  }
  const auto after = mixed(w, start, 6000, top_k{.k = 10}, 0.3);
  EXPECT_LT(error(after), 1e-13);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_NEAR(mean_of(after, i), mean_of(start, i), 1e-4);
}

TEST(choco, continues_where_it_was_saved) {
  on_ranks(4, [&](loopback_comm& world) {
    const auto make = [&] { return choco(cpu, world, topology::ring(4), 90, top_k{.k = 9}, {0.3}); };
    std::vector<float> x = numbers(90, std::uint64_t(world.rank())), y;
    auto straight = make();
    frugal::snapshot saved;
    for (int t = 0; t < 8; ++t) {
      if (t == 5) saved = frugal::save_state(straight), y = x;
      straight.step(x);
    }
    auto resumed = make();
    frugal::restore_state(resumed, saved);
    EXPECT_EQ(resumed.round(), 5);
    for (int t = 5; t < 8; ++t) resumed.step(y);
    EXPECT_TRUE(same_bits(x, y));
    EXPECT_TRUE(same_bits(frugal::save_state(straight), frugal::save_state(resumed)));
    return 0;
  });
}

TEST(choco, starts_from_equal_vectors) {
  on_ranks(3, [&](loopback_comm& world) {
    choco mix(cpu, world, topology::ring(3), 50, top_k{.k = 5}, {0.5});
    const std::vector<float> x = numbers(50, 1);
    std::vector<float> y = numbers(50, std::uint64_t(world.rank()) + 2);
    for (int t = 0; t < 3; ++t) mix.step(y);  // what was before is forgotten
    mix.start_from(x);
    EXPECT_EQ(mix.round(), 0);
    y = x;
    mix.step(y);  // nobody differs: nothing moves
    EXPECT_TRUE(same_bits(x, y));
    EXPECT_EQ(mix.round(), 1);
    y[7] += world.rank() == 2 ? 1.f : 0.f;
    EXPECT_TRUE(throws<frugal::comm_error>(
        [&] { mix.start_from(y); },
        {"frugal: choco/top_k: the ranks disagree about the vector to start from: rank 0 has ", ", rank 2 has "}));
    EXPECT_EQ(mix.round(), 1);
    EXPECT_TRUE(refused([&] { mix.start_from({x.data(), 49}); }, "a vector to start from", "50", "49"));
    return 0;
  });
}

TEST(choco, counts_bytes) {
  on_ranks(5, [&](loopback_comm& world) {
    choco mix(cpu, world, topology::star(5), 1000, top_k{.k = 10}, {0.5});
    std::vector<float> x = numbers(1000, 1);
    for (int t = 0; t < 3; ++t) mix.step(x);
    EXPECT_EQ(mix.bytes_sent(), 3 * (world.rank() == 0 ? 4 : 1) * (64 + 10 * 4 + (10 * 10 + 7) / 8));
    EXPECT_EQ(mix.bytes_sent(), world.bytes_sent(frugal::message_kind::neighbour_exchange));
    return 0;
  });
}

TEST(choco, refusals) {
  on_ranks(3, [&](loopback_comm& world) {
    const auto make = [&](frugal::mixing_schedule const& w, double gamma) {
      return choco(cpu, world, w, 10, top_k{.k = 2}, {gamma});
    };
    const auto ring = topology::ring(3);
    for (double gamma : {0., -1., std::nan("")})
      EXPECT_TRUE(throws<frugal::invalid_argument>([&] { make(ring, gamma); }, {"gamma: expected (0, 1], got "}));
    EXPECT_TRUE(refused([&] { make(ring, 1.5); }, "gamma", "[0, 1]", "1.5"));
    EXPECT_TRUE(
        refused([&] { make(frugal::mixing_schedule::one_peer_exponential(3), 1); }, "the matrices of choco", "1", "2"));
    EXPECT_TRUE(refused(
        [&] {
          make(mixing_matrix::dense({0, 1, 0, 0, 0, 1, 1, 0, 0}), 1);
        },
        "the weights of choco", "a symmetric matrix", "another"));
    EXPECT_TRUE(refused([&] { choco(cpu, world, ring, 10, top_k{.k = 11}, {1}); }, "k", "1 to 10", "11"));
    auto mix = make(ring, 1);
    std::vector<float> x(9);
    EXPECT_TRUE(refused([&] { mix.step(x); }, "a vector to be mixed", "10", "9"));
    EXPECT_EQ(mix.round(), 0);
    const auto differ = [&](std::string const& about, auto const& construct) {
      EXPECT_TRUE(throws<frugal::comm_error>([&] { construct(world.rank() == 2); },
                                             {": the ranks disagree about " + about + ": rank 0 has "}));
    };
    differ("the options", [&](bool odd) { make(ring, odd ? 0.5 : 1); });
    differ("the options", [&](bool odd) { choco(cpu, world, ring, 10, top_k{.k = odd ? 3 : 2}, {1}); });
    differ("the method", [&](bool odd) {
      if (odd) gossip(cpu, world, ring, 10);
      else make(ring, 1);
    });
    return 0;
  });
}

TEST(choco, damaged_messages) {
  struct kind {
    damage how;
    std::string says;
  };
  for (kind const& k : {kind{damage::altered, "the checksum of a message"},
                        kind{damage::replayed, "the round of a message: expected 2, got 1"},
                        kind{damage::foreign, "the sender of a message: expected 2, got 0"},
                        kind{damage::truncated, "the ranks disagree: rank 0 expected neighbour_exchange"}}) {
    int ended = 0;
    const auto errors = errors_on_ranks(3, [&](loopback_comm& plain) {
      damaging_transport transport(plain.transport());
      if (plain.rank() == 1) transport.damage_exchange(3, k.how);
      damaging_comm<frugal::loopback_transport> world(transport);
      choco mix(cpu, world, topology::ring(3), 40, top_k{.k = 4}, {0.5});
      std::vector<float> x = numbers(40, std::uint64_t(plain.rank()) + 1), before;
      frugal::snapshot state;
      for (int t = 0; t < 5; ++t) {
        before = x, state = frugal::save_state(mix);
        try {
          mix.step(x);
        } catch (...) {
          EXPECT_TRUE(same_bits(x, before));
          EXPECT_TRUE(same_bits(state, frugal::save_state(mix)));
          ++ended;
          throw;
        }
      }
    });
    EXPECT_EQ(ended, 3);
    std::string all;
    for (auto const& e : errors) all += e + "\n";
    EXPECT_NE(all.find(k.says), all.npos) << all;
  }
}

}  // namespace
