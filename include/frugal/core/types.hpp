// SPDX-License-Identifier: Apache-2.0
/// @file Scalar types: indices, bfloat16 and binary16, and the triple of types that an optimizer works with.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "macros.hpp"

namespace frugal {
inline namespace v0 {

/// Every index and size. Signed, 64 bits: models have more than 2^31 parameters.
using index_t = std::ptrdiff_t;

/// The upper half of a float. Memory only: loads widen to float, stores round to nearest, ties to even.
struct bf16 {
  std::uint16_t bits;
};

/// binary16 of IEEE 754: 5 bits of exponent, 10 of fraction. Memory only, as bf16: loads widen to float, stores round.
struct half {
  std::uint16_t bits;
};

namespace detail {
template <class To, class From>
FRUGAL_FN To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
}  // namespace detail

FRUGAL_FN float to_float(bf16 b) { return detail::bit_cast<float>(std::uint32_t(b.bits) << 16); }
FRUGAL_FN bf16 to_bf16(float f) {
  const auto u = detail::bit_cast<std::uint32_t>(f);
  const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
  return {std::uint16_t(nan ? (u >> 16) | 0x40u : (u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

// A NaN stays one, quiet, with what fits of its payload: what the instructions of processors do, too.
FRUGAL_FN float to_float(half h) {
  const std::uint32_t sign = std::uint32_t(h.bits & 0x8000u) << 16, m = std::uint32_t(h.bits & 0x7fffu) << 13;
  std::uint32_t r = m + 0x38000000u;  // the other bias
  if (m >= 0x0f800000u) r = (m + 0x70000000u) | (m > 0x0f800000u ? 0x400000u : 0u);
  else if (m < 0x00800000u)  // subnormal or zero: (2^-14 + m) - 2^-14, exact
    r = detail::bit_cast<std::uint32_t>(detail::bit_cast<float>(m + 0x38800000u) - 0x1p-14f);
  return detail::bit_cast<float>(r | sign);
}
FRUGAL_FN half to_half(float f) {
  const auto u = detail::bit_cast<std::uint32_t>(f);
  const std::uint32_t m = u & 0x7fffffffu;
  std::uint32_t r = (m - 0x38000000u + 0xfffu + ((m >> 13) & 1u)) >> 13;  // 65520 and more end at infinity
  if (m > 0x7f800000u) r = 0x7e00u | ((m >> 13) & 0x3ffu);
  else if (m >= 0x47800000u) r = 0x7c00u;
  else if (m < 0x38800000u)  // subnormal or zero: a number below 2^-14 beside 1/2 is rounded where half's fraction ends
    r = detail::bit_cast<std::uint32_t>(detail::bit_cast<float>(m) + 0.5f) - 0x3f000000u;
  return {std::uint16_t(r | ((u >> 16) & 0x8000u))};
}

namespace detail {
template <class T>
inline constexpr bool is_narrow = std::is_same_v<T, bf16> || std::is_same_v<T, half>;
template <class T>
inline constexpr bool is_element = std::is_same_v<T, float> || std::is_same_v<T, double> || is_narrow<T>;
}  // namespace detail

/// The policy that names element types: parameters, gradients, and what is computed in (float, or double for double).
template <class Param = float, class Grad = Param>
struct types {
  static_assert(detail::is_element<Param>, "frugal: parameters are float, double, bf16 or half");
  static_assert(detail::is_element<Grad>, "frugal: gradients are float, double, bf16 or half");
  using param = Param;
  using grad = Grad;
  using compute = std::conditional_t<std::is_same_v<Param, double>, double, float>;
};

/// Names of element types, for messages and saved states.
template <class T>
constexpr char const* type_name() {
  if constexpr (std::is_same_v<T, float>) return "float";
  else if constexpr (std::is_same_v<T, double>) return "double";
  else if constexpr (std::is_same_v<T, bf16>) return "bf16";
  else if constexpr (std::is_same_v<T, half>) return "half";
  else if constexpr (std::is_same_v<T, std::uint8_t>) return "uint8";
  else if constexpr (std::is_same_v<T, std::int64_t>) return "int64";
  else static_assert(sizeof(T) == 0, "frugal: no name for this element type");
}

}  // namespace v0
}  // namespace frugal
