// SPDX-License-Identifier: Apache-2.0
/// @file What the CPU backends share: host memory, loops over packs, and the team of one lane.
#pragma once
#include <cstring>
#include <new>

#include "../core/dynamic_code.hpp"
#include "../core/pack.hpp"
#include "../core/storage.hpp"
#include "../core/view.hpp"
#include "../core/work.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Host memory, aligned to a cache line: an access that straddles two lines costs up to a fifth of the bandwidth.
struct host_memory {
  using space = host_space;
  void* allocate(std::size_t bytes) const { return ::operator new(bytes, std::align_val_t(64)); }
  void deallocate(void* p, std::size_t) const noexcept { ::operator delete(p, std::align_val_t(64)); }
  void copy_in(void* to, void const* from, std::size_t bytes) const { std::memcpy(to, from, bytes); }
  void copy_out(void* to, void const* from, std::size_t bytes) const { std::memcpy(to, from, bytes); }
  void copy(void* to, void const* from, std::size_t bytes) const { std::memcpy(to, from, bytes); }
  void fill(void* p, std::uint8_t byte, std::size_t bytes) const { std::memset(p, byte, bytes); }
  void sync() const {}
};

/// f on slots [begin, end) of its segment. f is taken by value: no store can alias its constants.
template <class V, class F>
FRUGAL_CPU void cpu_chunks(index_t begin, index_t end, F f) {
  index_t i = begin;
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
    if (bound.active)
      cpu_chunks<cpu_value<Isa, typename F::scalar>>((first - seg.first_tile) * tile_size, to < seg.size ? to : seg.size, bound);
    first = stop;
  }
}

#if defined(__AVX512VBMI__)
// The book as four byte planes, looked up 64 codes at a time in registers: bit for bit what decode() computes.
struct byte_planes {
  alignas(64) std::uint8_t t[4][256];
  template <class Book>
  explicit byte_planes(Book) {
    for (int i = 0; i < 256; ++i) {
      const auto v = Book::template decode<lanes<float, 1>>(lanes<std::int32_t, 1>(i));
      for (int k = 0; k < 4; ++k) t[k][i] = std::uint8_t(bit_cast<std::uint32_t>(v.v[0]) >> (8 * k));
    }
  }
};
template <class Book>
inline const byte_planes planes{Book{}};

FRUGAL_CPU void decode_by_planes(byte_planes const& p, std::uint8_t const* code, float scale, float* to) {
  const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  for (index_t j = 0; j < blockwise8::block; j += 64) {
    const __m512i c = _mm512_maskz_permutexvar_epi32(0xffff, order, _mm512_loadu_si512(code + j));
    const __mmask64 high = _mm512_movepi8_mask(c);
    auto plane = [&](int k) {
      auto at = [&](int q) { return _mm512_load_si512(p.t[k] + 64 * q); };
      return _mm512_mask_blend_epi8(high, _mm512_permutex2var_epi8(at(0), c, at(1)),
                                    _mm512_permutex2var_epi8(at(2), c, at(3)));
    };
    const __m512i b0 = plane(0), b1 = plane(1), b2 = plane(2), b3 = plane(3);
    const __m512i l01 = _mm512_unpacklo_epi8(b0, b1), h01 = _mm512_unpackhi_epi8(b0, b1);
    const __m512i l23 = _mm512_unpacklo_epi8(b2, b3), h23 = _mm512_unpackhi_epi8(b2, b3);
    const __m512 s = _mm512_set1_ps(scale);
    auto put = [&](int k, __m512i v) { _mm512_storeu_ps(to + j + 16 * k, _mm512_mul_ps(s, _mm512_castsi512_ps(v))); };
    put(0, _mm512_unpacklo_epi16(l01, l23));
    put(1, _mm512_unpackhi_epi16(l01, l23));
    put(2, _mm512_unpacklo_epi16(h01, h23));
    put(3, _mm512_unpackhi_epi16(h01, h23));
  }
}
#endif

/// A team on a CPU: one lane that walks.
template <class Isa>
struct cpu_team {
  template <class T>
  using value = cpu_value<Isa, T>;
  index_t at;
  unsigned char* memory;

  index_t rank() const { return at; }
  static constexpr int lane() { return 0; }
  template <class T>
  T* scratch() const {
    return reinterpret_cast<T*>(memory);
  }
  template <class T, class F>
  FRUGAL_CPU void for_values(index_t n, F f) const {
    cpu_chunks<value<T>>(0, n, f);
  }

  template <class Book>
  FRUGAL_CPU void decode(Book, std::uint8_t const* code, float scale, float* to) const {
    using V = value<float>;
#if defined(__AVX512VBMI__)
    if constexpr (V::width == 16) return decode_by_planes(planes<Book>, code, scale, to);
#endif
    for (index_t j = 0; j < blockwise8::block; j += V::width)
      (Book::template decode<V>(V::integer::load(code + j)) * V(scale)).store(to + j);
  }
  template <class Book>
  FRUGAL_CPU void encode(Book, float const* from, float inverse, std::uint8_t* code) const {
    using V = value<float>;
    for (index_t j = 0; j < blockwise8::block; j += V::width)
      Book::encode(V::load(from + j), V(inverse)).store(code + j);
  }
  /// The largest finite magnitude of a block. As integers, magnitudes compare alike and infinities and NaNs come out on top.
  FRUGAL_CPU float peak(float const* p, std::int32_t*) const {
    constexpr index_t n = blockwise8::block;
    using I = typename value<float>::integer;
    const auto largest = [&](auto part) {
      typename I::reg t[4] = {};
      for (index_t j = 0; j < n; j += 4 * I::width)
        for (int k = 0; k < 4; ++k) t[k] = max(I::of(t[k]), part(j + k * I::width)).as();
      return horizontal_max(max(max(I::of(t[0]), I::of(t[1])), max(I::of(t[2]), I::of(t[3]))));
    };
    const auto magnitude = [&](index_t j) { return bits(value<float>::load(p + j)) & I(0x7fffffff); };
    std::int32_t top = largest(magnitude);
    if (top >= 0x7f800000) [[unlikely]]
      top = largest([&](index_t j) { return select(magnitude(j) < I(0x7f800000), magnitude(j), I(0)); });
    return bit_cast<float>(top);
  }
  /// The canonical sum of f over n <= tile_size slots from `from` on: the slots are in registers, where they fit.
  template <class T, class F>
  FRUGAL_CPU T sum(F f, index_t from, index_t n) const {
    using V = value<T>;
    constexpr int slots = 256, packs = slots / V::width;
    T* slot = scratch<T>();
    typename V::reg acc[packs] = {};
    const index_t whole = n / slots * slots;
    for (index_t j = 0; j < whole; j += slots)
      FRUGAL_UNROLL for (int k = 0; k < packs; ++k)
        acc[k] = (V::of(acc[k]) + f(chunk<V, true>{from + j + k * V::width, V::width})).as();
    for (int k = 0; k < packs; ++k) V::of(acc[k]).store(slot + k * V::width);
    cpu_chunks<V>(0, n - whole, [&](auto c) {
      V::of((V::load(slot + c.at) + f(decltype(c){from + whole + c.at, c.n})).as()).store(slot + c.at);
    });
    for (int h = slots / 2; h >= V::width; h /= 2)
      for (int k = 0; k < h; k += V::width) (V::load(slot + k) + V::load(slot + k + h)).store(slot + k);
    for (int h = V::width / 2; h > 0; h /= 2)
      for (int k = 0; k < h; ++k) slot[k] = slot[k] + slot[k + h];
    return slot[0];
  }
};

template <class Isa, class F>
void cpu_teams(index_t begin, index_t end, F f) {
  alignas(64) unsigned char scratch[F::scratch_bytes];
  for (index_t r = begin; r < end; ++r) f(cpu_team<Isa>{r, scratch});
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
