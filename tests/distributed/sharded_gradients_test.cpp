// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/distributed/sharded_gradients.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lamb.hpp>

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
using frugal::sharded_gradients;

const frugal::serial_backend cpu;
constexpr index_t tile = 16384;

// One that measures, of narrow parameters, with draws, whose places in the model are known to a part of it.
auto lamb_of(frugal::emulated_backend const& gpu, layout const& l) {
  return frugal::lamb(gpu, l, {.lr = 1e-2}, frugal::bf16_state{}, frugal::types<frugal::bf16, float>{},
                      frugal::stochastic{.seed = 3});
}

TEST(sharded_gradients, conforms) {
  const layout l = some_tensors();
  for (int ranks : {1, 2, 3, 4}) {
    const auto all = on_ranks(ranks, [&](loopback_comm& world) {
      const frugal::emulated_backend gpu;
      distributed_conformance run(world);
      run.train(lamb_of(gpu, l), sharded_gradients(lamb_of(gpu, shard_layout(l, world)), l, world));
      return run.digest();
    });
    for (std::uint64_t d : all) EXPECT_EQ(d, all[0]);
  }
}

// Gradients of a shard only, in bytes; nothing more is sent than in stage 1.
TEST(sharded_gradients, counts_bytes) {
  const index_t n = 40 * tile, ranks = 4;
  on_ranks(int(ranks), [&](loopback_comm& world) {
    sharded_gradients opt(adamw(cpu, shard_layout(n, world), {.lr = 1e-3}), n, world);
    EXPECT_EQ(opt.state_bytes(), std::size_t(8 * n / ranks));
    EXPECT_EQ(opt.gradient_bytes(), std::size_t(4 * n / ranks));
    std::vector<float> x = numbers(n, 1), g = numbers(n, 2);
    const auto before = opt.bytes_sent();
    opt.accumulate(g);
    opt.step(x);
    EXPECT_EQ(opt.bytes_sent() - before, 2 * (ranks - 1) * n / ranks * 4 + 3 * 16);
    return 0;
  });
}

// Two batches, in either order of the tensors: the sum of their means. Then all is as if it had been reduced at once.
TEST(sharded_gradients, accumulates) {
  on_ranks(3, [](loopback_comm& world) {
    const layout l = some_tensors();
    std::vector<float> x = numbers(l.size(), 1), y = x;
    sharded_gradients opt(adamw(cpu, shard_layout(l, world), {.lr = 1e-2}), l, world);
    adamw alone(cpu, l, {.lr = 1e-2});
    const auto me = std::uint64_t(world.rank());
    for (std::uint64_t t = 0; t < 3; ++t) {
      std::vector<float> a = numbers(l.size(), 10 * t + me), b = numbers(l.size(), 10 * t + me + 5), sum = a, other = b;
      world.all_reduce(cpu, sum, frugal::op::mean{});
      world.all_reduce(cpu, other, frugal::op::mean{});
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += other[i];
      opt.accumulate(a);
      for (std::size_t k : {4, 0, 1}) {
        auto const& its = l.tensors()[k];
        opt.accumulate(k, frugal::view<float>(b.data() + its.offset, its.size));
      }
      opt.accumulate(3, {}), opt.accumulate(2, frugal::view<float>(b.data() + l.tensors()[2].offset, 1000));
      std::vector<frugal::view<float>> list;
      for (auto const& its : l.tensors()) list.push_back({x.data() + its.offset, its.size});
      if (t == 1) opt.step(list);
      else opt.step(x);
      alone.step(y, sum);
      EXPECT_TRUE(same_bits(x, y)) << t;
    }
    return 0;
  });
}

TEST(sharded_gradients, refusals) {
  on_ranks(2, [](loopback_comm& world) {
    const layout l{{"a", {3 * tile}}, {"b", {5}}};
    sharded_gradients opt(adamw(cpu, shard_layout(l, world)), l, world);
    std::vector<float> x = numbers(l.size(), 1), before = x, a(3 * tile, 1.f);
    EXPECT_TRUE(refused([&] { opt.step(x); }, "the gradient of 'a'", "a call of accumulate()", "none"));
    opt.accumulate(0, a);
    EXPECT_TRUE(refused([&] { opt.step(x); }, "the gradient of 'b'", "a call of accumulate()", "none"));
    EXPECT_TRUE(refused([&] { opt.accumulate(1, a); }, "b", "5", "49152"));
    EXPECT_TRUE(refused([&] { opt.accumulate(2, a); }, "a tensor", "one of 2", "2"));
    EXPECT_TRUE(refused([&] { opt.accumulate(a); }, "gradient", "49157", "49152"));
    EXPECT_TRUE(same_bits(x, before));
    EXPECT_TRUE(throws<frugal::invalid_argument>([&] { sharded_gradients(adamw(cpu, l), l, world); },
                                                 {"the optimizer of a shard"}));
    EXPECT_TRUE(refused([&] { l.part(3, 2); }, "a part of a layout", "0 <= begin <= end <= 49157", "[3, 2)"));
    return 0;
  });
}

}  // namespace
