// SPDX-License-Identifier: Apache-2.0
/// @file Scalar types: indices, bfloat16, and the triple of types that an optimizer works with.
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

/// The policy that names element types: parameters, gradients, and what is computed in (float, or double for double).
template <class Param = float, class Grad = Param>
struct types {
  static_assert(std::is_same_v<Param, float> || std::is_same_v<Param, double> || std::is_same_v<Param, bf16>,
                "frugal: parameters are float, double or bf16");
  static_assert(std::is_same_v<Grad, float> || std::is_same_v<Grad, double> || std::is_same_v<Grad, bf16>,
                "frugal: gradients are float, double or bf16");
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
  else if constexpr (std::is_same_v<T, std::uint8_t>) return "uint8";
  else if constexpr (std::is_same_v<T, std::int64_t>) return "int64";
  else static_assert(sizeof(T) == 0, "frugal: no name for this element type");
}

}  // namespace v0
}  // namespace frugal
