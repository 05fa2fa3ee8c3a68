// SPDX-License-Identifier: Apache-2.0
// The emulated GPU is strict: each thing that it detects is planted here.
#include <frugal/backend/emulated.hpp>
#include <frugal/core/buffer.hpp>

#include <cmath>
#include <set>

#include "support/bits.hpp"

namespace {
using namespace frugal_test;
using frugal::emulated_backend;
using frugal::index_t;
template <class T>
using buffer = frugal::buffer<T, emulated_backend>;

// Kernels that the library would not have: what a team does is its rank and lane, and whether it waits.
struct order_of_teams {
  [[maybe_unused]] static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 8;
  index_t n;
  std::vector<index_t>* seen;
  index_t teams() const { return n; }
  template <class Team>
  void operator()(Team const& team) const {
    if (team.lane() == 0) seen->push_back(team.rank());
  }
};
struct order_of_lanes {
  [[maybe_unused]] static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 8;
  bool divergent;
  std::vector<unsigned>* seen;
  index_t teams() const { return 1; }
  template <class Team>
  void operator()(Team const& team) const {
    seen->push_back(team.lane());
    if (!divergent || team.lane() > 0) team.c.sync();
    seen->push_back(team.lane());
  }
};
// Each lane leaves a number and reads its neighbour's, with the barrier between or without.
struct neighbours {
  [[maybe_unused]] static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 64 * 4;
  bool barrier;
  float* out;
  index_t teams() const { return 1; }
  template <class Team>
  void operator()(Team const& team) const {
    float* s = team.template scratch<float>();
    s[team.lane()] = float(team.lane());
    if (barrier) team.c.sync();
    out[team.lane()] = s[(team.lane() + 1) % team.c.lanes()];
  }
};

TEST(emulated, memory_is_not_accessible_on_the_host) {
  const emulated_backend gpu;
  buffer<float> b(gpu, 1000);
  EXPECT_DEATH(b.data()[3] = 1, "");
  b.fill(0);  // opens it for a moment
  EXPECT_DEATH((void)*static_cast<float volatile*>(b.data() + 999), "");
}

TEST(emulated, fresh_memory_is_nan) {
  const emulated_backend gpu;
  for (float x : frugal::to_host(gpu, buffer<float>(gpu, 1000).view())) ASSERT_TRUE(std::isnan(x));
}

TEST(emulated, a_write_past_the_end_dies) {
  const emulated_backend gpu;
  buffer<float> b(gpu, 1024);
  b.fill(0);
  EXPECT_DEATH(gpu.fill(b.data(), 0, 1025 * sizeof(float)), "");
}

TEST(emulated, freed_memory_dies) {
  const emulated_backend gpu;
  float* p = buffer<float>(gpu, 1024).data();
  EXPECT_DEATH(gpu.fill(p, 0, sizeof(float)), "");
}

TEST(emulated, teams_run_once_in_an_order_that_the_seed_decides) {
  std::set<std::vector<index_t>> orders;
  for (std::uint64_t seed : {1, 2, 3}) {
    std::vector<index_t> seen;
    emulated_backend({.seed = seed, .lanes = 4}).for_teams(order_of_teams{100, &seen});
    orders.insert(seen);
    std::sort(seen.begin(), seen.end());
    for (index_t i = 0; i < 100; ++i) ASSERT_EQ(seen[std::size_t(i)], i);
  }
  EXPECT_EQ(orders.size(), 3u);
  std::vector<index_t> a, b;
  emulated_backend({.seed = 1}).for_teams(order_of_teams{100, &a});
  emulated_backend({.seed = 1}).for_teams(order_of_teams{100, &b});
  EXPECT_EQ(a, b);
}

TEST(emulated, lanes_run_between_barriers_in_shuffled_order) {
  std::vector<unsigned> seen;
  emulated_backend({.seed = 1, .lanes = 20}).for_teams(order_of_lanes{false, &seen});
  ASSERT_EQ(seen.size(), 40u);
  const std::vector<unsigned> before(seen.begin(), seen.begin() + 20), after(seen.begin() + 20, seen.end());
  EXPECT_NE(before, after);
  for (auto const& half : {before, after}) EXPECT_EQ(std::set<unsigned>(half.begin(), half.end()).size(), 20u);
}

TEST(emulated, a_divergent_barrier_throws) {
  std::vector<unsigned> seen;
  EXPECT_THROW(emulated_backend({.seed = 1, .lanes = 4}).for_teams(order_of_lanes{true, &seen}), frugal::device_error);
  seen.clear();  // and the device works on
  EXPECT_NO_THROW(emulated_backend({.seed = 1, .lanes = 4}).for_teams(order_of_lanes{false, &seen}));
}

TEST(emulated, a_missing_barrier_shows_in_the_result) {
  const auto result = [](bool barrier, std::uint64_t seed) {
    const emulated_backend gpu({.seed = seed, .lanes = 16});
    buffer<float> out(gpu, 16);
    gpu.for_teams(neighbours{barrier, out.data()});
    return frugal::to_host(gpu, out.view());
  };
  int wrong = 0;
  for (std::uint64_t seed : {1, 2, 3}) {
    EXPECT_TRUE(same_bits(result(true, 1), result(true, seed)));
    for (float x : result(false, seed)) wrong += std::isnan(x);  // scratch is NaN until somebody writes it
  }
  EXPECT_GT(wrong, 0);
}

TEST(emulated, a_team_without_lanes_is_refused) {
  std::vector<index_t> seen;
  EXPECT_THROW(emulated_backend({.seed = 1, .lanes = 0}).for_teams(order_of_teams{1, &seen}), frugal::invalid_argument);
}

}  // namespace
