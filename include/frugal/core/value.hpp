// SPDX-License-Identifier: Apache-2.0
/// @file The value types that a rule is evaluated in. `lanes<T, N>` is the portable one: a GPU thread works on
/// lanes<float, 4> (128-bit accesses) or lanes<float, 1>. `pack<T, W>`, a SIMD register of the CPU, has the same
/// interface (core/pack.hpp).
///
/// Every operation is rounded once, separately, and is never contracted to a fused multiply-add: a rule gives the same
/// bits whatever the width, the compiler, its flags or the processor. The barrier sits on the product, because
/// contraction needs to see one.
#pragma once
#include <cmath>
#include <cstring>

#include "types.hpp"

namespace frugal {
inline namespace v0 {

namespace detail {
template <class T>
FRUGAL_FN T product(T a, T b) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, float>) return __fmul_rn(a, b);
  else if constexpr (std::is_same_v<T, double>) return __dmul_rn(a, b);
  else return a * b;
#elif defined(__HIP_DEVICE_COMPILE__)
#pragma clang fp contract(off)
  return a * b;
#else
  T r = a * b;
#if defined(__x86_64__)
  if constexpr (std::is_floating_point_v<T>) asm("" : "+x"(r));
#elif defined(__aarch64__)
  if constexpr (std::is_floating_point_v<T>) asm("" : "+w"(r));
#endif
  return r;
#endif
}
template <class T>
FRUGAL_FN T quotient(T a, T b) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, float>) return __fdiv_rn(a, b);
  else return a / b;
#else
  return a / b;
#endif
}
template <class T>
FRUGAL_FN T root(T a) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, float>) return __fsqrt_rn(a);
  else return __dsqrt_rn(a);
#else
  if constexpr (std::is_same_v<T, float>) return ::sqrtf(a);
  else return ::sqrt(a);
#endif
}

// What memory holds and what is computed with: bf16 and half are widened and rounded, the rest is converted.
template <class T, class M>
FRUGAL_FN T widen(M m) {
  if constexpr (is_narrow<M>) return T(to_float(m));
  else return T(m);
}
template <class M, class T>
FRUGAL_FN M narrow(T value) {
  if constexpr (std::is_same_v<M, bf16>) return to_bf16(float(value));
  else if constexpr (std::is_same_v<M, half>) return to_half(float(value));
  else return M(value);
}
}  // namespace detail

template <int N>
struct lane_mask {
  std::uint8_t v[N];  // not bool: clang passes a struct of one bool as one bit, and AMD kernels then use scratch for it
  friend FRUGAL_FN bool any(lane_mask m) {
    bool r = false;
    FRUGAL_UNROLL for (int k = 0; k < N; ++k) r = r || m.v[k];
    return r;
  }
};

/// Eight entries indexed by an integer value modulo 8: small enough to live in registers.
template <class T>
struct table8 {
  T v[8];
};

template <class T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) lanes {
  using scalar = T;
  using integer = lanes<std::int32_t, N>;
  using real = lanes<float, N>;
  using flags = lanes<std::int32_t, N>;  // integers whose comparison gives this value's mask
  using mask = lane_mask<N>;
  static constexpr int width = N;
  T v[N];

  lanes() = default;
  FRUGAL_FN lanes(T s) { FRUGAL_UNROLL for (int k = 0; k < N; ++k) v[k] = s; }

  // clang-format off
#define FRUGAL_EACH(R, EXPR)                                  \
  {                                                           \
    R r;                                                      \
    FRUGAL_UNROLL for (int k = 0; k < N; ++k) r.v[k] = EXPR;  \
    return r;                                                 \
  }
  friend FRUGAL_FN lanes operator+(lanes a, lanes b) FRUGAL_EACH(lanes, a.v[k] + b.v[k])
  friend FRUGAL_FN lanes operator-(lanes a, lanes b) FRUGAL_EACH(lanes, a.v[k] - b.v[k])
  friend FRUGAL_FN lanes operator*(lanes a, lanes b) FRUGAL_EACH(lanes, detail::product(a.v[k], b.v[k]))
  friend FRUGAL_FN lanes operator/(lanes a, lanes b) FRUGAL_EACH(lanes, detail::quotient(a.v[k], b.v[k]))
  friend FRUGAL_FN lanes operator&(lanes a, lanes b) FRUGAL_EACH(lanes, a.v[k] & b.v[k])
  friend FRUGAL_FN lanes operator|(lanes a, lanes b) FRUGAL_EACH(lanes, a.v[k] | b.v[k])
  friend FRUGAL_FN lanes operator^(lanes a, lanes b) FRUGAL_EACH(lanes, a.v[k] ^ b.v[k])
  friend FRUGAL_FN lanes operator<<(lanes a, int s) FRUGAL_EACH(lanes, T(std::uint32_t(a.v[k]) << s))
  friend FRUGAL_FN lanes operator>>(lanes a, int s) FRUGAL_EACH(lanes, T(std::uint32_t(a.v[k]) >> s))
  friend FRUGAL_FN mask operator>(lanes a, lanes b) FRUGAL_EACH(mask, a.v[k] > b.v[k])
  friend FRUGAL_FN mask operator<(lanes a, lanes b) FRUGAL_EACH(mask, a.v[k] < b.v[k])
  friend FRUGAL_FN mask operator==(lanes a, lanes b) FRUGAL_EACH(mask, a.v[k] == b.v[k])
  /// Lane k of x where bit k is set, else of y.
  friend FRUGAL_FN lanes select_bits(std::uint32_t b, lanes x, lanes y) FRUGAL_EACH(lanes, b >> k & 1 ? x.v[k] : y.v[k])
  /// Bit k: whether a < b in lane k.
  friend FRUGAL_FN std::uint32_t less_bits(lanes a, lanes b) {
    std::uint32_t r = 0;
    FRUGAL_UNROLL for (int k = 0; k < N; ++k) r |= std::uint32_t(a.v[k] < b.v[k]) << k;
    return r;
  }
  friend FRUGAL_FN lanes select(mask c, lanes a, lanes b) FRUGAL_EACH(lanes, c.v[k] ? a.v[k] : b.v[k])
  friend FRUGAL_FN lanes sqrt(lanes a) FRUGAL_EACH(lanes, detail::root(a.v[k]))
  /// For products that are known to be exact: fused or not, the bits are the same.
  friend FRUGAL_FN lanes exact_fma(lanes a, lanes b, lanes c) FRUGAL_EACH(lanes, a.v[k] * b.v[k] + c.v[k])
  friend FRUGAL_FN integer bits(lanes a) FRUGAL_EACH(integer, detail::bit_cast<std::int32_t>(a.v[k]))
  friend FRUGAL_FN real from_bits(lanes a) FRUGAL_EACH(real, detail::bit_cast<float>(a.v[k]))
  friend FRUGAL_FN integer truncate(lanes a) FRUGAL_EACH(integer, std::int32_t(a.v[k]))
  friend FRUGAL_FN real to_real(lanes a) FRUGAL_EACH(real, float(a.v[k]))
#undef FRUGAL_EACH
      // clang-format on

      /// Entry i mod 8, by selects: an indexed table would travel through memory on a GPU.
      template <class U>
      friend FRUGAL_FN lanes<U, N> lookup(table8<U> const& t, lanes i) {
    lanes<U, N> r;
    FRUGAL_UNROLL for (int k = 0; k < N; ++k) {
      const bool j0 = i.v[k] & 1, j1 = i.v[k] & 2, j2 = i.v[k] & 4;
      const U a = j0 ? t.v[1] : t.v[0], b = j0 ? t.v[3] : t.v[2], c = j0 ? t.v[5] : t.v[4], d = j0 ? t.v[7] : t.v[6];
      const U e = j1 ? b : a, f = j1 ? d : c;
      r.v[k] = j2 ? f : e;
    }
    return r;
  }
  friend FRUGAL_FN T horizontal_max(lanes a) {
    T r = a.v[0];
    FRUGAL_UNROLL for (int k = 1; k < N; ++k) r = a.v[k] > r ? a.v[k] : r;
    return r;
  }

  /// N elements, one access where they fit one: `p` must be aligned to N elements (up to 16 bytes).
  template <class M>
  FRUGAL_FN static lanes load(M const* p) {
    const cells<M> b = *reinterpret_cast<cells<M> const*>(p);
    lanes r;
    FRUGAL_UNROLL for (int k = 0; k < N; ++k) r.v[k] = detail::widen<T>(b.v[k]);
    return r;
  }
  template <class M>
  FRUGAL_FN void store(M* p) const {
    cells<M> b;
    FRUGAL_UNROLL for (int k = 0; k < N; ++k) b.v[k] = detail::narrow<M>(v[k]);
    *reinterpret_cast<cells<M>*>(p) = b;
  }
  /// The first n < N of them; the rest is zero, and is not stored.
  template <class M>
  FRUGAL_FN static lanes load(M const* p, index_t n) {
    lanes r(T(0));
    FRUGAL_UNROLL for (int k = 0; k < N; ++k) if (k < n) r.v[k] = detail::widen<T>(p[k]);
    return r;
  }
  template <class M>
  FRUGAL_FN void store(M* p, index_t n) const {
    FRUGAL_UNROLL for (int k = 0; k < N; ++k) if (k < n) p[k] = detail::narrow<M>(v[k]);
  }
  /// Lane k: p[at.v[k]].
  FRUGAL_FN static lanes gather(T const* p, integer at) {
    lanes r;
    FRUGAL_UNROLL for (int k = 0; k < N; ++k) r.v[k] = p[at.v[k]];
    return r;
  }
  template <class M, class Int>
  FRUGAL_FN static lanes gather(M const* p, Int const* at, index_t n) {
    lanes r(T(0));
    FRUGAL_UNROLL for (int k = 0; k < N; ++k) if (k < n) r.v[k] = detail::widen<T>(p[at[k]]);
    return r;
  }
  template <class M, class Int>
  FRUGAL_FN void scatter(M* p, Int const* at, index_t n) const {
    FRUGAL_UNROLL for (int k = 0; k < N; ++k) if (k < n) p[at[k]] = detail::narrow<M>(v[k]);
  }

 private:
  template <class M>
  struct alignas(N * sizeof(M) <= 16 ? N * sizeof(M) : alignof(M)) cells {
    M v[N];
  };
};

/// What rules may use. A value is an array of `width` scalars with the operations above.
template <class V>
concept value = requires {
  typename V::scalar;
  typename V::mask;
  V::width;
};

FRUGAL_GENERIC template <value V>
FRUGAL_FN V larger(V a, V b) {
  return select(a > b, a, b);
}
FRUGAL_GENERIC template <value V>
FRUGAL_FN V smaller(V a, V b) {
  return select(a < b, a, b);
}
// The same for rules. Some programs have macros of these names, so the library's own headers do not call them.
FRUGAL_GENERIC template <value V>
FRUGAL_FN V(max)(V a, V b) {
  return larger(a, b);
}
FRUGAL_GENERIC template <value V>
FRUGAL_FN V(min)(V a, V b) {
  return smaller(a, b);
}
FRUGAL_GENERIC template <value V>
FRUGAL_FN V abs(V a) {
  return from_bits(bits(a) & typename V::integer(0x7fffffff));
}
/// -1, 0 or 1; sign(NaN) = 0.
FRUGAL_GENERIC template <value V>
FRUGAL_FN V sign(V a) {
  using T = typename V::scalar;
  return select(a > V(T(0)), V(T(1)), select(a < V(T(0)), V(T(-1)), V(T(0))));
}

/// A double whose every operation is rounded once: coefficients derived from hyper-parameters are part of the contract.
using exact = lanes<double, 1>;

}  // namespace v0
}  // namespace frugal
