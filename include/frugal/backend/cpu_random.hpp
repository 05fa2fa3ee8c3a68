// SPDX-License-Identifier: Apache-2.0
/// @file Runs of random words and normal numbers on a CPU. The widest registers that the processor has are found at run
/// time: a program compiled for any x86-64 has the speed of one compiled for its processor, and the same bits.
#pragma once
#include "../core/normal.hpp"
#include "../core/pack.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// The keys of Philox's ten rounds.
struct philox_keys {
  std::uint64_t k0[10], k1[10];
  explicit philox_keys(std::uint64_t seed) {
    std::uint32_t a = std::uint32_t(seed), b = std::uint32_t(seed >> 32);
    for (int round = 0; round < 10; ++round, a += 0x9E3779B9u, b += 0xBB67AE85u) {
      k0[round] = a;
      k1[round] = b;
    }
  }
};

/// Block by block, on any processor.
template <class Isa>
struct random_blocks {
  template <class To>
  static void fill(random_stream s, std::uint64_t dir, std::uint64_t first, index_t blocks, To* to) {
    for (index_t i = 0; i < blocks; ++i) {
      const philox_block words = s.block(dir, first + std::uint64_t(i));
      if constexpr (std::is_same_v<To, float>) {
        const normal_block z = to_normals(words);
        memcpy(to + 4 * i, &z, sizeof z);
      } else {
        memcpy(to + 4 * i, &words, sizeof words);
      }
    }
  }
};

#if FRUGAL_X86
#define FRUGAL_RANDOM_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#define FRUGAL_RANDOM_AVX2 __attribute__((target("avx2,fma")))

template <int Bytes>
struct random_registers {
  using u64s = vector_t<std::uint64_t, Bytes / 8>;
  using u32s = vector_t<std::uint32_t, Bytes / 4>;
  using i32s = vector_t<std::int32_t, Bytes / 4>;
  using f32s = vector_t<float, Bytes / 4>;
  static constexpr int lanes = Bytes / 8;
};
/// Forms with a full mask, because g++ warns of what its headers leave undefined in those without.
struct avx512_random : random_registers<64> {
  static constexpr int registers = 4;
  FRUGAL_RANDOM_AVX512 FRUGAL_CPU static u64s order() { return u64s{0, 4, 1, 5, 2, 6, 3, 7}; }
  FRUGAL_RANDOM_AVX512 FRUGAL_CPU static u64s product(u64s a, u64s b) {
    return (u64s)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);
  }
  FRUGAL_RANDOM_AVX512 FRUGAL_CPU static u64s difference(u64s a, u64s b, u64s c) {
    return (u64s)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
  }
  FRUGAL_RANDOM_AVX512 FRUGAL_CPU static u32s merge(u64s low, u64s high) {
    return (u32s)_mm512_mask_shuffle_epi32((__m512i)low, 0xaaaa, (__m512i)high, _MM_PERM_CCAA);
  }
  FRUGAL_RANDOM_AVX512 FRUGAL_CPU static u32s interleave_low(u32s a, u32s b) {
    return (u32s)_mm512_maskz_unpacklo_epi32(0xffff, (__m512i)a, (__m512i)b);
  }
  FRUGAL_RANDOM_AVX512 FRUGAL_CPU static u32s interleave_high(u32s a, u32s b) {
    return (u32s)_mm512_maskz_unpackhi_epi32(0xffff, (__m512i)a, (__m512i)b);
  }
  FRUGAL_RANDOM_AVX512 FRUGAL_CPU static f32s fused(f32s a, f32s b, f32s c) {
    return (f32s)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
  }
  FRUGAL_RANDOM_AVX512 FRUGAL_CPU static f32s root(f32s a) { return (f32s)_mm512_maskz_sqrt_ps(0xffff, (__m512)a); }
  FRUGAL_RANDOM_AVX512 FRUGAL_CPU static void store(void* p, u32s a) { _mm512_storeu_si512(p, (__m512i)a); }
};
struct avx2_random : random_registers<32> {
  static constexpr int registers = 2;
  FRUGAL_RANDOM_AVX2 FRUGAL_CPU static u64s order() { return u64s{0, 2, 1, 3}; }
  FRUGAL_RANDOM_AVX2 FRUGAL_CPU static u64s product(u64s a, u64s b) {
    return (u64s)_mm256_mul_epu32((__m256i)a, (__m256i)b);
  }
  FRUGAL_RANDOM_AVX2 FRUGAL_CPU static u64s difference(u64s a, u64s b, u64s c) { return a ^ (b ^ c); }
  FRUGAL_RANDOM_AVX2 FRUGAL_CPU static u32s merge(u64s low, u64s high) {
    return (u32s)_mm256_blend_epi32((__m256i)low, (__m256i)(high << 32), 0xaa);
  }
  FRUGAL_RANDOM_AVX2 FRUGAL_CPU static u32s interleave_low(u32s a, u32s b) {
    return (u32s)_mm256_unpacklo_epi32((__m256i)a, (__m256i)b);
  }
  FRUGAL_RANDOM_AVX2 FRUGAL_CPU static u32s interleave_high(u32s a, u32s b) {
    return (u32s)_mm256_unpackhi_epi32((__m256i)a, (__m256i)b);
  }
  FRUGAL_RANDOM_AVX2 FRUGAL_CPU static f32s fused(f32s a, f32s b, f32s c) {
    return (f32s)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
  }
  FRUGAL_RANDOM_AVX2 FRUGAL_CPU static f32s root(f32s a) { return (f32s)_mm256_sqrt_ps((__m256)a); }
  FRUGAL_RANDOM_AVX2 FRUGAL_CPU static void store(void* p, u32s a) {
    _mm256_storeu_si256(static_cast<__m256i*>(p), (__m256i)a);
  }
};
#endif

}  // namespace detail
}  // namespace v0
}  // namespace frugal

#if FRUGAL_X86
#define FRUGAL_RANDOM_NAME random_avx512
#define FRUGAL_RANDOM_OPERATIONS avx512_random
#define FRUGAL_RANDOM_TARGET FRUGAL_RANDOM_AVX512
#include "cpu_random_lanes.hpp"
#undef FRUGAL_RANDOM_NAME
#undef FRUGAL_RANDOM_OPERATIONS
#undef FRUGAL_RANDOM_TARGET
#define FRUGAL_RANDOM_NAME random_avx2
#define FRUGAL_RANDOM_OPERATIONS avx2_random
#define FRUGAL_RANDOM_TARGET FRUGAL_RANDOM_AVX2
#include "cpu_random_lanes.hpp"
#undef FRUGAL_RANDOM_NAME
#undef FRUGAL_RANDOM_OPERATIONS
#undef FRUGAL_RANDOM_TARGET
#undef FRUGAL_RANDOM_AVX512
#undef FRUGAL_RANDOM_AVX2
#endif

namespace frugal {
inline namespace v0 {
namespace detail {

/// The choice. (Of Isa are only the names: files compiled for other sets hold other functions.)
template <class Isa, class To>
using random_fill = void (*)(random_stream, std::uint64_t, std::uint64_t, index_t, To*);
template <class Isa, class To>
random_fill<Isa, To> fastest_random() {
#if FRUGAL_X86
  __builtin_cpu_init();
  const bool fma = __builtin_cpu_supports("fma");
  if (fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return random_avx512<Isa>::template fill<To>;
  if (fma && __builtin_cpu_supports("avx2")) return random_avx2<Isa>::template fill<To>;
#endif
  return random_blocks<Isa>::template fill<To>;
}
template <class Isa, class To>
void random_run(random_stream s, std::uint64_t dir, std::uint64_t first, index_t blocks, To* to) {
  static const random_fill<Isa, To> fill = fastest_random<Isa, To>();
  fill(s, dir, first, blocks, to);
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
