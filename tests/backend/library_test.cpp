// SPDX-License-Identifier: Apache-2.0
// The primitives by a vendor's library, with the standard library in the place of CUB and rocPRIM and the emulated GPU
// in that of the vendor: what is not the library's is tested where no GPU is.
#include <frugal/backend/library.hpp>
#include <frugal/compress/top_k.hpp>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/primitives_bits.hpp"
#include "core/top_k_cases.hpp"
#include "support/backends.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using u32 = std::uint32_t;

int allocations = 0, calls = 0;
struct counting_vendor : frugal::emulated_vendor {
  static void* allocate(std::size_t bytes) {
    ++allocations;
    return frugal::emulated_vendor::allocate(bytes);
  }
};

struct standard_library {
  using vendor = counting_vendor;
  using stream = frugal::emulated_stream;

  // As libraries do: smaller calls may want more, and what is wanted is used.
  static bool asked(void* room, std::size_t& bytes, index_t n, stream const& s) {
    const std::size_t wanted = std::size_t(n < 1000 ? 8 * n : n / 100);
    if (!room) {
      bytes = wanted;
      return true;
    }
    ++calls;
    EXPECT_EQ(wanted, bytes);
    vendor::enqueue(s, [=] { std::memset(room, 0x55, wanted); });
    return false;
  }
  template <class U>
  static void exclusive_sum(void* room, std::size_t& bytes, U const* in, U* out, index_t n, stream const& s) {
    static_assert(std::is_unsigned_v<U>);
    if (asked(room, bytes, n, s)) return;
    vendor::enqueue(s, [=] { std::exclusive_scan(in, in + n, out, U(0)); });
  }
  template <class In, class Out>
  static void select(void* room, std::size_t& bytes, In in, std::uint8_t const* flags, Out out, u32* count, index_t n,
                     stream const& s) {
    if (asked(room, bytes, n, s)) return;
    vendor::enqueue(s, [=]() mutable {
      *count = 0;
      for (index_t i = 0; i < n; ++i)
        if (flags[i]) out[index_t((*count)++)] = in[i];
    });
  }
  static void sort(void* room, std::size_t& bytes, frugal::library_pairs& p, index_t n, stream const& s) {
    EXPECT_TRUE(n == 0 || (p.key && p.value && p.other_key && p.other_value));
    if (asked(room, bytes, n, s)) return;
    const bool back = n % 2 == 0;  // to where they were; else they stay in the other memory
    vendor::enqueue(s, [=] {
      std::vector<u32> order(std::size_t(n), 0);
      std::iota(order.begin(), order.end(), 0u);
      std::stable_sort(order.begin(), order.end(), [&](u32 i, u32 j) { return p.key[i] < p.key[j]; });
      for (index_t i = 0; i < n; ++i) {
        p.other_key[i] = p.key[order[std::size_t(i)]];
        p.other_value[i] = p.value[order[std::size_t(i)]];
      }
      if (back) {
        std::copy(p.other_key, p.other_key + n, p.key);
        std::copy(p.other_value, p.other_value + n, p.value);
      }
      std::fill_n(back ? p.other_key : p.key, n, 9u);
      std::fill_n(back ? p.other_value : p.value, n, 9u);
    });
    if (back) return;
    std::swap(p.key, p.other_key);
    std::swap(p.value, p.other_value);
  }
  static void count(void* room, std::size_t& bytes, u32 const* keys, u32* counts, index_t bins, index_t n,
                    stream const& s) {
    if (asked(room, bytes, n, s)) return;
    vendor::enqueue(s, [=] {
      std::fill(counts, counts + bins, 0u);
      for (index_t i = 0; i < n; ++i)
        if (index_t(keys[i]) < bins) ++counts[keys[i]];
    });
  }
};
using backend = frugal::library_backend<standard_library>;
static_assert(frugal::primitive_backend<backend>);
static_assert(std::is_same_v<frugal::primitives<backend>::top_k, frugal::library_top_k<standard_library>>);

TEST(library, gives_what_the_generic_primitives_give) {
  calls = 0;
  const backend b(frugal::emulated_stream{.seed = 3, .lanes = 7});
  for (index_t n : {0, 1, 2, 257, 999, 16385}) EXPECT_TRUE(same_primitives(b, {n})) << n;
  EXPECT_GT(calls, 100);
}

TEST(library, top_k_is_that_of_a_sort) {
  const backend b;
  for (index_t n : {1, 255, 4097})
    for (selection_case const& c : selection_cases(n)) {
      const there<float, backend> x(b, c.x);
      frugal::buffer<u32, backend> at(b, c.k);
      frugal::buffer<float, backend> values(b, c.k);
      frugal::library_top_k<standard_library> select(b, n, c.k);
      select(x.constant(), at.view(), values.view());
      EXPECT_TRUE(same_bits(top_of(c.x, c.k), {frugal::to_host(b, at.view()), frugal::to_host(b, values.view())}))
          << c.name << ", " << c.k << " of " << n;
    }
}

TEST(library, algorithms_take_it_with_the_backend) {
  const auto x = numbers(5000, 4);
  const auto message = [&](auto b) {
    const there<float, decltype(b)> there_x(b, x);
    frugal::compressor<frugal::top_k, decltype(b)> compress(b, frugal::layout(5000), frugal::top_k{.ratio = 0.01});
    frugal::message const& m = compress.encode(there_x.constant());
    return std::vector<std::uint8_t>(m.data(), m.data() + m.size());
  };
  calls = 0;
  EXPECT_TRUE(same_bits(message(frugal::serial_backend{}), message(backend{})));
  EXPECT_EQ(calls, 2);
}

TEST(library, calls_do_not_allocate) {
  constexpr index_t n = 5001, k = 50;
  const backend b;
  const there<u32, backend> x(b, std::vector<u32>(n, 3)), y(b, std::vector<u32>(n, 4)), counts(b, std::vector<u32>(10));
  const there<float, backend> f(b, numbers(n, 1)), values(b, std::vector<float>(k));
  const there<u32, backend> at(b, std::vector<u32>(k));
  frugal::library_scan<u32, standard_library> scan(b, n);
  frugal::library_select<standard_library> select(b, n);
  frugal::library_histogram<standard_library> count(b, n, 10);
  frugal::library_sort<standard_library> sort(b, n);
  frugal::library_top_k<standard_library> top(b, n, k);
  const int before = allocations;
  EXPECT_GE(before, 15);
  scan(x.constant(), y.all());
  select(n, odd_word{x.all().data()}, y.all());
  count(x.constant(), counts.all());
  sort(x.all(), y.all());
  top(f.constant(), at.all(), values.all());
  EXPECT_EQ(allocations, before);
}

TEST(library, bad_arguments_are_refused) {
  const backend b;
  const std::vector<u32> before{1, 2, 3, 4};
  const there<u32, backend> x(b, before), y(b, before);
  const there<float, backend> f(b, {1, 2, 3, 4}), v(b, {5, 6, 7, 8});
  using words = frugal::view<u32, backend::space>;
  using floats = frugal::view<float, backend::space>;
  const words x3{x.all().data(), 3}, y3{y.all().data(), 3};
  EXPECT_TRUE(
      refused([&] { frugal::library_select<standard_library>(b, -1); }, "the size of a primitive", "0 to 2^31", "-1"));
  EXPECT_TRUE(refused([&] { frugal::library_histogram<standard_library>(b, 4, (index_t(1) << 30) + 1); },
                      "the bins of a histogram", "1 to 2^30", "1073741825"));
  EXPECT_TRUE(
      refused([&] { frugal::library_top_k<standard_library>(b, 4, 5); }, "how many are to be selected", "0 to 4", "5"));
  frugal::library_scan<u32, standard_library> scan(b, 3);
  EXPECT_TRUE(refused([&] { scan(x.all(), y.all()); }, "the size of what is to be scanned", "0 to 3", "4"));
  EXPECT_TRUE(refused([&] { scan(x3, y.all()); }, "the size of the output of a scan", "3", "4"));
  EXPECT_TRUE(refused([&] { scan(x3, words(x.all().data() + 1, 3)); }, "the elements and the output of a scan",
                      "memory of their own", "an overlap"));
  frugal::library_select<standard_library> select(b, 3);
  EXPECT_TRUE(refused([&] { select(4, odd_word{x.all().data()}, y.all()); }, "the number of indices to select from",
                      "0 to 3", "4"));
  frugal::library_histogram<standard_library> count(b, 3, 4);
  EXPECT_TRUE(refused([&] { count(x.all(), y.all()); }, "the size of the keys of a histogram", "0 to 3", "4"));
  EXPECT_TRUE(refused([&] { count(x3, y3); }, "the size of the counts of a histogram", "4", "3"));
  frugal::library_sort<standard_library> sort(b, 3);
  EXPECT_TRUE(refused([&] { sort(x.all(), y.all()); }, "the size of the keys of a sort", "0 to 3", "4"));
  EXPECT_TRUE(refused([&] { sort(x3, x3); }, "the keys and the values of a sort", "memory of their own", "an overlap"));
  frugal::library_top_k<standard_library> top(b, 3, 1);
  EXPECT_TRUE(refused([&] { top(f.all(), y3, v.all()); }, "the size of what is to be selected from", "0 to 3", "4"));
  EXPECT_TRUE(
      refused([&] { top(floats(f.all().data(), 3), y3, v.all()); }, "the size of the values of a selection", "3", "4"));
  EXPECT_TRUE(same_bits(before, x.get()));
  EXPECT_TRUE(same_bits(before, y.get()));
}

}  // namespace
