// SPDX-License-Identifier: Apache-2.0
/// The demo's workers over loopback. That MPI gives the same bits is the test demo_workers_compare.
#include "training/workers_loopback.hpp"

#include <gtest/gtest.h>

#include <array>

namespace {

using world_type = bench::local_world;

bench::fashion_mnist const& images() {
  static bench::fashion_mnist const set = bench::made_up_images(1280, 200);
  return set;
}
bench::workers_task const& task() {
  static bench::workers_task const t(images(), 0);
  return t;
}

std::vector<bench::look> train(bench::method<world_type> const& how, std::uint64_t seed = 1, std::size_t looks = 99) {
  std::array<std::vector<bench::look>, 4> seen;
  frugal::run_loopback(
      4, [&](world_type& world) { seen[std::size_t(world.rank())] = bench::train(world, how, seed, task(), looks); });
  for (auto const& of_rank : seen)
    for (std::size_t k = 0; k < seen[0].size(); ++k) {
      EXPECT_EQ(of_rank[k].digest, seen[0][k].digest) << how.name;
      EXPECT_EQ(of_rank[k].bytes, seen[0][k].bytes) << how.name;
    }
  return seen[0];
}

bench::method<world_type> named(std::string const& name) {
  for (auto& m : bench::methods<world_type>())
    if (m.name == name) return m;
  throw std::invalid_argument(name);
}

TEST(workers, shards_are_equal_disjoint_and_skewed) {
  std::vector<int> taken(images().train.size());
  for (int w = 0; w < 4; ++w) {
    auto const shard = task().shard(5, w);
    EXPECT_EQ(shard.size(), 320u);
    std::array<int, 10> of_label{};
    for (std::uint32_t image : shard) ++taken[image], ++of_label[images().train.label[image]];
    std::sort(of_label.rbegin(), of_label.rend());
    EXPECT_GT(of_label[0] + of_label[1] + of_label[2] + of_label[3], 320 * 9 / 10) << "worker " << w;
    EXPECT_NE(shard, task().shard(6, w));
  }
  EXPECT_EQ(std::count(taken.begin(), taken.end(), 1), std::ptrdiff_t(taken.size()));
}

TEST(workers, batches_go_through_the_whole_shard) {
  // Each pixel's weight gets a gradient from somewhere in the shard, so an epoch's batches differ, and the next epoch's
  // from these; a worker that starts again sees the same ones.
  bench::worker a(task(), 1, 2), b(task(), 1, 2);
  bench::vector const x = a.initial();
  bench::vector g(x.size()), again(x.size());
  std::vector<std::uint64_t> seen;
  for (int k = 0; k < 20; ++k) {  // two epochs of ten batches
    a.gradient(x, g);
    b.gradient(x, again);
    EXPECT_EQ(g, again);
    seen.push_back(frugal::word_hash(g.data(), g.size() * sizeof(float)));
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
}

TEST(workers, every_method_learns_and_repeats_itself) {
  for (auto const& m : bench::methods<world_type>()) {
    auto const seen = train(m);
    ASSERT_EQ(seen.size(), task().looks.size());
    EXPECT_EQ(seen.back().step, task().steps);
    EXPECT_GT(seen.back().accuracy, 50) << m.name;  // chance: 10
    auto const again = train(m, 1, 2);
    ASSERT_EQ(again.size(), 2u);
    EXPECT_EQ(again[1].digest, seen[1].digest) << m.name;
    EXPECT_NE(again[1].digest, seen[0].digest) << m.name;
    EXPECT_NE(train(m, 2, 1)[0].digest, seen[0].digest) << m.name;
  }
}

TEST(workers, bytes_are_those_of_the_messages) {
  std::int64_t const n = task().net().layout().size(), k = n / 100, steps = task().steps, header = 64;
  auto const bytes = [](char const* name) { return train(named(name)).back().bytes; };
  std::int64_t const indices = (18 * k + 7) / 8;  // 2^18 is the power of two above n
  EXPECT_EQ(bytes("EF14, top-k"), steps * 3 * (header + 4 * k + indices));
  EXPECT_EQ(bytes("EF14, signs"), steps * 3 * (header + 4 * ((n + 255) / 256) + (n + 7) / 8));
  // 2 (ranks - 1) / ranks of the data, rounded to whole elements.
  EXPECT_NEAR(double(bytes("All-reduce")), double(steps * 6 * n), double(steps * 4 * 4));
  // Two neighbours after each 40th of 48 steps, agreement before that, and the mean at the end.
  EXPECT_NEAR(double(bytes("Gossip")), double(2 * (header + 4 * n) + 6 * n), 1000);
}

}  // namespace
