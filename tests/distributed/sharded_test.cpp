// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/distributed/sharded.hpp>
#include <frugal/optim/adamr.hpp>
#include <frugal/optim/adamw.hpp>

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
using frugal::range;
using frugal::shard;
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
