// SPDX-License-Identifier: Apache-2.0
// What every backend must do: memory, loops at sizes around every boundary, teams.
#include <frugal/core/concepts.hpp>

#include <atomic>
#include <chrono>
#include <thread>

#include "support/backends.hpp"
#include "toy_backend.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;

static_assert(frugal::team_backend<frugal::serial_backend>);
static_assert(frugal::team_backend<frugal::tbb_backend>);
static_assert(frugal::team_backend<frugal::emulated_backend>);
static_assert(frugal::team_backend<toy::toy_backend>);
static_assert(!frugal::memory_backend<int>);

// A backend of one's own is tested by a line here.
template <class F>
auto everywhere(F const& run) {
  const auto expected = same_on_every_backend(run);
  EXPECT_TRUE(same_bits(expected, run(toy::toy_backend(3)))) << "toy";
  return expected;
}

constexpr index_t sizes[] = {0, 1, 3, 4, 15, 16, 17, 255, 256, 257, 4095, 4097, 16384, 16385, 100003};

// x = 2 x + 1, with scalars of T.
template <class T>
struct twice_plus_one {
  using scalar = T;
  T* x;
  struct bound {
    T* x;
    bool active;
    T const* contiguous() const { return x; }
    FRUGAL_FN bool aligned(int width) const { return frugal::detail::multiple_of(x, width); }
    template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      c.store(x, V(T(2)) * c.load(x) + V(T(1)));
    }
  };
  bool active = true;
  FRUGAL_FN bound bind(frugal::segment const& s) const { return {x + s.slot, active}; }
};
struct count_teams {
  [[maybe_unused]] static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 64;
  index_t n;
  float* visits;
  index_t teams() const { return n; }
  template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    if (team.lane() == 0) visits[team.rank()] += 1;
  }
};
// Full chunks begin at a multiple of their width: vector accesses that straddle lines are slow, and on a GPU forbidden.
struct alignment {
  using scalar = float;
  struct bound {
    float const* x;
    std::int64_t *wide, *wrong;
    bool active = true;
    float const* contiguous() const { return x; }
    bool aligned(int width) const { return frugal::detail::multiple_of(x, width); }
    template <class V, bool Full>
    void operator()(frugal::chunk<V, Full> c) const {
      if (!Full || V::width == 1) return;
      std::atomic_ref(*wide).fetch_add(1);
      std::atomic_ref(*wrong).fetch_add(!frugal::detail::multiple_of(x + c.at, V::width));
    }
  };
  float const* x;
  std::int64_t *wide, *wrong;
  bound bind(frugal::segment const& s) const { return {x + s.slot, wide, wrong}; }
};
// Each team fills its scratch, lets others run, and looks whether it is still its own.
struct own_scratch {
  [[maybe_unused]] static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 256 * sizeof(index_t);
  float* strange;
  index_t teams() const { return 100; }
  template <class Team>
  void operator()(Team const& team) const {
    index_t* s = team.template scratch<index_t>();
    if (team.lane() != 0) return;
    for (int k = 0; k < 256; ++k) s[k] = team.rank();
    for (int k = 0; k < 10; ++k) std::this_thread::sleep_for(std::chrono::microseconds(1));
    for (int k = 0; k < 256; ++k) strange[team.rank()] += s[k] != team.rank();
  }
};
struct write_once {
  float* to;
  FRUGAL_FN void operator()() const { *to += 1; }
};

TEST(conformance, copies_and_fills) {
  everywhere([](auto b) {
    const auto host = numbers(1003, 1);
    there<float, decltype(b)> x(b, host), y(b, std::vector<float>(1003));
    b.copy(y.all().data(), x.all().data(), 1003 * sizeof(float));
    EXPECT_TRUE(same_bits(y.get(), host));
    b.fill(y.all().data() + 1, 0, 2 * sizeof(float));
    b.sync();
    const auto filled = y.get();
    EXPECT_EQ(filled[0], host[0]);
    EXPECT_EQ(filled[1], 0);
    EXPECT_EQ(filled[2], 0);
    EXPECT_EQ(filled[3], host[3]);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(frugal::buffer<float, decltype(b)>(b, 100).data()) % 64, 0u);
    EXPECT_THROW(frugal::to_backend(b, y.all(), std::vector<float>(1002)), frugal::invalid_argument);
    return filled;
  });
}

TEST(conformance, loops_reach_every_slot_once) {
  for (index_t n : sizes)
    for (index_t offset : {0, 1, 4}) {
      const auto start = numbers(n, 7);
      std::vector<float> expected = start;
      for (float& x : expected) x = 2 * x + 1;
      const auto got = everywhere([&](auto b) {
        there<float, decltype(b)> x(b, start, offset);
        b.for_each(frugal::one_segment(n), twice_plus_one<float>{x.all().data()});
        return x.get();
      });
      EXPECT_TRUE(same_bits(got, expected)) << n << " slots, offset " << offset;
    }
}

TEST(conformance, loops_compute_in_double_too) {
  const auto got = everywhere([&](auto b) {
    there<double, decltype(b)> x(b, numbers<double>(1003, 7));
    b.for_each(frugal::one_segment(1003), twice_plus_one<double>{x.all().data()});
    return x.get();
  });
  EXPECT_EQ(got[5], 2 * numbers<double>(1003, 7)[5] + 1);
}

TEST(conformance, an_inactive_loop_does_nothing) {
  const auto start = numbers(1000, 3);
  EXPECT_TRUE(same_bits(start, everywhere([&](auto b) {
                          there<float, decltype(b)> x(b, start);
                          b.for_each(frugal::one_segment(1000), twice_plus_one<float>{x.all().data(), false});
                          return x.get();
                        })));
}

TEST(conformance, a_list_of_segments_is_one_loop) {
  // Three segments, with a gap of slots between them that nothing may touch.
  const std::vector<frugal::segment> segments{{.slot = 0, .size = 20000, .first_tile = 0},
                                              {.slot = 20016, .size = 5, .first_tile = 2},
                                              {.slot = 20032, .size = 40000, .first_tile = 3}};
  const std::vector<std::int32_t> of_tile{0, 0, 1, 2, 2, 2};
  const auto start = numbers(60032, 5);
  std::vector<float> expected = start;
  for (frugal::segment const& s : segments)
    for (index_t i = s.slot; i < s.slot + s.size; ++i) expected[std::size_t(i)] = 2 * expected[std::size_t(i)] + 1;
  const auto got = everywhere([&](auto b) {
    there<float, decltype(b)> x(b, start);
    const frugal::buffer<frugal::segment, decltype(b)> table(b, segments);
    const frugal::buffer<std::int32_t, decltype(b)> tiles(b, of_tile);
    b.for_each(frugal::segment_list{table.data(), tiles.data(), 6}, twice_plus_one<float>{x.all().data()});
    return x.get();
  });
  EXPECT_TRUE(same_bits(got, expected));
}

TEST(conformance, every_team_runs_once) {
  for (index_t n : {0, 1, 7, 1000})
    for (float visits : everywhere([&](auto b) {
           there<float, decltype(b)> x(b, std::vector<float>(std::size_t(n)));
           b.for_teams(count_teams{n, x.all().data()});
           return x.get();
         }))
      EXPECT_EQ(visits, 1);
}

TEST(conformance, full_chunks_are_aligned) {
  everywhere([](auto b) {
    for (index_t offset : {0, 1, 2, 3, 4, 8, 15}) {
      const there<float, decltype(b)> x(b, std::vector<float>(20000), offset);
      const there<std::int64_t, decltype(b)> counts(b, {0, 0});
      b.for_each(frugal::one_segment(20000), alignment{x.all().data(), counts.all().data(), counts.all().data() + 1});
      const auto wide = counts.get()[0], wrong = counts.get()[1];
      EXPECT_EQ(wrong, 0) << offset;
      EXPECT_TRUE(wide > 1000 || (b.line_bytes == 0 && offset % 4 != 0)) << offset;
    }
    return 0.;
  });
}

TEST(conformance, scratch_belongs_to_a_team) {
  const auto strange = everywhere([](auto b) {
    there<float, decltype(b)> x(b, std::vector<float>(100));
    b.for_teams(own_scratch{x.all().data()});
    return x.get();
  });
  EXPECT_EQ(strange, std::vector<float>(100));
}

TEST(conformance, a_single_functor_runs_once) {
  EXPECT_EQ(everywhere([](auto b) {
              there<float, decltype(b)> x(b, std::vector<float>{5});
              b.run(write_once{x.all().data()});
              return x.get();
            })[0],
            6);
}

TEST(conformance, a_pool_without_threads_is_refused) { EXPECT_THROW(frugal::tbb_backend(0), frugal::invalid_argument); }

}  // namespace
