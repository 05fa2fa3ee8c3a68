// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/distributed/sharded.hpp>
#include <frugal/optim/adamr.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/muon.hpp>
#include <frugal/optim/soap.hpp>

#include <numeric>

#include "conformance.hpp"
#include "decentralized/ranks.hpp"
#include "support/bits.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::adamw;
using frugal::index_t;
using frugal::layout;
using frugal::loopback_comm;
using frugal::muon;
using frugal::owners_of_tensors;
using frugal::range;
using frugal::shard;
using frugal::shard_of_tensors;
using frugal::sharded;

const frugal::serial_backend cpu;
constexpr index_t tile = 16384;

// One that measures, of narrow parameters: with shards in blocks of 8 bits, masters and anchors.
using gpu_backend = frugal::emulated_backend;
auto adamr_of(gpu_backend const& gpu, layout const& l, range own) {
  return frugal::adamr(gpu, l, {.lr = 1e-2, .weight_decay = 1}, frugal::blockwise8_2048{},
                       frugal::types<frugal::bf16, float>{}, frugal::float_master{}, own);
}

TEST(sharded, conforms) {
  const layout l = some_tensors();
  for (int ranks : {1, 2, 3, 4}) {
    const auto all = on_ranks(ranks, [&](loopback_comm& world) {
      const gpu_backend gpu;
      distributed_conformance run(world);
      run.train(adamr_of(gpu, l, {0, l.size()}), sharded(adamr_of(gpu, l, shard(l, world)), world));
      return run.digest();
    });
    for (std::uint64_t d : all) EXPECT_EQ(d, all[0]);
  }
}

// One after the other, all of the model, whole tiles of tensors, and shares that differ by a tile at most.
TEST(shard, cuts_at_tiles) {
  const layout models[] = {0, 1, tile, tile + 1, 100 * tile + 5, {{"a", {5}}, {"b", {3}}}, some_tensors()};
  for (layout const& l : models) {
    index_t trained = 0;
    for (auto const& t : l.tensors()) trained += l.groups()[std::size_t(t.group)].frozen ? 0 : t.size;
    for (int ranks : {1, 2, 3, 4, 7, 64}) {
      index_t end = 0;
      for (int r = 0; r < ranks; ++r) {
        const range s = shard(l, r, ranks);
        EXPECT_EQ(s.begin, end);
        EXPECT_GE(s.end, s.begin);
        end = s.end;
        index_t own = 0;
        for (auto const& t : l.tensors()) {
          if (t.offset < s.begin && s.begin < t.offset + t.size) {
            EXPECT_EQ((s.begin - t.offset) % tile, 0);
            EXPECT_GE(t.offset + t.size - s.begin, tile);
          }
          if (!l.groups()[std::size_t(t.group)].frozen)
            own += std::max(index_t(0), std::min(s.end, t.offset + t.size) - std::max(s.begin, t.offset));
        }
        EXPECT_LE(own, trained / ranks + 2 * tile);
      }
      EXPECT_EQ(end, l.size());
    }
  }
  // Four tensors of two tiles and a half, over three ranks: shares of 3 1/3 tiles, from the next tile on.
  const index_t half = tile / 2, size = 2 * tile + half;
  const layout l{{"a", {size}}, {"b", {size}}, {"c", {size}}, {"d", {size}}};
  EXPECT_EQ(shard(l, 1, 3).begin, size + tile);  // 3.33 -> 3.5
  EXPECT_EQ(shard(l, 2, 3).begin, 3 * size);     // 6.67 -> 7, but half a tile is not cut off
  EXPECT_TRUE(refused([&] { shard(l, 3, 3); }, "a rank", "0 to the count of ranks - 1", "3"));
  EXPECT_TRUE(refused([&] { shard(l, 0, 0); }, "the count of ranks", ">= 1", "0"));
}

// States of a shard only, in bytes: 8 a parameter of it. Sent: a reduce-scatter and an all-gather of the model, which
// is an all-reduce of it, and for clipping a double a tile.
TEST(sharded, counts_bytes) {
  const index_t n = 40 * tile, ranks = 4;
  on_ranks(int(ranks), [&](loopback_comm& world) {
    sharded opt(adamw(cpu, n, {.lr = 1e-3}, shard(n, world)), world);
    EXPECT_EQ(opt.state_bytes(), std::size_t(8 * n / ranks));
    // In the paper's terms, with parameters of 2 bytes: 12 a parameter of the share.
    EXPECT_EQ(
        adamw(cpu, n, {}, frugal::types<frugal::bf16, float>{}, frugal::float_master{}, shard(n, world)).state_bytes(),
        std::size_t(12 * n / ranks));
    std::vector<float> x = numbers(n, 1), g = numbers(n, 2);
    using kind = frugal::message_kind;
    const auto scattered = world.bytes_sent(kind::reduce_scatter), gathered = world.bytes_sent(kind::all_gather);
    opt.step(x, g);
    EXPECT_EQ(world.bytes_sent(kind::reduce_scatter) - scattered, (ranks - 1) * n / ranks * 4);
    const std::int64_t settings = 3 * 16;
    EXPECT_EQ(world.bytes_sent(kind::all_gather) - gathered, (ranks - 1) * n / ranks * 4 + settings);
    const auto before = opt.bytes_sent();
    opt.options().clip_norm = 1;
    opt.step(x, g);
    EXPECT_EQ(opt.bytes_sent() - before, 2 * (ranks - 1) * n / ranks * 4 + settings + 3 * (n / tile / ranks) * 8);
    return 0;
  });
}

// Separate tensors, as the flat vector.
TEST(sharded, separate_tensors) {
  on_ranks(3, [](loopback_comm& world) {
    const layout l = some_tensors();
    const auto made = [&] { return sharded(adamw(cpu, l, {.lr = 1e-2}, shard(l, world)), world); };
    auto flat = made(), list = made();
    std::vector<float> x = numbers(l.size(), 1), g = numbers(l.size(), std::uint64_t(world.rank())), y = x, h = g;
    std::vector<std::vector<float>> xs, gs;
    std::vector<frugal::view<float>> ys, hs;
    for (auto const& t : l.tensors()) {
      xs.emplace_back(x.begin() + t.offset, x.begin() + t.offset + t.size);
      gs.emplace_back(g.begin() + t.offset, g.begin() + t.offset + t.size);
    }
    for (auto& v : xs) ys.push_back(v);
    for (auto& v : gs) hs.push_back(v);
    flat.options().clip_norm = list.options().clip_norm = 3;
    flat.step(x, g);
    list.step(ys, hs);
    for (auto const& t : l.tensors()) {
      const std::vector<float> want(x.begin() + t.offset, x.begin() + t.offset + t.size);
      EXPECT_TRUE(same_bits(want, xs[std::size_t(&t - l.tensors().data())])) << t.name;
    }
    hs.pop_back();
    EXPECT_TRUE(refused([&] { list.step(ys, hs); }, "the count of gradient tensors", "5", "4"));
    return 0;
  });
}

// What three ranks leave is taken up by one, two and four, and by an optimizer that is not sharded.
TEST(sharded, other_counts_of_ranks) {
  const layout l = some_tensors();
  const gpu_backend gpu;
  using weights = frugal::buffer<frugal::bf16, gpu_backend>;
  using gradients = frugal::buffer<float, gpu_backend>;
  const auto gradient = [&](int t) { return numbers(l.size(), std::uint64_t(t)); };
  const auto start = numbers<frugal::bf16>(l.size(), 99);
  std::vector<frugal::bf16> saved;
  const auto wholes = on_ranks(3, [&](loopback_comm& world) {
    sharded opt(adamr_of(gpu, l, shard(l, world)), world);
    weights x(gpu, start);
    for (int t = 0; t < 3; ++t) opt.step(x.view(), gradients(gpu, gradient(t)).view());
    if (world.rank() == 0) saved = to_host(gpu, x.view());
    return std::make_shared<frugal::whole_state>(opt.gather());
  });
  auto alone = adamr_of(gpu, l, {0, l.size()});
  frugal::restore_state(alone, wholes[0]->state());
  weights expected(gpu, saved);
  for (int t = 3; t < 5; ++t) alone.step(expected.view(), gradients(gpu, gradient(t)).view());
  for (int ranks : {1, 2, 4})
    on_ranks(ranks, [&](loopback_comm& world) {
      sharded opt(adamr_of(gpu, l, shard(l, world)), world);
      weights x(gpu, saved);
      opt.scatter(*wholes[1]);
      for (int t = 3; t < 5; ++t) {
        auto g = gradient(t);
        for (float& v : g) v *= world.rank() == 0 ? float(ranks) : 0.f;  // whose mean is exact
        opt.step(x.view(), gradients(gpu, g).view());
      }
      EXPECT_TRUE(same_bits(to_host(gpu, x.view()), to_host(gpu, expected.view()))) << ranks;
      return 0;
    });
}

// The ranks' own parts: as many ranks, each with its own.
TEST(sharded, saves_a_part) {
  on_ranks(3, [](loopback_comm& world) {
    const layout l = some_tensors();
    const auto made = [&] { return sharded(adamw(cpu, l, {.lr = 1e-2}, shard(l, world)), world); };
    auto first = made(), second = made();
    std::vector<float> x = numbers(l.size(), 1), g = numbers(l.size(), 2), y;
    first.step(x, g);
    const frugal::snapshot s = frugal::save_state(first);
    EXPECT_EQ(s.algorithm, "adamw/full");
    restore_state(second, s);
    y = x;
    first.step(x, g), second.step(y, g);
    EXPECT_TRUE(same_bits(x, y));
    frugal::snapshot other = s;
    other.layout ^= 1;
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { restore_state(second, other); }, {"a saved state's layout"}));
    return 0;
  });
}

// An infinity that one rank found, its device flag, and a factor that is not a number.
TEST(sharded, skips_together) {
  on_ranks(3, [](loopback_comm& world) {
    const index_t n = 3 * tile;
    sharded opt(adamw(cpu, n, {.lr = 1e-2}, shard(n, world)), world);
    std::vector<float> x = numbers(n, 1), g = numbers(n, 2), before = x;
    const float flag = world.rank() == 1, scale = 0.5f;
    opt.options().found_inf = {&flag, 1};
    opt.options().more_scale = {&scale, 1};
    opt.step(x, g);
    EXPECT_EQ(opt.report().skipped, 1);
    EXPECT_EQ(opt.report().steps, 0);
    EXPECT_TRUE(same_bits(x, before));
    opt.options().found_inf = {};
    opt.options().clip_norm = 1;
    if (world.rank() == 2) g[1] = std::nanf("");
    opt.step(x, g);
    EXPECT_EQ(opt.report().steps, 1);
    for (index_t i = 0; i < n; i += 1000) EXPECT_TRUE(std::isnan(x[std::size_t(i)])) << i;
    return 0;
  });
}

TEST(sharded, disagreements) {
  using body = std::function<void(loopback_comm&, bool)>;
  const auto differ = [](std::string const& about, body const& construct) {
    on_ranks(3, [&](loopback_comm& world) {
      EXPECT_TRUE(throws<frugal::comm_error>([&] { construct(world, world.rank() == 2); },
                                             {"sharded: the ranks disagree about " + about}));
      return 0;
    });
  };
  const auto with = [](loopback_comm& world, layout const& l) { sharded(adamw(cpu, l, {}, shard(l, world)), world); };
  differ("the method", [&](loopback_comm& world, bool odd) {
    if (odd) sharded(adamr_of(gpu_backend(), 100, shard(100, world)), world);
    else with(world, 100);
  });
  differ("the number of elements", [&](loopback_comm& world, bool odd) { with(world, odd ? 99 : 100); });
  differ("the layout or its frozen groups", [&](loopback_comm& world, bool odd) {
    with(world, {{{"a", {100}, "x"}}, {{.name = "x", .frozen = odd}}});
  });
  differ("the factors of groups", [&](loopback_comm& world, bool odd) {
    with(world, {{{"a", {100}, "x"}}, {{.name = "x", .lr = odd ? 0.5 : 1}}});
  });
  differ("the factors of groups, or which have full states", [&](loopback_comm& world, bool odd) {
    with(world, {{{"a", {100}, "x"}}, {{.name = "x", .full_states = odd}}});
  });
  differ("the rate or the options of a step: rank 2", [&](loopback_comm& world, bool odd) {
    sharded opt(adamw(cpu, 100, {}, shard(100, world)), world);
    std::vector<float> x = numbers(100, 1), g = x, before = x;
    opt.step(x, g);
    before = x;
    if (odd) opt.config().lr = 0.5;
    try {
      opt.step(x, g);
    } catch (...) {
      EXPECT_TRUE(same_bits(x, before));
      EXPECT_EQ(opt.report().steps, 1);
      throw;
    }
  });
  differ("the state that is scattered", [&](loopback_comm& world, bool odd) {
    sharded opt(adamw(cpu, 100, {}, shard(100, world)), world);
    std::vector<float> x = numbers(100, 1), g = x;
    auto early = opt.gather();
    opt.step(x, g);
    auto late = opt.gather();
    opt.scatter(odd ? late : early);
  });
  differ("the state that is scattered", [&](loopback_comm& world, bool odd) {
    const layout l{{"a", {2, 3}}};
    sharded opt(muon(cpu, shard_of_tensors(l, world)), l, world);
    std::vector<float> x = numbers(6, 1), g = x;
    auto early = opt.gather();
    opt.step(x, g);
    auto late = opt.gather();
    opt.scatter(odd ? late : early);
  });
}

TEST(sharded, refusals) {
  on_ranks(2, [](loopback_comm& world) {
    const index_t n = 3 * tile;
    EXPECT_TRUE(throws<frugal::invalid_argument>(
        [&] {
          sharded(adamw(cpu, n, {}, range{0, n - 1}), world);
        },
        {"the optimizer of a shard", world.rank() == 0 ? "[0, 32768)" : "[32768, 49152)"}));
    sharded opt(adamw(cpu, n, {}, shard(n, world)), world);
    std::vector<float> x = numbers(n, 1), g = numbers(n, 2), short_one = numbers(n - 1, 3), before = x;
    EXPECT_TRUE(refused([&] { opt.step(short_one, g); }, "parameters", "49152", "49151"));
    EXPECT_TRUE(refused([&] { opt.step(x, short_one); }, "gradient", "49152", "49151"));
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { opt.step(x, x); }, {"an overlap"}));
    opt.options().clip_norm = 0;
    EXPECT_TRUE(refused([&] { opt.step(x, g); }, "clip_norm", "> 0", "0"));
    opt.options().clip_norm = 1;
    opt.config().lr = -1;
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { opt.step(x, g); }, {"lr"}));
    opt.config().lr = 1e-3;
    EXPECT_TRUE(same_bits(x, before));
    EXPECT_EQ(opt.report().steps, 0);

    // States of others.
    sharded its(adamr_of(gpu_backend(), n, shard(n, world)), world);
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { opt.scatter(its.gather()); }, {"a piece of a state"}));
    sharded small(adamw(cpu, tile, {}, shard(tile, world)), world);
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { opt.scatter(small.gather()); }, {"a state's layout"}));
    return 0;
  });
}

// ---- by whole tensors
// ------------------------------------------------------------------------------------------------

// Of two tiles and of less than one, frozen, empty, vectors; neighbours whose owners rise and fall.
layout with_vectors() {
  return {{{"a", {3, 40}},
           {"bias", {700}, "vectors"},
           {"b", {2, 10007}},
           {"kept", {10, 100}, "kept"},
           {"none", {0, 4}},
           {"c", {30, 20}, "slow"},
           {"d", {6, 8, 5}},
           {"e", {12, 50}}},
          {{.name = "kept", .frozen = true}, {.name = "slow", .lr = 0.5, .weight_decay = 2}, {.name = "vectors"}}};
}
layout some_matrices() { return with_vectors().only({"default", "slow"}); }

template <class Make>
void conforms_by_tensors(layout const& l, Make const& make) {
  for (int ranks : {1, 2, 3, 4}) {
    const auto all = on_ranks(ranks, [&](loopback_comm& world) {
      distributed_conformance run(world);
      run.train(make(l), sharded(make(shard_of_tensors(l, world)), l, world));
      return run.digest();
    });
    for (std::uint64_t d : all) EXPECT_EQ(d, all[0]);
  }
}
auto muon_of(layout const& l) { return muon(cpu, l, {.weight_decay = 0.1}); }
auto soap_of(layout const& l) { return frugal::soap(cpu, l, {.frequency = 2, .max_dim = 64}); }
auto its_muon(layout const& l, loopback_comm& world) { return sharded(muon_of(shard_of_tensors(l, world)), l, world); }

TEST(sharded, muon_conforms) { conforms_by_tensors(some_matrices(), muon_of); }
TEST(sharded, soap_conforms) { conforms_by_tensors(with_vectors(), soap_of); }

// The longest first, to who has least.
TEST(shard, gives_whole_tensors) {
  using owners = std::vector<int>;
  const layout l{{{"a", {3}}, {"b", {2}}, {"c", {4}}, {"none", {0}}, {"d", {3}}, {"e", {2}}, {"k", {9}, "kept"}},
                 {{.name = "kept", .frozen = true}}};
  EXPECT_EQ(owners_of_tensors(l, 1), (owners{0, 0, 0, -1, 0, 0, -1}));
  EXPECT_EQ(owners_of_tensors(l, 2), (owners{1, 0, 0, -1, 1, 0, -1}));  // c: 0; a, d: 1; b, e: 0, of 4 and 6
  EXPECT_EQ(owners_of_tensors(l, 3), (owners{1, 1, 0, -1, 2, 2, -1}));  // b: 1 of 4, 3, 3; e: 2 of 4, 5, 3
  EXPECT_EQ(owners_of_tensors(l, 9), (owners{1, 3, 0, -1, 2, 4, -1}));
  EXPECT_EQ(owners_of_tensors(l, 2, {1, 1, 1, 5, 1, 9, 9}), (owners{1, 1, 1, -1, 1, 0, -1}));
  dice d(1);
  for (int ranks : {2, 3, 7, 64}) {  // nobody has more than a share and the largest
    std::vector<frugal::tensor_spec> tensors;
    for (int k = 0; k < 50; ++k) tensors.push_back({std::to_string(k), {index_t(d.bits() % 1000)}});
    const layout many(tensors);
    std::vector<index_t> load(std::size_t(ranks), 0);
    const auto of = owners_of_tensors(many, ranks);
    index_t largest = 0;
    for (auto const& t : many.tensors()) {
      const int owner = of[std::size_t(&t - many.tensors().data())];
      ASSERT_EQ(owner >= 0, t.size > 0);
      if (owner >= 0) load[std::size_t(owner)] += t.size;
      largest = std::max(largest, t.size);
    }
    for (index_t n : load) EXPECT_LE(n, many.size() / ranks + largest);
  }
  EXPECT_TRUE(refused([&] { owners_of_tensors(l, 0); }, "the count of ranks", ">= 1", "0"));
  EXPECT_TRUE(refused([&] { owners_of_tensors(l, 2, {1}); }, "the count of costs", "7", "1"));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { owners_of_tensors(l, 2, std::vector<double>(7, -1)); },
                                               {"the cost of a tensor"}));
}

// A rank sends gradients that are others', and its parameters to all others: on average an all-reduce.
TEST(sharded, counts_bytes_of_tensors) {
  const layout l = some_matrices();
  const auto whole = std::int64_t(muon_of(l).state_bytes());
  for (int ranks : {2, 3, 4}) {
    const auto owner = owners_of_tensors(l, ranks);
    const auto states = on_ranks(ranks, [&](loopback_comm& world) {
      index_t own = 0, others = 0, tiles = 0;
      for (std::size_t k = 0; k < owner.size(); ++k) {
        auto const& t = l.tensors()[k];
        if (owner[k] >= 0) (owner[k] == world.rank() ? own : others) += t.size;
        if (owner[k] == world.rank()) tiles += (t.size + tile - 1) / tile;
      }
      auto opt = its_muon(l, world);
      for (std::size_t k = 0; k < owner.size(); ++k) EXPECT_EQ(opt.owner(k), owner[k]);
      EXPECT_GE(opt.state_bytes(), std::size_t(4 * own));
      EXPECT_LE(opt.state_bytes(), std::size_t(4 * own) + 60 * owner.size());
      std::vector<float> x = numbers(l.size(), 1), g = numbers(l.size(), 2);
      using kind = frugal::message_kind;
      const auto scattered = world.bytes_sent(kind::reduce_scatter), gathered = world.bytes_sent(kind::all_gather);
      opt.step(x, g);
      EXPECT_EQ(world.bytes_sent(kind::reduce_scatter) - scattered, 4 * others);
      const std::int64_t settings = (ranks - 1) * 16, sent = world.bytes_sent(kind::all_gather);
      EXPECT_EQ(sent - gathered, (ranks - 1) * 4 * own + settings);
      opt.options().clip_norm = 1;
      opt.step(x, g);
      EXPECT_EQ(world.bytes_sent(kind::all_gather) - sent, (ranks - 1) * (4 * own + 8 * tiles) + settings);
      return std::int64_t(opt.state_bytes());
    });
    EXPECT_LE(std::abs(std::accumulate(states.begin(), states.end(), std::int64_t(0)) - whole), 60 * ranks);
    for (std::int64_t bytes : states) EXPECT_LT(bytes, whole);
  }
}

// A list is as the vector; a rank's part is its own; a loss scale, factors of groups and a flag reach all.
TEST(sharded, whole_tensors_in_a_list) {
  on_ranks(3, [](loopback_comm& world) {
    const layout l = some_matrices();
    auto flat = its_muon(l, world), list = its_muon(l, world);
    std::vector<float> x = numbers(l.size(), 1), g = numbers(l.size(), std::uint64_t(world.rank())), h = g, y = x;
    std::vector<frugal::view<float>> ys, hs;
    for (auto const& t : l.tensors()) {
      ys.emplace_back(y.data() + t.offset, t.size);
      hs.emplace_back(h.data() + t.offset, t.size);
    }
    const float found = world.rank() == 2;
    for (auto* opt : {&flat, &list}) {
      opt->options().clip_norm = 3;
      opt->options().gradient_scale = 0.5;
      opt->set_group({.name = "slow", .lr = 0.25});
    }
    flat.step(x, g);
    list.step(ys, hs);
    EXPECT_TRUE(same_bits(x, y));
    EXPECT_EQ(flat.report().gradient_norm, list.report().gradient_norm);
    flat.options().found_inf = {&found, 1};
    flat.step(x, g);
    EXPECT_TRUE(same_bits(x, y));
    EXPECT_EQ(flat.report().skipped, 1);
    return 0;
  });
}

// What three ranks leave of SOAP is taken up by one, two and four with other plans, and by one that is not sharded.
TEST(sharded, whole_tensors_on_other_ranks) {
  const layout l = with_vectors();
  const auto gradient = [&](int t) { return numbers(l.size(), std::uint64_t(t)); };
  std::vector<float> saved;
  const auto wholes = on_ranks(3, [&](loopback_comm& world) {
    sharded opt(soap_of(shard_of_tensors(l, world)), l, world);
    std::vector<float> x = numbers(l.size(), 99);
    for (int t = 0; t < 3; ++t) {
      auto g = gradient(t);
      opt.step(x, g);
    }
    if (world.rank() == 0) saved = x;
    return std::make_shared<frugal::whole_state>(opt.gather());
  });
  auto alone = soap_of(l);
  frugal::restore_state(alone, wholes[0]->state());
  std::vector<float> expected = saved;
  for (int t = 3; t < 6; ++t) alone.step(expected, gradient(t));
  for (int ranks : {1, 2, 4})
    on_ranks(ranks, [&](loopback_comm& world) {
      std::vector<double> cost(l.tensors().size(), 1);  // tensors go round
      sharded opt(soap_of(shard_of_tensors(l, world, cost)), l, world);
      std::vector<float> x = saved;
      opt.scatter(*wholes[1]);
      for (int t = 3; t < 6; ++t) {
        auto g = gradient(t);
        for (float& v : g) v *= world.rank() == 0 ? float(ranks) : 0.f;  // whose mean is exact
        opt.step(x, g);
      }
      EXPECT_TRUE(same_bits(x, expected)) << ranks;
      EXPECT_EQ(opt.gather().state_layout(), alone.state_layout());

      // States of others, with which nothing changes.
      const frugal::snapshot before = frugal::save_state(opt);
      auto its = its_muon(some_matrices(), world);
      EXPECT_TRUE(throws<frugal::invalid_argument>([&] { opt.scatter(its.gather()); }, {"a state's layout"}));
      frugal::snapshot other = wholes[1]->state();
      other.pieces[3].count -= 1;
      EXPECT_TRUE(throws<frugal::invalid_argument>([&] { opt.scatter(frugal::whole_state(other)); },
                                                   {"a piece of a state", "'m'"}));
      other = wholes[1]->state();
      other.pieces.pop_back();
      EXPECT_TRUE(throws<frugal::invalid_argument>([&] { opt.scatter(frugal::whole_state(other)); },
                                                   {"the count of pieces of a state"}));
      other = wholes[1]->state();
      other.algorithm = "shampoo/full";
      EXPECT_TRUE(throws<frugal::invalid_argument>([&] { opt.scatter(frugal::whole_state(other)); }, {"algorithm"}));
      const frugal::snapshot after = frugal::save_state(opt);
      for (std::size_t k = 0; k < after.pieces.size(); ++k) EXPECT_EQ(after.pieces[k].bytes, before.pieces[k].bytes);
      return 0;
    });
}

// The norm is added up in the order of the model, wherever its tensors are.
TEST(sharded, whole_tensors_in_order) {
  std::vector<frugal::tensor_spec> tensors;
  for (int k = 0; k < 60; ++k) tensors.push_back({std::to_string(k), {1 + k * 7 % 5, 3}});
  const layout l(tensors);
  on_ranks(4, [&](loopback_comm& world) {
    auto together = its_muon(l, world);
    auto alone = muon_of(l);
    together.options().clip_norm = alone.options().clip_norm = 1;
    std::vector<float> x = numbers(l.size(), 1), y = x;
    for (std::uint64_t t = 0; t < 20; ++t) {
      std::vector<float> g = numbers(l.size(), t), h;  // the same on four ranks: the mean is exact
      for (std::size_t i = 0; i < g.size(); ++i) g[i] *= std::ldexp(1.f, -int(i % 32));  // or doubles add them exactly
      h = g;
      together.step(x, g), alone.step(y, h);
      EXPECT_EQ(together.report().gradient_norm, alone.report().gradient_norm) << t;
      EXPECT_TRUE(same_bits(x, y));
    }
    return 0;
  });
}

TEST(sharded, refuses_other_tensors) {
  on_ranks(2, [](loopback_comm& world) {
    const layout l = some_matrices();
    const auto refuses = [&](layout const& seen, std::initializer_list<std::string> text) {
      EXPECT_TRUE(throws<frugal::invalid_argument>([&] { sharded(muon_of(seen), l, world); }, text));
    };
    refuses(l, {"the ranks that move tensor 'a'", "1, as frugal::shard_of_tensors(model, world) has it", "2"});
    std::vector<bool> none(l.tensors().size(), false);
    refuses(l.only_tensors(none), {"the ranks that move tensor 'a'", "0"});
    refuses(layout{{"a", {3, 40}}}, {"the ranks that move tensor 'a'", "0"});
    const layout slower{{{"a", {3, 40}, "x"}}, {{.name = "x", .lr = 0.5}}},
        same{{{"a", {3, 40}, "x"}}, {{.name = "x"}}};
    EXPECT_TRUE(
        throws<frugal::invalid_argument>([&] { sharded(muon_of(shard_of_tensors(slower, world)), same, world); },
                                         {"the ranks that move tensor 'a'", "0"}));
    std::vector<double> cost(l.tensors().size(), 1);
    cost[0] = world.rank() == 0 ? 100 : 0.5;  // each rank has another plan
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { sharded(muon_of(shard_of_tensors(l, world, cost)), l, world); },
                                                 {"the ranks that move tensor"}));
    cost[0] = 100;
    EXPECT_EQ(sharded(muon_of(shard_of_tensors(l, world, cost)), l, world).owner(0), 0);
    EXPECT_TRUE(refused([&] { l.only_tensors({true}); }, "the count of marks", "8", "1"));
    const layout v = with_vectors();
    EXPECT_TRUE(throws<frugal::invalid_argument>(
        [&] { sharded(frugal::soap(cpu, shard_of_tensors(v, world), {.spread = true}), v, world); },
        {"spread, of a sharded optimizer", "false"}));
    // The part of another rank.
    auto opt = its_muon(l, world);
    std::vector<bool> others;
    for (int owner : owners_of_tensors(l, 2)) others.push_back(owner == 1 - world.rank());
    auto its = muon_of(l.only_tensors(others));
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { restore_state(opt, frugal::save_state(its)); },
                                                 {"a saved state's layout"}));
    restore_state(opt, frugal::save_state(opt));
    return 0;
  });
}

// Fewer tensors than ranks, and none.
TEST(sharded, no_tensors) {
  on_ranks(3, [](loopback_comm& world) {
    for (layout const& l : {layout{{"a", {2, 3}}}, layout{{"none", {0, 3}}}}) {
      auto opt = its_muon(l, world);
      std::vector<float> x(std::size_t(l.size()), 1.f), g = x;
      opt.options().clip_norm = 1;
      opt.step(x, g);
      for (float v : x) EXPECT_LT(v, 1);
      EXPECT_EQ(opt.report().steps, 1);
    }
    return 0;
  });
}

TEST(sharded, nothing) {
  on_ranks(3, [](loopback_comm& world) {
    for (index_t n : {0, 1, 255, 4097}) {
      sharded opt(adamw(cpu, n, {.lr = 0.5}, shard(n, world)), world);
      std::vector<float> x(std::size_t(n), 1.f), g(std::size_t(n), 1.f);
      opt.options().clip_norm = 1;
      opt.step(x, g);
      for (float v : x) EXPECT_LT(v, 1);
      EXPECT_EQ(opt.report().steps, 1);
      opt.scatter(opt.gather());
    }
    return 0;
  });
}

}  // namespace
