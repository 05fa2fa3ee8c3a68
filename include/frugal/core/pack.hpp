// SPDX-License-Identifier: Apache-2.0
/// @file `pack<T, W>`: one SIMD register of the CPU, with the interface of `lanes`. GNU vector extensions and a dozen
/// intrinsics: g++, clang, and both as host compilers of nvcc and hipcc.
#pragma once
#include "value.hpp"

#if FRUGAL_X86
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace frugal {
inline namespace v0 {

// The instruction set is part of the type of a CPU backend: files compiled for different sets hold different
// instantiations, so mixing them is a link error that names the set instead of a silent breach of the one-definition
// rule.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
struct avx512 {
  static constexpr int bytes = 64;
};
using native_isa = avx512;
#elif defined(__AVX2__)
struct avx2 {
  static constexpr int bytes = 32;
};
using native_isa = avx2;
#else
struct simd128 {
  static constexpr int bytes = 16;
};
using native_isa = simd128;
#endif

namespace detail {
template <class T, int W>
struct vector_of {
  typedef T type __attribute__((vector_size(W * sizeof(T))));
};
template <class T, int W>
using vector_t = typename vector_of<T, W>::type;

template <class To, class From>
FRUGAL_CPU To recast(From f) {
  static_assert(sizeof(To) == sizeof(From));
  To t;
  memcpy(&t, &f, sizeof t);
  return t;
}
// clang-format off
// Unsigned 8 or 16 bits to 32: g++ 12 takes the generic conversion apart into scalars, so name the instruction.
template <class M>
FRUGAL_CPU auto widen_unsigned(M m) {
#if defined(__AVX512F__)
  if constexpr (sizeof(M) == 32) return _mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)m);
  else
#endif
#if defined(__AVX2__)
      if constexpr (sizeof(M) == 16 && sizeof(m[0]) == 2)
    return _mm256_cvtepu16_epi32((__m128i)m);
  else if constexpr (sizeof(M) == 8 && sizeof(m[0]) == 1)
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<__m128i const*>(&m)));
#if defined(__AVX512F__)
  else if constexpr (sizeof(M) == 16) return _mm512_maskz_cvtepu8_epi32(0xffff, (__m128i)m);
#endif
  else
#endif
#if FRUGAL_X86
      if constexpr (sizeof(M) == 8 && sizeof(m[0]) == 2)
    return _mm_unpacklo_epi16(_mm_loadl_epi64(reinterpret_cast<__m128i const*>(&m)), _mm_setzero_si128());
  else
#endif
    return __builtin_convertvector(m, vector_t<std::uint32_t, sizeof(M) / sizeof(m[0])>);
}
// clang-format on

/// The opposite, of 32 bits that are below 2^16: g++ 12 makes that piece by piece, too.
template <int W>
FRUGAL_CPU vector_t<std::uint16_t, W> lower_halves(vector_t<std::uint32_t, W> u) {
  [[maybe_unused]] vector_t<std::uint16_t, W> r;
#if defined(__AVX512F__)
  if constexpr (W == 16) return (decltype(r))_mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)u);
  else
#endif
#if defined(__AVX2__)
      if constexpr (W == 8)
    return (decltype(r))_mm_packus_epi32(_mm256_castsi256_si128((__m256i)u), _mm256_extracti128_si256((__m256i)u, 1));
  else
#endif
#if FRUGAL_X86
      if constexpr (W == 4) {
    const __m128i extended = _mm_srai_epi32(_mm_slli_epi32((__m128i)u, 16), 16);  // what signed saturation keeps
    _mm_storel_epi64(reinterpret_cast<__m128i*>(&r), _mm_packs_epi32(extended, extended));
    return r;
  } else
#endif
    return __builtin_convertvector(u, decltype(r));
}

// to_bf16(), to_half() and their opposites (core/types.hpp) of W numbers: bits that a memory of 16-bit cells holds.
template <int W>
FRUGAL_CPU vector_t<std::uint16_t, W> to_bf16_bits(vector_t<float, W> x) {
  const auto u = (vector_t<std::uint32_t, W>)x;
  const auto rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, quiet = (u >> 16) | 0x40u;
  const auto nan = (vector_t<std::int32_t, W>)(u & 0x7fffffffu) > 0x7f800000;
  return lower_halves<W>(nan ? quiet : rounded);
}
template <int W>
FRUGAL_CPU vector_t<std::uint16_t, W> to_half_bits(vector_t<float, W> x) {
  using u16 [[maybe_unused]] = vector_t<std::uint16_t, W>;
#if defined(__AVX512F__)
  if constexpr (W == 16) return (u16)_mm512_maskz_cvtps_ph(0xffff, (__m512)x, _MM_FROUND_TO_NEAREST_INT);
  else
#endif
#if defined(__F16C__)
      if constexpr (W == 8)
    return (u16)_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT);
  else
#endif
  {
    using u32 = vector_t<std::uint32_t, W>;
    using i32 = vector_t<std::int32_t, W>;
    const u32 u = (u32)x, m = u & 0x7fffffffu;
    const u32 normal = (m - 0x38000000u + 0xfffu + ((m >> 13) & 1u)) >> 13, quiet = ((m >> 13) & 0x3ffu) | 0x7e00u;
    const u32 tiny = (u32)((vector_t<float, W>)m + 0.5f) - 0x3f000000u;
    const u32 finite = (i32)m < 0x38800000 ? tiny : normal, infinite = (i32)m > 0x7f800000 ? quiet : u32{} + 0x7c00u;
    const u32 r = ((i32)m >= 0x47800000 ? infinite : finite) | ((u >> 16) & 0x8000u);
    return lower_halves<W>(r);
  }
}
template <int W>
FRUGAL_CPU vector_t<float, W> from_bf16_bits(vector_t<std::uint16_t, W> b) {
  return (vector_t<float, W>)((vector_t<std::uint32_t, W>)widen_unsigned(b) << 16);
}
template <int W>
FRUGAL_CPU vector_t<float, W> from_half_bits(vector_t<std::uint16_t, W> b) {
  using f32 = vector_t<float, W>;
#if defined(__AVX512F__)
  if constexpr (W == 16) return (f32)_mm512_maskz_cvtph_ps(0xffff, (__m256i)b);
  else
#endif
#if defined(__F16C__)
      if constexpr (W == 8)
    return (f32)_mm256_cvtph_ps((__m128i)b);
  else
#endif
  {
    using u32 = vector_t<std::uint32_t, W>;
    using i32 = vector_t<std::int32_t, W>;
    const u32 h = (u32)widen_unsigned(b), m = (h & 0x7fffu) << 13;
    const u32 tiny = (u32)((f32)(m + 0x38800000u) - 0x1p-14f), quiet = (i32)m > 0x0f800000 ? u32{} + 0x400000u : u32{};
    const u32 finite = (i32)m < 0x00800000 ? tiny : m + 0x38000000u;
    return (f32)(((i32)m >= 0x0f800000 ? (m + 0x70000000u) | quiet : finite) | ((h & 0x8000u) << 16));
  }
}
template <int Bytes>
struct integer_of_size;
template <>
struct integer_of_size<4> {
  using type = std::int32_t;
};
template <>
struct integer_of_size<8> {
  using type = std::int64_t;
};
}  // namespace detail

// At rest a register is an array: nvcc refuses vector types anywhere in host-device code, even in instantiations that
// no device ever runs. Inside an operation it is a vector; compilers see through the copies, which cost nothing.
template <class T, int W>
struct alignas(W * sizeof(T)) pack {
  using scalar = T;
  using integer = pack<std::int32_t, W>;
  using real = pack<float, W>;
  using flags = pack<typename detail::integer_of_size<sizeof(T)>::type, W>;
  using mask = flags;  // all bits of a lane, or none
  using reg = detail::vector_t<T, W>;
  static constexpr int width = W;
  T v[W];

  pack() = default;
  FRUGAL_CPU pack(T s) : pack(of(s - reg{})) {}
  FRUGAL_CPU static pack of(reg r) { return detail::recast<pack>(r); }
  // Always the whole register and always of type reg: g++ keeps a pack in memory once it is read in pieces.
  template <class U = T>
  FRUGAL_CPU auto as() const {
    return (detail::vector_t<U, W>)detail::recast<reg>(*this);
  }

  friend FRUGAL_CPU pack operator+(pack a, pack b) { return of(a.as() + b.as()); }
  friend FRUGAL_CPU pack operator-(pack a, pack b) { return of(a.as() - b.as()); }
  friend FRUGAL_CPU pack operator*(pack a, pack b) {
    reg r = a.as() * b.as();
#if defined(__x86_64__)
    if constexpr (std::is_floating_point_v<T>) asm("" : "+v"(r));
#elif defined(__aarch64__)
    if constexpr (std::is_floating_point_v<T>) asm("" : "+w"(r));
#endif
    return of(r);
  }
  friend FRUGAL_CPU pack operator/(pack a, pack b) { return of(a.as() / b.as()); }
  friend FRUGAL_CPU pack operator&(pack a, pack b) { return of(a.as() & b.as()); }
  friend FRUGAL_CPU pack operator|(pack a, pack b) { return of(a.as() | b.as()); }
  friend FRUGAL_CPU pack operator^(pack a, pack b) { return of(a.as() ^ b.as()); }
  friend FRUGAL_CPU pack operator<<(pack a, int s) { return of(a.as() << s); }
  friend FRUGAL_CPU pack operator>>(pack a, int s) { return of((reg)(a.template as<std::uint32_t>() >> s)); }
  friend FRUGAL_CPU mask operator>(pack a, pack b) { return mask::of(a.as() > b.as()); }
  friend FRUGAL_CPU mask operator<(pack a, pack b) { return mask::of(a.as() < b.as()); }
  friend FRUGAL_CPU mask operator==(pack a, pack b) { return mask::of(a.as() == b.as()); }
  friend FRUGAL_CPU pack exact_fma(pack a, pack b, pack c) { return of(a.as() * b.as() + c.as()); }
  friend FRUGAL_CPU pack choose(mask c, pack a, pack b) { return of(c.as() ? a.as() : b.as()); }
  friend FRUGAL_CPU pack larger(pack a, pack b) {
    if constexpr (std::is_same_v<T, std::int32_t>) {
#if defined(__AVX512F__)
      if constexpr (W == 16) return of((reg)_mm512_maskz_max_epi32(0xffff, (__m512i)a.as(), (__m512i)b.as()));
#endif
#if defined(__AVX2__)
      if constexpr (W == 8) return of((reg)_mm256_max_epi32((__m256i)a.as(), (__m256i)b.as()));
#endif
    }
    return choose(a > b, a, b);
  }
  friend FRUGAL_CPU pack smaller(pack a, pack b) {
    if constexpr (std::is_same_v<T, std::int32_t>) {
#if defined(__AVX512F__)
      if constexpr (W == 16) return of((reg)_mm512_maskz_min_epi32(0xffff, (__m512i)a.as(), (__m512i)b.as()));
#endif
#if defined(__AVX2__)
      if constexpr (W == 8) return of((reg)_mm256_min_epi32((__m256i)a.as(), (__m256i)b.as()));
#endif
    }
    return choose(a < b, a, b);
  }
  friend FRUGAL_CPU integer bits(pack a) { return integer::of(a.template as<std::int32_t>()); }
  friend FRUGAL_CPU real from_bits(pack a) { return real::of(a.template as<float>()); }
  friend FRUGAL_CPU integer truncate(pack a) {
    return integer::of(__builtin_convertvector(a.as(), detail::vector_t<std::int32_t, W>));
  }
  friend FRUGAL_CPU real to_real(pack a) {
    return real::of(__builtin_convertvector(a.as(), detail::vector_t<float, W>));
  }
  // clang-format off
  friend FRUGAL_CPU pack sqrt(pack a) {  // by instruction: the library function would set errno, lane by lane
#if defined(__AVX512F__)
    if constexpr (sizeof(reg) == 64 && sizeof(T) == 4) return of((reg)_mm512_maskz_sqrt_ps(0xffff, (__m512)a.as()));
    else if constexpr (sizeof(reg) == 64) return of((reg)_mm512_maskz_sqrt_pd(0xff, (__m512d)a.as()));
    else
#endif
#if defined(__AVX__)
    if constexpr (sizeof(reg) == 32 && sizeof(T) == 4) return of((reg)_mm256_sqrt_ps((__m256)a.as()));
    else if constexpr (sizeof(reg) == 32) return of((reg)_mm256_sqrt_pd((__m256d)a.as()));
    else
#endif
#if FRUGAL_X86
    if constexpr (sizeof(T) == 4) return of((reg)_mm_sqrt_ps((__m128)a.as()));
    else return of((reg)_mm_sqrt_pd((__m128d)a.as()));
#elif defined(__aarch64__)
    if constexpr (sizeof(T) == 4) return of((reg)vsqrtq_f32((float32x4_t)a.as()));
    else return of((reg)vsqrtq_f64((float64x2_t)a.as()));
#else
    for (int k = 0; k < W; ++k) a.v[k] = detail::root(a.v[k]);
    return a;
#endif
  }
  template <class U>
  friend FRUGAL_CPU pack<U, W> lookup(table8<U> const& t, pack i) {  // entry i mod 8
    [[maybe_unused]] auto const* p = reinterpret_cast<float const*>(t.v);
    using result [[maybe_unused]] = detail::vector_t<U, W>;
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    if constexpr (W == 16)
      return pack<U, W>::of((result)_mm512_maskz_permutexvar_ps(
          0xffff, (__m512i)i.as(), _mm512_maskz_broadcast_f32x8(0xffff, _mm256_loadu_ps(p))));
    else
#endif
#if defined(__AVX2__)
        if constexpr (W == 8)
      return pack<U, W>::of((result)_mm256_permutevar8x32_ps(_mm256_loadu_ps(p), (__m256i)i.as()));
    else
#endif
    {
      pack<U, W> r;
      for (int k = 0; k < W; ++k) r.v[k] = t.v[i.v[k] & 7];
      return r;
    }
  }
  friend FRUGAL_CPU bool any(pack m) {
#if defined(__AVX512F__)
    if constexpr (sizeof(reg) == 64) return _mm512_test_epi32_mask((__m512i)m.as(), (__m512i)m.as()) != 0;
    else
#endif
#if defined(__AVX__)
    if constexpr (sizeof(reg) == 32) return _mm256_testz_si256((__m256i)m.as(), (__m256i)m.as()) == 0;
    else
#endif
    {
      const auto q = detail::recast<detail::vector_t<std::int64_t, int(sizeof(reg) / 8)>>(m.as());
      std::int64_t r = q[0];
      for (int k = 1; k < int(sizeof(reg) / 8); ++k) r |= q[k];
      return r != 0;
    }
  }
  /// Bit k: whether a < b in lane k.
  friend FRUGAL_CPU std::uint32_t less_bits(pack a, pack b) {
#if defined(__AVX512F__)
    if constexpr (sizeof(reg) == 64 && std::is_same_v<T, float>)
      return _mm512_cmp_ps_mask((__m512)a.as(), (__m512)b.as(), _CMP_LT_OS);
    else
#endif
#if defined(__AVX__)
    if constexpr (sizeof(reg) == 32 && sizeof(T) == 4) return std::uint32_t(_mm256_movemask_ps((__m256)(a.as() < b.as())));
    else
#endif
#if FRUGAL_X86
    if constexpr (sizeof(reg) == 16 && sizeof(T) == 4) return std::uint32_t(_mm_movemask_ps((__m128)(a.as() < b.as())));
    else
#endif
    {
      std::uint32_t r = 0;
      for (int k = 0; k < W; ++k) r |= std::uint32_t(a.v[k] < b.v[k]) << k;
      return r;
    }
  }
  /// Lane k of x where bit k is set, else of y.
  friend FRUGAL_CPU pack select_bits(std::uint32_t b, pack x, pack y) {
#if defined(__AVX512F__)
    if constexpr (sizeof(reg) == 64 && std::is_same_v<T, float>)
      return of((reg)_mm512_mask_blend_ps(__mmask16(b), (__m512)y.as(), (__m512)x.as()));
    else
#endif
    {
      mask lane;
      for (int k = 0; k < W; ++k) lane.v[k] = typename mask::scalar(1) << k;
      return choose((mask(typename mask::scalar(b)) & lane) == lane, x, y);
    }
  }
  // clang-format on
  friend FRUGAL_CPU T horizontal_max(pack a) {
    if constexpr (W == 2) {
      const reg r = a.as();
      return r[0] > r[1] ? r[0] : r[1];
    } else {
      struct halves {
        pack<T, W / 2> lo, hi;
      };
      const auto h = detail::recast<halves>(a.as());
      return horizontal_max(larger(h.lo, h.hi));
    }
  }

  /// Lane k to lane k + W / 2, and so on with the first half, until one is left.
  friend FRUGAL_CPU T halving_sum(pack a) {
    if constexpr (W == 2) {
      const reg r = a.as();
      return r[0] + r[1];
    } else {
      struct halves {
        pack<T, W / 2> lo, hi;
      };
      const auto h = detail::recast<halves>(a.as());
      return halving_sum(h.lo + h.hi);
    }
  }

  /// W elements from any address.
  template <class M>
  FRUGAL_CPU static pack load(M const* p) {
    using cell = std::conditional_t<detail::is_narrow<M>, std::uint16_t, M>;
    detail::vector_t<cell, W> m;
    memcpy(&m, p, sizeof m);
    if constexpr (std::is_same_v<M, T>) return of(m);
    else if constexpr (std::is_same_v<M, bf16>) return of(__builtin_convertvector(detail::from_bf16_bits<W>(m), reg));
    else if constexpr (std::is_same_v<M, half>) return of(__builtin_convertvector(detail::from_half_bits<W>(m), reg));
    else if constexpr (std::is_same_v<M, std::uint8_t> && sizeof(T) == 4) return of((reg)detail::widen_unsigned(m));
    else return of(__builtin_convertvector(m, reg));
  }
  template <class M>
  FRUGAL_CPU void store(M* p) const {
    if constexpr (std::is_same_v<M, T>) {
      const reg r = as();
      memcpy(p, &r, sizeof r);
    } else if constexpr (detail::is_narrow<M>) {
      const auto x = __builtin_convertvector(as(), detail::vector_t<float, W>);
      detail::vector_t<std::uint16_t, W> r;
      if constexpr (std::is_same_v<M, bf16>) r = detail::to_bf16_bits<W>(x);
      else r = detail::to_half_bits<W>(x);
      memcpy(p, &r, sizeof r);
    } else {
#if defined(__AVX2__)
      if constexpr (W == 8 && std::is_same_v<M, std::uint8_t>) {  // 0..255 each
        const __m256i a = (__m256i)as();
        const __m128i w = _mm_packus_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(w, w));
        return;
      }
#endif
      const auto r = __builtin_convertvector(as(), detail::vector_t<M, W>);
      memcpy(p, &r, sizeof r);
    }
  }
  /// The first n < W of them; the rest is zero, and is not stored.
  template <class M>
  FRUGAL_CPU static pack load(M const* p, index_t n) {
#if defined(__AVX512F__)
    if constexpr (W == 16 && std::is_same_v<M, T>)
      return of((reg)_mm512_maskz_loadu_epi32(__mmask16((1u << n) - 1), p));
#endif
    M t[W] = {};
    for (index_t k = 0; k < n; ++k) t[k] = p[k];
    return load(t);
  }
  template <class M>
  FRUGAL_CPU void store(M* p, index_t n) const {
#if defined(__AVX512F__)
    if constexpr (W == 16 && std::is_same_v<M, T>)
      return _mm512_mask_storeu_epi32(p, __mmask16((1u << n) - 1), (__m512i)as());
#endif
    M t[W];
    store(t);
    for (index_t k = 0; k < n; ++k) p[k] = t[k];
  }
  /// Lane k: p[at.v[k]].
  FRUGAL_CPU static pack gather(T const* p, integer at) {
    static_assert(std::is_same_v<T, float>);
#if defined(__AVX512F__)
    if constexpr (W == 16)
      return of((reg)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), 0xffff, (__m512i)at.as(), p, 4));
#endif
#if defined(__AVX2__)
    if constexpr (W == 8) return of((reg)_mm256_i32gather_ps(p, (__m256i)at.as(), 4));
#endif
    T t[W];
    FRUGAL_UNROLL for (int k = 0; k < W; ++k) t[k] = p[at.v[k]];
    return load(t);
  }
  template <class M, class Int>
  FRUGAL_CPU static pack gather(M const* p, Int const* at, index_t n) {
    M t[W] = {};
    for (index_t k = 0; k < n; ++k) t[k] = p[at[k]];
    return load(t);
  }
  template <class M, class Int>
  FRUGAL_CPU void scatter(M* p, Int const* at, index_t n) const {
    M t[W];
    store(t);
    for (index_t k = 0; k < n; ++k) p[at[k]] = t[k];
  }
};
template <class T, int W, class M>
requires std::is_same_v<M, typename pack<T, W>::mask> FRUGAL_CPU pack<T, W> select(M c, pack<T, W> a, pack<T, W> b) {
  return choose(c, a, b);
}

/// The widest register of an instruction set that holds scalars of type T.
template <class Isa, class T>
using cpu_value = pack<T, Isa::bytes / int(sizeof(T))>;

}  // namespace v0
}  // namespace frugal
