// SPDX-License-Identifier: Apache-2.0
/// @file What the CPU backends share: loops over packs, and the team of one lane.
#pragma once
#include <cstring>
#include <utility>

#include "../core/pack.hpp"
#include "../core/storage.hpp"
#include "../core/work.hpp"
#include "cpu_bits.hpp"
#include "cpu_codes.hpp"
#include "cpu_random.hpp"
#include "cpu_select.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// How many elements lie before the next boundary of `width` elements; none, if there is no pointer.
template <class T>
index_t elements_to_boundary(T const* p, int width) {
  return (width - index_t(reinterpret_cast<std::uintptr_t>(p) / sizeof(T)) % width) % width;
}

/// f on slots [begin, end) of its segment, the first `peel` < V::width of them apart. f is taken by value: no store can
/// alias its constants.
template <class V, class F>
FRUGAL_CPU void cpu_chunks(index_t begin, index_t end, F f, index_t peel = 0) {
  index_t i = begin;
  if (peel > 0 && begin + peel < end) {
    f(chunk<V, false>{i, peel});
    i += peel;
  }
  for (; i + V::width <= end; i += V::width) f(chunk<V, true>{i, V::width});
  if (i < end) f(chunk<V, false>{i, end - i});
}

/// f on tiles [first, last) of the work: neighbours of one segment are one loop.
template <class Isa, class Work, class F>
void cpu_tiles(Work const& w, index_t first, index_t last, F const& f) {
  while (first < last) {
    const segment seg = w.at(first);
    const index_t end = seg.first_tile + tiles_of(seg.size), stop = end < last ? end : last;
    const index_t to = (stop - seg.first_tile) * tile_size;
    const auto bound = f.bind(seg);
    using V = cpu_value<Isa, typename F::scalar>;
    if (bound.active)
      cpu_chunks<V>((first - seg.first_tile) * tile_size, to < seg.size ? to : seg.size, bound,
                    elements_to_boundary(bound.contiguous(), V::width));
    first = stop;
  }
}

/// A team on a CPU: one lane that walks.
template <class Isa>
struct cpu_team {
  template <class T>
  using value = cpu_value<Isa, T>;
  using table16 = detail::table16;
  static constexpr int strings = 4;     // of bits that are best taken at a time
  static constexpr index_t most = 256;  // of the elements of a block: the same
  index_t at;
  unsigned char* memory;

  index_t rank() const { return at; }
  static constexpr unsigned lane() { return 0; }
  static constexpr unsigned lanes() { return 1; }
  static constexpr void sync() {}
  FRUGAL_CPU void count(std::uint32_t* p) const { ++*p; }
  /// The first n of the bins, but negative ones.
  template <class Int>
  FRUGAL_CPU void count(std::uint32_t* table, Int bins, index_t n) const {
    if (!any(bins > Int(-1))) return;
    for (index_t k = 0; k < n; ++k)
      if (bins.v[k] >= 0) ++table[bins.v[k]];
  }
  template <class T>
  T* scratch() const {
    return reinterpret_cast<T*>(memory);
  }
  template <class T, class F>
  FRUGAL_CPU void for_values(index_t n, F f) const {
    index_t peel = 0;
    if constexpr (requires { f.contiguous(); }) peel = elements_to_boundary(f.contiguous(), value<T>::width);
    cpu_chunks<value<T>>(0, n, f, peel);
  }

  /// Slots [0, n) to bits, bit j mod 8 of byte j div 8 of `to`: the low bits of what f gives for a chunk are those of
  /// its slots. The rest of the last byte is zero.
  template <class T, class F>
  FRUGAL_CPU void for_bits(index_t n, std::uint8_t* to, F f) const {
    using V = value<T>;
    constexpr index_t W = V::width;
    constexpr auto all = ~std::uint64_t(0);
    index_t j = 0;
    for (; j + 64 <= n; j += 64) {
      std::uint64_t word = 0;
      FRUGAL_UNROLL for (index_t k = 0; k < 64; k += W) word |= (f(chunk<V, true>{j + k, W}) & (all >> (64 - W))) << k;
      std::memcpy(to + j / 8, &word, 8);
    }
    if (j == n) return;
    std::uint64_t word = 0;
    cpu_chunks<V>(j, n, [&](auto c) { word |= (f(c) & (all >> (64 - W))) << (c.at - j); });
    word &= all >> (64 - (n - j));
    std::memcpy(to + j / 8, &word, std::size_t(n - j + 7) / 8);
  }
  /// The opposite: f gets each chunk with its bits of R strings, and does not look at others. Chunks begin at the
  /// boundary that f.contiguous() shows.
  template <class T, int R, class F>
  FRUGAL_CPU void with_bits(index_t n, bit_string const (&from)[R], F f) const {
    using V = value<T>;
    using words = std::uint64_t[R];
    const auto few = [&](index_t first, index_t last) {
      words word = {};
      FRUGAL_UNROLL for (int k = 0; k < R; ++k) {
        const std::size_t bit = std::size_t(from[k].skip + first), end = std::size_t(from[k].skip + last);
        std::memcpy(&word[k], from[k].from + bit / 8, (end + 7) / 8 - bit / 8);
        word[k] >>= bit % 8;
      }
      cpu_chunks<V>(first, last, [&](auto c) { f(c, low_words<R>(word, c.at - first)); });
    };
    const index_t peel = elements_to_boundary(f.contiguous(), V::width), head = peel < n ? peel : n;
    std::uint8_t const *low[R], *high[R];  // of the next 64: eight bytes, and the one that holds the rest
    int shift[R];
    FRUGAL_UNROLL for (int k = 0; k < R; ++k) {
      const index_t bit = from[k].skip + head;
      shift[k] = int(bit % 8);
      low[k] = from[k].from + bit / 8 - head / 8;
      high[k] = low[k] + (shift[k] > 0 ? 8 : 7);
    }
    for (index_t j = 0; j < n;) {
      if (j < head || n - j < 64) {
        const index_t last = j < head ? head : n - j < 32 ? n : j + 32;
        few(j, last);
        j = last;
        continue;
      }
      words word;  // few loads: they may wait for stores to addresses that end alike
      FRUGAL_UNROLL for (int k = 0; k < R; ++k) {
        std::memcpy(&word[k], low[k] + j / 8, 8);
        word[k] = word[k] >> shift[k] | std::uint64_t(high[k][j / 8]) << 1 << (63 - shift[k]);
      }
      FRUGAL_UNROLL for (index_t k = 0; k < 64; k += V::width)
          f(chunk<V, true>{j + k, V::width}, low_words<R>(word, k));
      j += 64;
    }
  }
  /// Bit k of byte j is bit j of the k-th of eight arrays, which lie `stride` bytes apart; n is a multiple of 64.
  FRUGAL_CPU void pile_bits(std::uint8_t const* from, index_t stride, index_t n, std::uint8_t* to) const {
    for (index_t j = 0; j < n; j += 64) detail::pile_bits(from + j / 8, stride, to + j);
  }
  /// Elements of large magnitude and their indices (cpu_select.hpp).
  template <bool Exact>
  FRUGAL_CPU index_t collect(float const* x, index_t n, std::uint32_t floor, std::uint32_t const* index,
                             std::uint32_t first, index_t room, std::uint32_t* to_index, float* to_value) const {
    return detail::collect<Isa, Exact>(x, n, floor, index, first, room, to_index, to_value);
  }
  /// Words, or normal numbers (core/normal.hpp), of `blocks` blocks of a direction: four each, in their order.
  FRUGAL_CPU void words(random_stream s, std::uint64_t dir, std::uint64_t first, index_t blocks,
                        std::uint32_t* to) const {
    random_run<Isa>(s, dir, first, blocks, to);
  }
  FRUGAL_CPU void normals(random_stream s, std::uint64_t dir, std::uint64_t first, index_t blocks, float* to) const {
    random_run<Isa>(s, dir, first, blocks, to);
  }
  /// Asks for the line at p, which may lie behind the end of an array.
  FRUGAL_CPU void prefetch(void const* p) const { __builtin_prefetch(p); }
  /// A block of 8-bit states, or a part of one: its values.
  template <index_t Block, class Book>
  FRUGAL_CPU void decode(Book, std::uint8_t const* code, float scale, float* to) const {
    using V = value<float>;
#if defined(__AVX512VBMI__)
    if constexpr (V::width == 16) return decode_block<Block, Book>(code, scale, to);
#endif
    for (index_t j = 0; j < Block; j += V::width)
      (Book::template decode<V>(V::integer::load(code + j)) * V(scale)).store(to + j);
  }
  template <index_t Block, class Book>
  FRUGAL_CPU void encode(Book, float const* from, float inverse, std::uint8_t* code) const {
    using V = value<float>;
#if defined(__AVX512VBMI__)
    if constexpr (V::width == 16) return encode_block<Block, Book>(from, inverse, code);
#endif
    for (index_t j = 0; j < Block; j += V::width) Book::encode(V::load(from + j), V(inverse)).store(code + j);
  }
  /// The largest finite magnitude of a block. As integers, magnitudes compare alike and infinities and NaNs come out on
  /// top.
  template <index_t Block>
  FRUGAL_CPU float peak(float const* p, std::int32_t*) const {
    using Int = typename value<float>::integer;
    const auto largest = [&](auto part) {  // named registers: g++ keeps an array of them in memory
      typename Int::reg a{}, b{}, c{}, d{};
      for (index_t j = 0; j < Block; j += 4 * Int::width) {
        a = larger(Int::of(a), part(j)).as();
        b = larger(Int::of(b), part(j + Int::width)).as();
        c = larger(Int::of(c), part(j + 2 * Int::width)).as();
        d = larger(Int::of(d), part(j + 3 * Int::width)).as();
      }
      return horizontal_max(larger(larger(Int::of(a), Int::of(b)), larger(Int::of(c), Int::of(d))));
    };
    const auto magnitude = [&](index_t j) { return bits(value<float>::load(p + j)) & Int(0x7fffffff); };
    std::int32_t top = largest(magnitude);
    if (top >= 0x7f800000) [[unlikely]]
      top = largest([&](index_t j) { return select(magnitude(j) < Int(0x7f800000), magnitude(j), Int(0)); });
    return bit_cast<float>(top);
  }
  /// The canonical sum of f over n <= tile_size slots from `from` on. The slots are in registers, where they fit; to
  /// read whole lines they are turned by `head`, so that register k holds slots head + k width and on. Slots are added
  /// to those half the circle away, so how far they are turned does not matter.
  template <class T, class F>
  FRUGAL_CPU T sum(F f, index_t from, index_t n) const {
    using V = value<T>;
    constexpr index_t slots = reduction_slots, packs = slots / V::width;
    const index_t peel = elements_to_boundary(f.contiguous(), V::width), head = peel < n ? peel : 0;
    const index_t whole = (n - head) / slots * slots, rest = n - head - whole;
    T* turned = scratch<T>();  // for what does not fill a register
    typename V::reg acc[packs];
    FRUGAL_UNROLL for (index_t k = 0; k < packs; ++k) acc[k] = typename V::reg{};
    if (head > 0) {
      for (index_t k = 0; k < slots; ++k) turned[k] = T(0);
      (V(T(0)) + f(chunk<V, false>{from, head})).store(turned + slots - head, head);
      FRUGAL_UNROLL for (index_t k = 0; k < packs; ++k) acc[k] = V::load(turned + k * V::width).as();
    }
    from += head;
    for (index_t j = 0; j < whole; j += slots)
      FRUGAL_UNROLL for (index_t k = 0; k < packs; ++k) acc[k] =
          (V::of(acc[k]) + f(chunk<V, true>{from + j + k * V::width, V::width})).as();
    if (rest > 0) {
      FRUGAL_UNROLL for (index_t k = 0; k < packs; ++k) V::of(acc[k]).store(turned + k * V::width);
      cpu_chunks<V>(0, rest, [=](auto c) {
        c.store(turned, c.load(turned) + f(decltype(c){from + whole + c.at, c.n}));
      });
      FRUGAL_UNROLL for (index_t k = 0; k < packs; ++k) acc[k] = V::load(turned + k * V::width).as();
    }
    return halving_sum(fold<V, packs / 2>(acc));
  }

 private:
  template <int R>
  FRUGAL_CPU static bit_words<R> low_words(std::uint64_t const (&word)[R], index_t shift) {
    bit_words<R> low;
    FRUGAL_UNROLL for (int k = 0; k < R; ++k) low.of[k] = std::uint32_t(word[k] >> shift);
    return low;
  }
  template <class V, index_t H, std::size_t N>
  FRUGAL_CPU static V fold(typename V::reg (&acc)[N]) {
    FRUGAL_UNROLL for (index_t k = 0; k < H; ++k) acc[k] = (V::of(acc[k]) + V::of(acc[k + H])).as();
    if constexpr (H > 1) return fold<V, H / 2>(acc);
    else return V::of(acc[0]);
  }
};

/// f on teams [begin, end). What comes in two halves overlaps: while a block waits for its peak, the next is decoded,
/// into other memory. A block of several parts is in the way of the next one's, and of a cache's other lines: there
/// each part of it is encoded just before the next one's comes to its place.
template <class Isa, class F>
void cpu_teams(index_t begin, index_t end, F f) {
  if constexpr (requires { typename F::stepped; }) {
    constexpr index_t places = F::template part<cpu_team<Isa>> < F::block ? 1 : 2;
    alignas(64) unsigned char scratch[places][(F::scratch_bytes + 63) / 64 * 64];
    typename F::stepped last;
    for (index_t r = begin; r < end; ++r) {
      const cpu_team<Isa> team{r, scratch[r % places]};
      last = f.step(team, [&](index_t from) { f.encode(team, last, from); });
    }
    f.encode(cpu_team<Isa>{end, nullptr}, last);
  } else {
    alignas(64) unsigned char scratch[F::scratch_bytes];
    for (index_t r = begin; r < end; ++r) f(cpu_team<Isa>{r, scratch});
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
