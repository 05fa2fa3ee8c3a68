// SPDX-License-Identifier: Apache-2.0
#include <frugal/comm/loopback.hpp>

#include "conformance.hpp"
#include "decentralized/ranks.hpp"
#include "support/backends.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::loopback_comm;
using frugal::mezo;
using frugal::mezo_config;
using frugal::rademacher;
using frugal::replicas;
using frugal::restored_from_copy;
using frugal::update_log;

const frugal::serial_backend cpu;

auto small(mezo_config c = {.lr = 0.01, .seed = 3}) { return mezo(cpu, 100, c, rademacher{}, restored_from_copy{}); }
std::vector<float> start() { return numbers(100, 7); }

TEST(replicas, conform) {
  for (int ranks : {1, 2, 3, 4}) {
    const auto all = on_ranks(ranks, [](loopback_comm& world) { return zeroth_order_conformance(world).run(); });
    for (std::uint64_t d : all) EXPECT_EQ(d, all[0]);
  }
}

// What four ranks do is what one does that has all their losses and as many directions.
TEST(replicas, are_one_optimizer_of_many_directions) {
  const auto together = on_ranks(4, [](loopback_comm& world) {
    replicas r(small(), world);
    std::vector<float> x = start();
    for (int t = 0; t < 10; ++t) r.step(x, [&] { return distance{float(world.rank())}(x); });
    return x;
  });
  mezo alone = small({.lr = 0.01, .directions = 4, .seed = 3});
  std::vector<float> x = start();
  for (int t = 0; t < 10; ++t) alone.step(x, [&](int direction) { return distance{float(direction)}(x); });
  for (auto const& other : together) EXPECT_TRUE(same_bits(x, other));
}

// What is saved is the optimizer and the weights: replicas made from them go on where the others were.
TEST(replicas, continue_where_they_were_saved) {
  on_ranks(3, [](loopback_comm& world) {
    std::vector<float> x = start(), y;
    replicas straight(small(), world);
    frugal::snapshot saved;
    const auto steps = [&](auto& r, std::vector<float>& at, int n) {
      for (int t = 0; t < n; ++t) r.step(at, [&] { return distance{float(world.rank())}(at); });
    };
    steps(straight, x, 5);
    saved = frugal::save_state(straight.optimizer()), y = x;
    steps(straight, x, 5);
    mezo zo = small();
    frugal::restore_state(zo, saved);
    replicas resumed(std::move(zo), world);
    steps(resumed, y, 5);
    EXPECT_TRUE(same_bits(x, y));
    EXPECT_EQ(resumed.log().first(), 6);
    return 0;
  });
}

// A message of 64 bytes and 16 more to each of the others, whatever the size of the model.
TEST(replicas, count_bytes) {
  on_ranks(4, [](loopback_comm& world) {
    replicas r(small(), world, {.check_every = 0});
    const std::int64_t before = r.bytes_sent();
    std::vector<float> x = start();
    for (int t = 0; t < 5; ++t) r.step(x, [] { return 1.; });
    EXPECT_EQ(r.bytes_sent() - before, 5 * 3 * 80);
    return 0;
  });
}

TEST(replicas, skip_together) {
  on_ranks(3, [](loopback_comm& world) {
    replicas r(small(), world, {.check_every = 1});
    std::vector<float> x = start();
    const auto seen = r.step(x, [&] { return world.rank() == 1 ? std::nan("") : 1.; });
    EXPECT_TRUE(seen.skipped);
    EXPECT_TRUE(same_bits(x, start()));
    EXPECT_FALSE(r.step(x, [&, k = 0]() mutable { return ++k; }).skipped);
    EXPECT_EQ(r.optimizer().steps(), 2);
    std::vector<float> y = start();
    mezo late = small();
    update_log::replay(late, y, r.log().bytes());
    EXPECT_TRUE(same_bits(x, y));
    return 0;
  });
}

// A generator that makes other signs and says that it is the same.
struct wrong_signs : rademacher {
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN static void draw(Team const& team, frugal::random_stream s, std::uint64_t dir, std::uint64_t first,
                             frugal::index_t count, unsigned char* to) {
    rademacher::draw(team, {s.seed + 1}, dir, first, count, to);
  }
};

TEST(replicas, disagreements_end_at_the_start) {
  const auto differ = [](std::string const& about, auto const& construct) {
    on_ranks(3, [&](loopback_comm& world) {
      EXPECT_TRUE(throws<frugal::comm_error>([&] { construct(world, world.rank() == 2); },
                                             {": the ranks disagree about " + about + ": rank 0 has "}));
      return 0;
    });
  };
  using frugal::layout;
  const auto with = [](loopback_comm& world, layout const& l, mezo_config c, auto kind,
                       frugal::replicas_config how = {}) {
    replicas(mezo(cpu, l, c, kind, restored_from_copy{}), world, how);
  };
  differ("random numbers", [&](loopback_comm& world, bool odd) {
    if (odd) with(world, 100, {}, wrong_signs{});
    else with(world, 100, {}, rademacher{});
  });
  differ("the method", [&](loopback_comm& world, bool odd) {
    if (odd) with(world, 100, {}, frugal::gaussian{});
    else with(world, 100, {}, rademacher{});
  });
  differ("the number of elements",
         [&](loopback_comm& world, bool odd) { with(world, odd ? 99 : 100, {}, rademacher{}); });
  differ("the layout, the support or the seed",
         [&](loopback_comm& world, bool odd) { with(world, 100, {.seed = odd ? 1u : 0u}, rademacher{}); });
  differ("the layout, the support or the seed", [&](loopback_comm& world, bool odd) {
    with(world, {{odd ? "a" : "b", {100}}}, {}, rademacher{});
  });
  differ("epsilon",
         [&](loopback_comm& world, bool odd) { with(world, 100, {.epsilon = odd ? 1e-2 : 1e-3}, rademacher{}); });
  differ("check_every",
         [&](loopback_comm& world, bool odd) { with(world, 100, {}, rademacher{}, {.check_every = odd}); });
  differ("the steps so far", [&](loopback_comm& world, bool odd) {
    auto zo = small();
    if (odd) zo.advance();
    replicas(std::move(zo), world);
  });
}

TEST(replicas, notice_other_weights) {
  on_ranks(3, [](loopback_comm& world) {
    replicas r(small(), world, {.check_every = 2});
    std::vector<float> x = start();
    r.step(x, [] { return 1.; });
    if (world.rank() == 2) x[50] = 1;
    EXPECT_TRUE(throws<frugal::comm_error>([&] { r.step(x, [] { return 1.; }); },
                                           {"the ranks disagree about the weights", ", rank 2 has "}));
    return 0;
  });
}

// A rank whose rate is another is found one step later, before anything is done with its scalar.
TEST(replicas, notice_another_history) {
  const auto errors = errors_on_ranks(2, [](loopback_comm& world) {
    replicas r(small(), world, {.check_every = 0});
    std::vector<float> x = start();
    r.step(x, [] { return 1.; });
    if (world.rank() == 1) r.optimizer().config().lr = 0.02;
    r.step(x, [] { return 1.; });
    const std::vector<float> before = x;
    try {
      r.step(x, [] { return 1.; });
    } catch (...) {
      EXPECT_TRUE(same_bits(x, before));
      EXPECT_EQ(r.optimizer().steps(), 2);
      throw;
    }
  });
  EXPECT_NE((errors[0] + errors[1]).find("the steps before, of rank "), std::string::npos) << errors[0] << errors[1];
}

TEST(replicas, damaged_messages) {
  struct kind {
    damage how;
    std::string says;
  };
  for (kind const& k : {kind{damage::altered, "the checksum of a message"},
                        kind{damage::replayed, "the round of a message: expected 3, got 2"},
                        kind{damage::foreign, "the sender of a message: expected "},
                        kind{damage::truncated, "the ranks disagree: rank "}}) {
    const auto errors = errors_on_ranks(3, [&](loopback_comm& plain) {
      damaging_transport transport(plain.transport(), frugal::message_kind::all_gather);
      if (plain.rank() == 1) transport.damage_exchange(4, k.how);  // the first is the comparison at the start
      damaging_comm<frugal::loopback_transport> world(transport);
      replicas r(small(), world, {.check_every = 0});
      std::vector<float> x = start(), before;
      for (int t = 0; t < 5; ++t) {
        before = x;
        const std::int64_t steps = r.optimizer().steps();
        try {
          r.step(x, [&] { return distance{float(world.rank())}(x); });
        } catch (...) {
          EXPECT_TRUE(same_bits(x, before));
          EXPECT_EQ(r.optimizer().steps(), steps);
          throw;
        }
      }
    });
    std::string all;
    for (auto const& e : errors) all += e + "\n";
    EXPECT_NE(all.find(k.says), all.npos) << all;
  }
}

// A log in pieces: each is only taken after the one before it, once.
TEST(update_log, lost_repeated_and_reordered_pieces) {
  mezo zo = small({.lr = 0.01, .momentum = 0.5, .directions = 2, .seed = 3});
  std::vector<float> x = start();
  update_log log(zo);
  std::vector<frugal::message> pieces;
  for (int t = 1; t <= 9; ++t) {
    zo.config().lr = 0.01 / t;
    zo.step(x, [&] { return distance{1}(x); });
    log.append(zo.last());
    if (t % 3 > 0) continue;
    EXPECT_EQ(log.first(), t - 2);
    EXPECT_EQ(log.size(), 3);
    pieces.push_back(log.bytes());
    EXPECT_EQ(pieces.back().size(), 64 + 3 * (32 + 2 * 8));
    log.clear();
  }
  mezo late = small({.momentum = 0.5, .directions = 2, .seed = 3});
  std::vector<float> y = start();
  const auto take = [&](int k) { update_log::replay(late, y, pieces[std::size_t(k)]); };
  const auto refuses = [&](int k, std::string const& expected, std::string const& got) {
    const auto before = y;
    EXPECT_TRUE(refused([&] { take(k); }, "the round of a message", expected, got));
    EXPECT_TRUE(same_bits(y, before));
  };
  refuses(1, "1", "4");
  take(0);
  refuses(0, "4", "1"), refuses(2, "4", "7");
  take(1), take(2);
  EXPECT_TRUE(same_bits(x, y));
  EXPECT_TRUE(same_bits(frugal::save_state(zo), frugal::save_state(late)));
}

TEST(update_log, the_same_on_every_backend) {
  mezo zo = small();
  std::vector<float> x = start();
  update_log log(zo);
  for (int t = 0; t < 6; ++t) zo.step(x, [&] { return distance{2}(x); }), log.append(zo.last());
  const frugal::message m = log.bytes();
  const auto y = same_on_every_backend([&](auto const& b) {
    mezo late(b, 100, {.seed = 3}, rademacher{}, restored_from_copy{});
    const there<float, std::remove_cvref_t<decltype(b)>> there_x(b, start());
    update_log::replay(late, there_x.all(), m);
    return there_x.get();
  });
  EXPECT_TRUE(same_bits(x, y));
}

TEST(update_log, refusals) {
  mezo zo = small();
  std::vector<float> x = start();
  update_log log(zo);
  zo.step(x, [] { return 1.; });
  log.append(zo.last());
  EXPECT_TRUE(refused([&] { log.append(zo.last()); }, "the step of an update", "2", "1"));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { log.append({.step = 2, .lr = 1, .scalars = {NAN}}); },
                                               {"a scalar of an update"}));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { log.append({.step = 2, .lr = -1, .scalars = {}}); }, {"lr"}));
  EXPECT_EQ(log.size(), 1);
  const frugal::message m = log.bytes();
  const std::vector<float> before = start();
  std::vector<float> y = before;
  mezo late = small();
  const auto replay = [&](auto other, std::vector<std::uint8_t> const& bytes) { update_log::replay(other, y, bytes); };
  const std::vector<std::uint8_t> bytes(m.data(), m.data() + m.size());
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { replay(small({.seed = 4}), bytes); }, {"the layout"}));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { replay(mezo(cpu, 100, {.seed = 3}), bytes); }, {"the algorithm"}));
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_THROW(replay(small(), {bytes.begin(), bytes.begin() + std::ptrdiff_t(n)}), frugal::invalid_argument);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    auto altered = bytes;
    altered[n] ^= 16;
    EXPECT_THROW(replay(small(), altered), frugal::invalid_argument) << n;
  }
  // Well-formed, but not what can be done: all of it is looked at before the first step.
  const auto reseal = [&](auto const& change) {
    frugal::message other = m;
    change(other.payload());
    other.seal({0, 1});
    return std::vector<std::uint8_t>(other.data(), other.data() + other.size());
  };
  EXPECT_TRUE(refused([&] { replay(small(), reseal([](std::uint8_t* p) { p[24] = 2; })); },
                      "the scalars of a step in a log", "at most 1", "2"));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { replay(small(), reseal([](std::uint8_t* p) { p[24] = 0; })); },
                                               {"the rest of a log"}));
  EXPECT_TRUE(
      throws<frugal::invalid_argument>([&] { replay(small(), reseal([](std::uint8_t* p) { p[7] = 0xbf; })); }, {"lr"}));
  // A model of another size, though the first step moves nothing.
  update_log idle(small());
  idle.append({.step = 1, .scalars = {}});
  y.resize(101);
  EXPECT_TRUE(refused([&] { update_log::replay(late, y, idle.bytes()); }, "parameters", "100 elements", "101"));
  EXPECT_EQ(late.steps(), 0);
  y.resize(100);
  // Nor is the first step made when it is the second that cannot be.
  zo.step(x, [] { return 1.; });
  log.append(zo.last());
  frugal::message bad = log.bytes();
  bad.payload()[40 + 7] = 0xbf;
  bad.seal({0, 1});
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { update_log::replay(late, y, bad); }, {"lr"}));
  EXPECT_EQ(late.steps(), 0);
  EXPECT_TRUE(same_bits(y, before));
}

}  // namespace
