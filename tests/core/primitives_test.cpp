// SPDX-License-Identifier: Apache-2.0
// Scans, selections, sorts and counts against the standard library's, on every backend.
#include <frugal/core/primitives.hpp>

#include "core/top_k_cases.hpp"
#include "support/backends.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using u32 = std::uint32_t;

static_assert(frugal::primitive_backend<frugal::serial_backend>);
static_assert(frugal::primitive_backend<frugal::tbb_backend>);
static_assert(frugal::primitive_backend<frugal::emulated_backend>);

// ThreadSanitizer takes a millisecond for each element that threads of oneTBB hand over, as it cannot see how they do
// it.
#if defined(__SANITIZE_THREAD__)
constexpr index_t sizes[] = {0, 1, 255, 257, 4097}, largest = 4097;
#else
constexpr index_t sizes[] = {0, 1, 255, 256, 257, 4095, 4097, 16384, 16385, 100003}, largest = 100003;
#endif

std::vector<u32> words(index_t n, std::uint64_t seed, u32 below = 0) {
  dice d(seed);
  std::vector<u32> v(std::size_t(n), 0);
  for (u32& w : v) w = below ? u32(d.bits() % below) : u32(d.bits());
  return v;
}

// ---- exclusive scan
template <class T>
void check_scan(index_t n) {
  std::vector<T> in, expected;
  T sum = 0;
  for (u32 w : words(n, 5)) {
    in.push_back(T(T(w) << (sizeof(T) * 8 - 32)));  // wraps round
    expected.push_back(sum);
    sum = frugal::detail::wrapping_sum(sum, in.back());
  }
  expected.push_back(sum);
  for (bool in_place : {false, true})
    EXPECT_TRUE(same_bits(expected, same_on_every_backend([&](auto b) {
                            const there<T, decltype(b)> x(b, in), y(b, in);
                            frugal::exclusive_scan<T, decltype(b)> scan(b, n + 5);
                            scan(x.constant(), in_place ? x.all() : y.all());
                            auto out = in_place ? x.get() : y.get();
                            out.push_back(frugal::to_host(b, scan.total()).at(0));
                            return out;
                          })))
        << n;
}
TEST(exclusive_scan, sums_what_comes_before) {
  for (index_t n : sizes) check_scan<std::int32_t>(n);
  check_scan<u32>(40000);
  check_scan<std::int64_t>(40000);
}

// Tiles of three items, so that there are enough of them for another level of sums.
struct small_tiles {
  using value = std::int64_t;
  index_t n;
  std::int64_t* out;
  struct opened {
    index_t tile, size;
    std::int64_t* out;
    FRUGAL_FN std::int64_t weight(index_t i) const { return tile + i; }
    FRUGAL_FN void put(index_t i, std::int64_t before, std::int64_t) const { out[3 * tile + i] = before; }
  };
  FRUGAL_FN index_t tiles() const { return n; }
  FRUGAL_FN opened open(index_t tile) const { return {tile, tile % 100 == 7 ? 0 : 3, out}; }
};
TEST(exclusive_scan, more_tiles_than_a_tile_has_slots) {
  constexpr index_t tiles = frugal::tile_size + 100;
  std::vector<std::int64_t> expected(3 * tiles, -1);
  std::int64_t sum = 0;
  for (index_t t = 0; t < tiles; ++t)
    for (index_t i = 0; i < 3 && t % 100 != 7; ++i) {
      expected[std::size_t(3 * t + i)] = sum;
      sum += t + i;
    }
  const auto check = [&](auto b) {
    const there<std::int64_t, decltype(b)> out(b, std::vector<std::int64_t>(3 * tiles, -1));
    frugal::buffer<std::int64_t, decltype(b)> scratch(b, frugal::detail::scan_scratch(tiles) + 1);
    frugal::detail::scan(b, small_tiles{tiles, out.all().data()}, scratch.data() + 1, scratch.data());
    EXPECT_TRUE(same_bits(expected, out.get()));
    EXPECT_EQ(frugal::to_host(b, scratch.view())[0], sum);
  };
  check(frugal::tbb_backend(2));
  check(frugal::emulated_backend({.seed = 1, .lanes = 3}));
}

// ---- ordered selection
struct below {
  u32 const* words;
  u32 limit;
  FRUGAL_FN bool operator()(index_t i) const { return words[i] < limit; }
};
TEST(ordered_select, indices_ascend) {
  for (index_t n : sizes)
    for (u32 limit : {0u, 1u << 24, 1u << 31, ~0u}) {
      const auto w = words(n, 6);
      std::vector<u32> expected;
      for (std::size_t i = 0; i < w.size(); ++i)
        if (w[i] < limit) expected.push_back(u32(i));
      const index_t found = index_t(expected.size()), room = limit == 1u << 31 ? found / 3 : found;
      expected.resize(std::size_t(room));
      EXPECT_TRUE(same_bits(expected, same_on_every_backend([&](auto b) {
                              const there<u32, decltype(b)> x(b, w), at(b, std::vector<u32>(std::size_t(room)));
                              frugal::ordered_select select(b, n);
                              select(n, below{x.all().data(), limit}, at.all());
                              EXPECT_EQ(frugal::to_host(b, select.count()).at(0), found);
                              return at.get();
                            })))
          << n << " below " << limit;
    }
}

// ---- histogram
TEST(histogram, counts_keys) {
  for (index_t n : sizes)
    for (index_t bins : {1, 7, 1025, 70000}) {
      const auto keys = words(n, 7, u32(bins + bins / 3 + 1));  // some are out of range
      std::vector<u32> expected(std::size_t(bins), 0);
      for (u32 k : keys)
        if (k < bins) ++expected[k];
      EXPECT_TRUE(same_bits(expected, same_on_every_backend([&](auto b) {
                              const there<u32, decltype(b)> x(b, keys), counts(b, std::vector<u32>(std::size_t(bins)));
                              frugal::histogram h(b, n, bins);
                              h(x.constant(), counts.all());
                              return counts.get();
                            })))
          << n << " keys, " << bins << " bins";
    }
}

// ---- sort
TEST(pair_sort, is_stable) {
  for (index_t n : sizes)
    for (u32 distinct : {0u, 3u, 70000u}) {
      std::vector<std::pair<u32, u32>> pairs;
      for (u32 k : words(n, 8, distinct)) pairs.emplace_back(distinct == 3 ? k << 31 | k : k, u32(pairs.size()));
      std::vector<u32> keys, values, expected;
      for (auto [k, v] : pairs) keys.push_back(k), values.push_back(v);
      std::stable_sort(pairs.begin(), pairs.end(), [](auto const& a, auto const& b) { return a.first < b.first; });
      for (auto [k, v] : pairs) expected.push_back(k);
      for (auto [k, v] : pairs) expected.push_back(v);
      EXPECT_TRUE(same_bits(expected, same_on_every_backend([&](auto b) {
                              const there<u32, decltype(b)> k(b, keys), v(b, values);
                              frugal::pair_sort sort(b, n + 3);
                              sort(k.all(), v.all());
                              auto out = k.get();
                              for (u32 x : v.get()) out.push_back(x);
                              return out;
                            })))
          << n << " pairs, " << distinct << " keys";
    }
}

// ---- top-k
TEST(top_k, is_that_of_a_sort) {
  for (index_t n : sizes)
    for (selection_case const& c : selection_cases(n))
      EXPECT_TRUE(same_bits(top_of(c.x, c.k), same_on_every_backend([&](auto b) {
                              const there<float, decltype(b)> x(b, c.x, n % 7);
                              frugal::top_k_select select(b, n, c.k);
                              return select_top(select, b, x.constant(), c.k);
                            })))
          << c.name << ", " << c.k << " of " << n;
}

TEST(top_k, an_object_serves_smaller_calls) {
  const auto all = selection_cases(largest), few = selection_cases(4095);
  same_on_every_backend([&](auto b) {
    frugal::top_k_select select(b, largest, 1000);
    for (auto const* cases : {&all, &few})
      for (selection_case const& c : *cases) {
        if (c.k > 7000) continue;
        const there<float, decltype(b)> x(b, c.x);
        EXPECT_TRUE(same_bits(top_of(c.x, c.k), select_top(select, b, x.constant(), c.k))) << c.name << ", " << c.k;
      }
    return 0.;
  });
}

// ---- all of them
struct counting_backend : frugal::serial_backend {
  static inline int allocations = 0;
  void* allocate(std::size_t bytes) const {
    ++allocations;
    return frugal::serial_backend::allocate(bytes);
  }
};
TEST(primitives, calls_do_not_allocate) {
  const counting_backend b;
  constexpr index_t n = 100000, k = 500;
  frugal::exclusive_scan<u32, counting_backend> scan(b, n);
  frugal::ordered_select select(b, n);
  frugal::histogram count(b, n, 1000);
  frugal::pair_sort sort(b, n);
  frugal::top_k_select top(b, n, k);
  auto x = words(n, 1), y = words(n, 2);
  std::vector<u32> counts(1000), at(k);
  std::vector<float> values(k);
  const int before = counting_backend::allocations;
  EXPECT_GE(before, 10);
  scan(x, y);
  select(n, below{x.data(), 1u << 31}, y);
  count(x, counts);
  sort(x, y);
  top(numbers(n, 1), at, values);
  EXPECT_EQ(counting_backend::allocations, before);
}

TEST(primitives, bad_arguments_are_refused) {
  const frugal::serial_backend b;
  const std::vector<u32> before{1, 2, 3, 4};
  auto x = before, y = before;
  std::vector<float> f{1, 2, 3, 4}, v(4);
  using words = frugal::view<u32>;
  EXPECT_TRUE(refused([&] { frugal::ordered_select(b, -1); }, "the size of a primitive", "0 to 2^31", "-1"));
  EXPECT_TRUE(refused([&] { frugal::pair_sort(b, (index_t(1) << 31) + 1); }, "the size of a primitive", "0 to 2^31",
                      "2147483649"));
  EXPECT_TRUE(refused([&] { frugal::histogram(b, 4, 0); }, "the bins of a histogram", "1 to 2^31", "0"));
  EXPECT_TRUE(refused([&] { frugal::top_k_select(b, 4, 5); }, "how many are to be selected", "0 to 4", "5"));
  EXPECT_TRUE(refused([&] { frugal::top_k_select(b, 4, -1); }, "how many are to be selected", "0 to 4", "-1"));

  frugal::exclusive_scan<u32, frugal::serial_backend> scan(b, 3);
  EXPECT_TRUE(refused([&] { scan(x, y); }, "the size of what is to be scanned", "0 to 3", "4"));
  EXPECT_TRUE(refused([&] { scan(words(x.data(), 3), y); }, "the size of the output of a scan", "3", "4"));
  EXPECT_TRUE(
      refused([&] { scan(words(nullptr, 3), words(y.data(), 3)); }, "what is to be scanned", "a pointer", "null"));
  frugal::ordered_select select(b, 3);
  EXPECT_TRUE(refused(
      [&] {
        select(4, below{x.data(), 9}, y);
      },
      "the number of indices to select from", "0 to 3", "4"));
  EXPECT_TRUE(refused(
      [&] {
        select(3, below{x.data(), 9}, words(nullptr, 1));
      },
      "the output of a selection", "a pointer", "null"));
  frugal::histogram count(b, 3, 4);
  EXPECT_TRUE(refused([&] { count(x, y); }, "the size of the keys of a histogram", "0 to 3", "4"));
  EXPECT_TRUE(refused([&] { count(words(x.data(), 3), words(y.data(), 3)); }, "the size of the counts of a histogram",
                      "4", "3"));
  frugal::pair_sort sort(b, 3);
  EXPECT_TRUE(refused([&] { sort(x, y); }, "the size of the keys of a sort", "0 to 3", "4"));
  EXPECT_TRUE(refused([&] { sort(words(x.data(), 3), y); }, "the size of the values of a sort", "3", "4"));
  frugal::top_k_select top(b, 3, 1);
  EXPECT_TRUE(refused([&] { top(f, y, v); }, "the size of what is to be selected from", "0 to 3", "4"));
  EXPECT_TRUE(refused([&] { top({f.data(), 3}, y, v); }, "the size of the indices of a selection", "0 to 3", "4"));
  EXPECT_TRUE(refused(
      [&] {
        top({f.data(), 3}, {y.data(), 2}, v);
      },
      "the size of the values of a selection", "2", "4"));
  EXPECT_TRUE(refused(
      [&] {
        top({f.data(), 3}, {y.data(), 2}, {nullptr, 2});
      },
      "the values of a selection", "a pointer", "null"));
  EXPECT_TRUE(refused(
      [&] {
        top({f.data(), 3}, {y.data(), 2}, {f.data() + 2, 2});
      },
      "the values of a selection", "memory of their own", "an overlap"));
  EXPECT_TRUE(refused([&] { scan(words(x.data(), 3), words(x.data() + 1, 3)); },
                      "the elements and the output of a scan", "memory of their own", "an overlap"));
  EXPECT_TRUE(refused([&] { count(words(x.data() + 1, 3), x); }, "the keys and the counts of a histogram",
                      "memory of their own", "an overlap"));
  EXPECT_TRUE(refused([&] { sort(words(x.data(), 3), words(x.data() + 1, 3)); }, "the keys and the values of a sort",
                      "memory of their own", "an overlap"));
  EXPECT_TRUE(same_bits(before, x));
  EXPECT_TRUE(same_bits(before, y));
}

}  // namespace
