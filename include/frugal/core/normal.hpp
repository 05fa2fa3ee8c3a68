// SPDX-License-Identifier: Apache-2.0
/// @file Normal numbers of the random format, version 1: the same bits on every backend, compiler and vector width. Two
/// words make two coordinates by the transform of Box and Muller ("A note on the generation of random normal deviates",
/// Ann. Math. Stat. 29(2), 1958) in operations of float that IEEE 754 rounds in one way: fused multiply-add, product,
/// square root, exact differences and conversions. No sum here has a product as its operand, so there is nothing to
/// contract, and nothing is ever subnormal, infinite, NaN or zero. This is the only place where fma is part of a
/// result.
#pragma once
#include "random.hpp"

namespace frugal {
inline namespace v0 {

/// Part of whatever carries a seed instead of numbers. Another constant, operation or order is another version.
inline constexpr std::uint32_t normal_format_version = 1;

namespace detail {

// A host without fma instructions, or a build that may not use them, calls the C library here: the same bits, slowly.
FRUGAL_FN float fused(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}
FRUGAL_FN float rounded_product(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}
/// The correctly rounded root of a normal number.
FRUGAL_FN float rounded_root(float a) {
#if defined(__CUDA_ARCH__)
  return __fsqrt_rn(a);
#elif defined(__HIP_DEVICE_COMPILE__)
  // The instruction errs by one unit at most, and whether the library's function corrects it depends on a flag. The
  // root is the neighbour below if the middle of the two is not below it, and so on.
  const float s = __builtin_amdgcn_sqrtf(a);
  const float below = bit_cast<float>(bit_cast<std::uint32_t>(s) - 1);
  const float above = bit_cast<float>(bit_cast<std::uint32_t>(s) + 1);
  const float low = fused(-below, s, a), high = fused(-above, s, a);
  return high > 0 ? above : low <= 0 ? below : s;
#else
  return __builtin_sqrtf(a);
#endif
}

/// The constants of the format.
struct normal_constants {
  // -2 ln(1 + f) = f (log[0] + log[1] f + ... + log[7] f^7), |f| <= 1/3
  static constexpr float log0 = -0x1p+1f, log1 = 0x1.fffebap-1f, log2 = -0x1.55613cp-1f, log3 = 0x1.0048bp-1f,
                         log4 = -0x1.954574p-2f, log5 = 0x1.4a751cp-2f, log6 = -0x1.5f9e02p-2f, log7 = 0x1.54390ap-2f;
  static constexpr float halving = 0x1.62e43p-23f;  // 2 ln 2, over 2^23
  static constexpr float least = 0x1p-40f;          // keeps the radius from zero
  // sin(pi x / 2) / sqrt 2 = x (sin0 + ... + sin3 t^3), cos(pi x / 2) / sqrt 2 = cos0 + ... + cos3 t^3, t = x^2
  static constexpr float sin0 = 0x1.1c5832p+0f, sin1 = -0x1.d3ba64p-2f, sin2 = 0x1.cd9698p-5f, sin3 = -0x1.ab8e92p-9f;
  static constexpr float cos0 = 0x1.6a09e6p-1f, cos1 = -0x1.bea56ap-1f, cos2 = 0x1.6f40fap-3f, cos3 = -0x1.d9011cp-7f;
  static constexpr std::uint32_t sign = 0x80000000, fraction = 0x007FFFFF;
  static constexpr std::uint32_t one = 0x3F800001;   // the bits of 1, and the lowest of its fraction
  static constexpr std::uint32_t most = 0x4F2AAAAA;  // the bits of 2^31 4/3, rounded down
};

}  // namespace detail

/// Two independent normal numbers. The sign of each is bit 31 of its word; magnitudes are 1.7e-13 to 6.5555415.
struct normal_pair {
  float z0, z1;
};
FRUGAL_FN normal_pair to_normals(std::uint32_t w0, std::uint32_t w1) {
  using k = detail::normal_constants;
  using detail::fused;
  using u32 = std::uint32_t;
  // The radius, sqrt(-2 ln u) with u = |w0 as a signed odd integer| 2^-31 = (1 + f) 2^-halvings.
  const u32 m = detail::bit_cast<u32>(float(std::int32_t(w0 | 1))) & ~k::sign;
  const u32 halvings = (k::most - m) & ~k::fraction;  // times 2^23
  const float f = fused(detail::bit_cast<float>(m + halvings), 0x1p-31f, -1.f);
  float p = fused(k::log7, f, k::log6);
  p = fused(p, f, k::log5);
  p = fused(p, f, k::log4);
  p = fused(p, f, k::log3);
  p = fused(p, f, k::log2);
  p = fused(p, f, k::log1);
  p = fused(p, f, k::log0);
  const float r = detail::rounded_root(fused(f, p, fused(float(std::int32_t(halvings)), k::halving, k::least)));
  // The angle, pi / 4 + pi x / 2: its cosine and sine are cos(pi x / 2) / sqrt 2 -+ sin(pi x / 2) / sqrt 2.
  const float x = detail::bit_cast<float>((w1 & k::fraction) | k::one) - 1.5f;
  const float t = detail::rounded_product(x, x);
  float s = fused(k::sin3, t, k::sin2), c = fused(k::cos3, t, k::cos2);
  s = fused(s, t, k::sin1);
  c = fused(c, t, k::cos1);
  s = fused(s, t, k::sin0);
  c = fused(c, t, k::cos0);
  const float g = detail::rounded_product(r, x), h = detail::rounded_product(r, c);
  return {detail::bit_cast<float>(detail::bit_cast<u32>(fused(-g, s, h)) ^ (w0 & k::sign)),
          detail::bit_cast<float>(detail::bit_cast<u32>(fused(g, s, h)) ^ (w1 & k::sign))};
}

/// The four coordinates of a block.
struct alignas(16) normal_block {
  float z[4];
};
FRUGAL_FN normal_block to_normals(philox_block const& b) {
  const normal_pair p = to_normals(b.word[0], b.word[1]), q = to_normals(b.word[2], b.word[3]);
  return {{p.z0, p.z1, q.z0, q.z1}};
}

/// Coordinate j of a direction: for single ones; teams make whole runs of them (team.normals) much faster.
FRUGAL_FN float normal(random_stream s, std::uint64_t dir, std::uint64_t j) {
  const philox_block b = s.block(dir, j / 4);
  const normal_pair p = j & 2 ? to_normals(b.word[2], b.word[3]) : to_normals(b.word[0], b.word[1]);
  return j & 1 ? p.z1 : p.z0;
}

}  // namespace v0
}  // namespace frugal
