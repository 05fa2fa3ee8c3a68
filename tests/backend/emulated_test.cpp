// SPDX-License-Identifier: Apache-2.0
// The emulated GPU is strict: each fault that it finds is planted here.
#include <frugal/backend/emulated.hpp>
#include <frugal/core/buffer.hpp>

#include <cmath>
#include <cstdlib>
#include <set>

#include "support/bits.hpp"

namespace {
using namespace frugal_test;
using frugal::emulated_backend;
using frugal::index_t;
template <class T>
using buffer = frugal::buffer<T, emulated_backend>;

// Runs f on one team; throws what the kernel's faults are.
template <class F>
void run(emulated_backend const& gpu, F const& f) {
  gpu.for_teams(f);
  gpu.sync();
}
std::string fault_of(auto const& f) {
  try {
    f();
  } catch (frugal::device_error const& e) {
    return e.what();
  }
  return "none";
}
bool has(std::string const& text, char const* part) { return text.find(part) != text.npos; }

// Work that writes or reads outside of what it was given, near it: said by an error, or to the byte by
// AddressSanitizer.
template <class F>
void expect_out_of_bounds(F const& f, [[maybe_unused]] char const* error) {
#if defined(__SANITIZE_ADDRESS__)
  EXPECT_DEATH(f(), "AddressSanitizer");
#else
  EXPECT_TRUE(has(fault_of(f), error)) << fault_of(f);
#endif
}

// What the kernels below have in common: one team, a scratch of 64 floats.
struct one_team {
  static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 64 * sizeof(float);
  index_t teams() const { return 1; }
};

// ---- memory ---------------------------------------------------------------------------------------------------------
TEST(emulated, memory_is_not_accessible_on_the_host) {
  const emulated_backend gpu;
  buffer<float> b(gpu, 1000);
  EXPECT_DEATH(b.data()[3] = 1, "");
  b.fill(0);
  gpu.sync();  // opens it for a moment
  EXPECT_DEATH((void)*static_cast<float volatile*>(b.data() + 999), "");
}

TEST(emulated, fresh_memory_is_nan) {
  const emulated_backend gpu;
  for (float x : frugal::to_host(gpu, buffer<float>(gpu, 1000).view())) ASSERT_TRUE(std::isnan(x));
}

struct touch {
  float* p;
  bool write;
  float* seen;
  void operator()() const {
    if (write) *p = 1;
    else *seen = *p;
  }
};

TEST(emulated, a_write_past_the_end_is_an_error) {
  const emulated_backend gpu;
  const buffer<float> b(gpu, 1001);  // seven floats short of a boundary
  const auto write = [&](index_t at) {
    gpu.run(touch{b.data() + at, true, nullptr});
    gpu.sync();
  };
  for (index_t at : {-16, -1, 1001, 1007}) {
    expect_out_of_bounds([&] { write(at); }, "past the memory");
    EXPECT_NO_THROW(gpu.sync());  // said once
    EXPECT_NO_THROW(write(1000));
  }
}

TEST(emulated, a_read_past_the_end_is_nan) {
  const emulated_backend gpu;
  buffer<float> b(gpu, 1001), seen(gpu, 1);
  b.fill(0);
  const auto read = [&](index_t at) {
    gpu.run(touch{b.data() + at, false, seen.data()});
    if (std::isnan(frugal::to_host(gpu, seen.view())[0])) throw frugal::device_error("test", "read", 0, "NaN");
  };
  for (index_t at : {-1, 1001, 1007}) expect_out_of_bounds([&] { read(at); }, "NaN");
}

TEST(emulated, an_access_further_out_dies) {
  const emulated_backend gpu;
  buffer<float> b(gpu, 1000), seen(gpu, 1);
  const auto late = [&](index_t at, bool write) {
    gpu.run(touch{b.data() + at, write, seen.data()});
    gpu.sync();
  };
  EXPECT_DEATH(late(1008, true), "");
  EXPECT_DEATH(late(1008, false), "");
  EXPECT_DEATH(late(-2048, false), "");
}

TEST(emulated, freed_memory_dies) {
  const emulated_backend gpu;
  float* p = buffer<float>(gpu, 1024).data();
  const buffer<float> others(gpu, 1024);  // not given the same pages
  const auto late = [&] {
    gpu.run(touch{p, true, nullptr});
    gpu.sync();
  };
  EXPECT_DEATH(late(), "");
}

TEST(emulated, a_copy_or_fill_outside_of_an_allocation_is_refused) {
  const emulated_backend gpu;
  buffer<float> b(gpu, 1000), c(gpu, 1000);
  std::vector<float> host(1000);
  EXPECT_THROW(gpu.fill(b.data(), 0, 1001 * sizeof(float)), frugal::device_error);
  EXPECT_THROW(gpu.fill(host.data(), 0, sizeof(float)), frugal::device_error);
  EXPECT_THROW(gpu.copy(b.data(), c.data() + 1, 1000 * sizeof(float)), frugal::device_error);
  EXPECT_THROW(gpu.copy(b.data(), host.data(), 4), frugal::device_error);
  EXPECT_THROW(gpu.copy_in(host.data(), host.data() + 10, 4), frugal::device_error);
  EXPECT_THROW(gpu.copy_out(host.data(), host.data() + 10, 4), frugal::device_error);
  EXPECT_NO_THROW(gpu.fill(b.data(), 0, 1000 * sizeof(float)));
}

// ---- streams --------------------------------------------------------------------------------------------------------
TEST(emulated, nothing_runs_before_somebody_waits) {
  const emulated_backend gpu;
  buffer<float> b(gpu, std::vector<float>{1, 2, 3});
  gpu.run(touch{b.data(), true, nullptr});
  std::vector<float> host{7, 7, 7};
  // gpu.copy_out() without its wait:
  frugal::emulated_vendor::copy_out(host.data(), b.data(), 3 * sizeof(float), gpu.stream());
  EXPECT_EQ(host, (std::vector<float>{7, 7, 7}));
  gpu.sync();
  EXPECT_EQ(host, (std::vector<float>{1, 2, 3}));
}

TEST(emulated, nothing_orders_two_streams_but_a_wait) {
  for (bool waits : {false, true}) {
    const emulated_backend writer, reader;
    buffer<float> b(writer, std::vector<float>{1, 2, 3});
    if (waits) writer.sync();
    EXPECT_EQ(std::isnan(frugal::to_host(reader, b.view())[0]), !waits);
  }
}

TEST(emulated, a_source_may_change_after_copy_in_and_a_copied_handle_is_the_same_stream) {
  const emulated_backend gpu;
  const emulated_backend same = gpu;
  std::vector<float> host{1, 2};
  buffer<float> b(gpu, 2);
  gpu.copy_in(b.data(), host.data(), 8);
  host = {5, 6};
  EXPECT_EQ(frugal::to_host(same, b.view()), (std::vector<float>{1, 2}));
}

TEST(emulated, freeing_waits_for_the_device) {
  const emulated_backend gpu;
  buffer<float> kept(gpu, 1);
  {
    const buffer<float> b(gpu, std::vector<float>{3});
    gpu.copy(kept.data(), b.data(), sizeof(float));
  }
  EXPECT_EQ(frugal::to_host(gpu, kept.view())[0], 3);
}

TEST(emulated, a_long_queue_begins_by_itself) {
  const emulated_backend gpu;
  buffer<float> b(gpu, 1);
  for (int i = 0; i < 5000; ++i) gpu.run(touch{b.data(), true, nullptr});
  EXPECT_EQ(frugal::to_host(gpu, b.view())[0], 1);
}

TEST(emulated, a_kernel_with_an_address_of_the_host_is_refused) {
  if (!FRUGAL_EMULATED_ARGUMENTS) GTEST_SKIP() << "this compiler cannot tell padding from arguments";
  const emulated_backend gpu;
  float on_the_stack = 0;
  std::vector<float> on_the_heap(1);
  static float static_one = 0;
  for (float* p : {&on_the_stack, on_the_heap.data(), &static_one})
    EXPECT_TRUE(has(fault_of([&] { gpu.run(touch{p, true, nullptr}); }), "memory of the host"));
  buffer<float> b(gpu, 1);
  EXPECT_NO_THROW(gpu.run(touch{b.data(), true, b.data() + 1}));  // one past the end
}

// ---- teams and lanes ------------------------------------------------------------------------------------------------
#if !FRUGAL_EMULATED_THREADS  // an order of one's own, and orders that a seed decides
struct order_of_teams {
  [[maybe_unused]] static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 0;
  index_t n;
  index_t *seen, *next;
  index_t teams() const { return n; }
  template <class Team>
  void operator()(Team const& team) const {
    if (team.lane() == 0) seen[(*next)++] = team.rank();
  }
};
TEST(emulated, teams_run_once_in_an_order_that_the_seed_decides) {
  const auto order = [](std::uint64_t seed) {
    const emulated_backend gpu({.seed = seed, .lanes = 4});
    buffer<index_t> seen(gpu, 100), next(gpu, std::vector<index_t>{0});
    run(gpu, order_of_teams{100, seen.data(), next.data()});
    return frugal::to_host(gpu, seen.view());
  };
  std::set<std::vector<index_t>> orders;
  for (std::uint64_t seed : {1, 2, 3}) {
    auto seen = order(seed);
    orders.insert(seen);
    std::sort(seen.begin(), seen.end());
    for (index_t i = 0; i < 100; ++i) ASSERT_EQ(seen[std::size_t(i)], i);
  }
  EXPECT_EQ(orders.size(), 3u);
  EXPECT_EQ(order(1), order(1));
}

struct order_of_lanes : one_team {
  index_t *seen, *next;
  order_of_lanes(index_t* s, index_t* n) : seen(s), next(n) {}
  template <class Team>
  void operator()(Team const& team) const {
    seen[(*next)++] = team.lane();
    team.sync();
    seen[(*next)++] = team.lane();
  }
};
TEST(emulated, lanes_run_between_barriers_in_shuffled_order) {
  const emulated_backend gpu({.seed = 1, .lanes = 20});
  buffer<index_t> there(gpu, 40), next(gpu, std::vector<index_t>{0});
  run(gpu, order_of_lanes{there.data(), next.data()});
  const auto seen = frugal::to_host(gpu, there.view());
  const std::vector<index_t> before(seen.begin(), seen.begin() + 20), after(seen.begin() + 20, seen.end());
  EXPECT_NE(before, after);
  for (auto const& half : {before, after}) EXPECT_EQ(std::set<index_t>(half.begin(), half.end()).size(), 20u);
}
#endif

// Barriers that not all lanes reach, or that are not the same one.
enum class barriers { same, one_missing, one_late, different };
struct synchronise : one_team {
  barriers which;
  explicit synchronise(barriers b) : which(b) {}
  template <class Team>
  void operator()(Team const& team) const {
    if (which == barriers::one_missing && team.lane() == 1) return;
    if (which == barriers::different && team.lane() == 1) team.sync();
    else team.sync();
    if (which == barriers::one_late && team.lane() == 1) team.sync();
  }
};
TEST(emulated, a_divergent_barrier_is_an_error) {
  const emulated_backend gpu({.seed = 1, .lanes = 4});
  const auto fault = [&](barriers b) { return fault_of([&] { run(gpu, synchronise(b)); }); };
  EXPECT_EQ(fault(barriers::same), "none");
  EXPECT_TRUE(has(fault(barriers::one_missing), "by some lanes"));
  EXPECT_TRUE(has(fault(barriers::one_late), "by some lanes"));
  EXPECT_TRUE(has(fault(barriers::different), "different barriers, in lines"));
  EXPECT_EQ(fault(barriers::same), "none");  // the device works on
}
// Each lane leaves a number in memory and reads its neighbour's, with the barrier between or without.
struct neighbours : one_team {
  bool barrier;
  float* out;
  neighbours(bool b, float* o) : barrier(b), out(o) {}
  template <class Team>
  void operator()(Team const& team) const {
    float* s = team.template scratch<float>();
    s[team.lane()] = float(team.lane());
    if (barrier) team.sync();
    out[team.lane()] = s[(team.lane() + 1) % team.lanes()];
  }
};
// Scratch that nobody wrote.
struct forgetful : one_team {
  float* out;
  explicit forgetful(float* o) : out(o) {}
  template <class Team>
  void operator()(Team const& team) const {
    if (team.lane() == 0) *out = team.template scratch<float>()[7];
  }
};
TEST(emulated, scratch_that_nobody_wrote_is_nan) {
  const emulated_backend gpu;
  buffer<float> out(gpu, 1), more(gpu, 16);
  run(gpu, neighbours(true, more.data()));  // also after others used it
  run(gpu, forgetful(out.data()));
  EXPECT_TRUE(std::isnan(frugal::to_host(gpu, out.view())[0]));
}

struct past_the_scratch : one_team {
  index_t at;
  explicit past_the_scratch(index_t i) : at(i) {}
  template <class Team>
  void operator()(Team const& team) const {
    if (team.lane() == 0) team.template scratch<float>()[at] = 1;
  }
};
struct odd_scratch : past_the_scratch {
  static constexpr int scratch_bytes = 63 * sizeof(float);
  using past_the_scratch::past_the_scratch;
};
TEST(emulated, a_write_past_the_scratch_is_an_error) {
  const emulated_backend gpu;
  EXPECT_EQ(fault_of([&] { run(gpu, past_the_scratch(63)); }), "none");
  expect_out_of_bounds([&] { run(gpu, past_the_scratch(-1)); }, "past its scratch");
  expect_out_of_bounds([&] { run(gpu, odd_scratch(63)); }, "past its scratch");
  EXPECT_EQ(fault_of([&] { run(gpu, odd_scratch(62)); }), "none");
  EXPECT_DEATH(run(gpu, past_the_scratch(64)), "");
}

// Two lanes, or two teams, write one place.
struct one_place {
  [[maybe_unused]] static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 64 * sizeof(float);
  enum place { in_scratch, of_lanes, of_teams, counted } where;
  float* to;
  std::uint32_t* counter;
  index_t teams() const { return where == of_teams ? 10 : 1; }
  template <class Team>
  void operator()(Team const& team) const {
    if (where == in_scratch) team.template scratch<float>()[3] = float(team.lane());
    if (where == of_lanes) *to = float(team.lane());
    if (where == of_teams && team.lane() == 0) *to = float(team.rank());
    if (where == counted) {
      std::uint32_t* mine = team.template scratch<std::uint32_t>();
      if (team.lane() == 0) *mine = 0;
      team.sync();
      team.count(mine);
      team.sync();
      if (team.lane() == 0) *counter = *mine;
    }
  }
};
TEST(emulated, lanes_may_count_in_one_place) {
  const emulated_backend gpu({.seed = 1, .lanes = 7});
  buffer<std::uint32_t> n(gpu, 1);
  run(gpu, one_place{one_place::counted, nullptr, n.data()});
  EXPECT_EQ(frugal::to_host(gpu, n.view())[0], 7u);
}

// A sum in an order that is not the canonical one.
struct sum_by_lanes : one_team {
  float const* x;
  float* out;
  sum_by_lanes(float const* from, float* to) : x(from), out(to) {}
  template <class Team>
  void operator()(Team const& team) const {
    float* s = team.template scratch<float>();
    float mine = 0;
    for (unsigned i = team.lane(); i < 1000; i += team.lanes()) mine += x[i];
    s[team.lane()] = mine;
    team.sync();
    float all = 0;
    for (unsigned k = 0; k < team.lanes(); ++k) all += s[k];
    if (team.lane() == 0) *out = all;
  }
};
TEST(emulated, dependence_on_the_count_of_lanes_shows) {
  std::set<std::uint32_t> bits;
  for (unsigned lanes : {3u, 5u, 64u}) {
    const emulated_backend gpu({.seed = 1, .lanes = lanes});
    const buffer<float> x(gpu, numbers(1000, 3));
    buffer<float> out(gpu, 1);
    run(gpu, sum_by_lanes(x.data(), out.data()));
    bits.insert(std::bit_cast<std::uint32_t>(frugal::to_host(gpu, out.view())[0]));
  }
  EXPECT_GT(bits.size(), 1u);
}

TEST(emulated, a_team_without_lanes_is_refused) {
  EXPECT_THROW(emulated_backend({.seed = 1, .lanes = 0}), frugal::invalid_argument);
}

// ---- races ----------------------------------------------------------------------------------------------------------
#if !FRUGAL_EMULATED_THREADS
TEST(emulated, a_missing_barrier_shows_in_the_result) {
  const auto result = [](bool barrier, std::uint64_t seed) {
    const emulated_backend gpu({.seed = seed, .lanes = 16});
    buffer<float> out(gpu, 16);
    run(gpu, neighbours{barrier, out.data()});
    return frugal::to_host(gpu, out.view());
  };
  int wrong = 0;
  for (std::uint64_t seed : {1, 2, 3}) {
    EXPECT_TRUE(same_bits(result(true, 1), result(true, seed)));
    for (float x : result(false, seed)) wrong += std::isnan(x);  // scratch is NaN until somebody writes it
  }
  EXPECT_GT(wrong, 0);
}

TEST(emulated, two_lanes_that_write_one_place_are_an_error_in_scratch) {
  const emulated_backend gpu;
  EXPECT_TRUE(has(fault_of([&] { run(gpu, one_place{one_place::in_scratch, nullptr, nullptr}); }), "wrote byte 1"));
}

TEST(emulated, two_that_write_one_place_in_memory_show_in_the_result) {
  for (auto where : {one_place::of_lanes, one_place::of_teams}) {
    std::set<float> results;
    for (std::uint64_t seed : {1, 2, 3, 4}) {
      const emulated_backend gpu({.seed = seed, .lanes = 16});
      buffer<float> out(gpu, 1);
      run(gpu, one_place{where, out.data(), nullptr});
      results.insert(frugal::to_host(gpu, out.view())[0]);
    }
    EXPECT_GT(results.size(), 1u);
  }
}
#else
// Lanes are threads: ThreadSanitizer reports, and ends the program with status 66.
struct in_threads : testing::Test {
  in_threads() { testing::GTEST_FLAG(death_test_style) = "threadsafe"; }
};
template <class F>
[[noreturn]] void run_and_exit(F const& kernel) {
  const emulated_backend gpu({.seed = 1, .lanes = 4});
  buffer<float> out(gpu, 64);
  kernel(gpu, out.data());
  std::exit(0);
}
TEST_F(in_threads, a_missing_barrier_is_a_race) {
  const auto run_it = [](bool barrier) {
    run_and_exit([&](auto const& gpu, float* out) { run(gpu, neighbours(barrier, out)); });
  };
  EXPECT_EXIT(run_it(false), testing::ExitedWithCode(66), "data race");
  EXPECT_EXIT(run_it(true), testing::ExitedWithCode(0), "");
}
TEST_F(in_threads, two_that_write_one_place_race) {
  for (auto where : {one_place::in_scratch, one_place::of_lanes, one_place::of_teams}) {
    const auto run_it = [&] {
      run_and_exit([&](auto const& gpu, float* out) { run(gpu, one_place{where, out, nullptr}); });
    };
    EXPECT_EXIT(run_it(), testing::ExitedWithCode(66), "data race") << where;
  }
}
#endif

}  // namespace
