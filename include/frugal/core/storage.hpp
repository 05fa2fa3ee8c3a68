// SPDX-License-Identifier: Apache-2.0
/// @file Storages: how the states of an element rule lie in memory.
#pragma once
#include "dynamic_code.hpp"
#include "error.hpp"

namespace frugal {
inline namespace v0 {

/// In the type that is computed in: float, or double for double parameters.
struct full {};

/// In bf16, rounded to nearest on every store.
struct bf16_state {};

/// One byte an element and one float a block of 256: the dynamic code book, block-wise ("8-bit Optimizers via
/// Block-wise Quantization", section 2). Tensors of fewer than `min_size` elements keep full states, as in the
/// paper's released code.
struct blockwise8 {
  static constexpr index_t block = 256;
  index_t min_size = 4096;
};

/// What the values of a state may be: chooses the code book of an 8-bit storage.
enum class values { any, non_negative };

/// A state of a rule: its name in saved states, and its values.
struct state_info {
  char const* name;
  values range;
};

namespace detail {
template <class Storage, class Compute>
struct storage_traits;

template <class Compute>
struct storage_traits<full, Compute> {
  using cell = Compute;
  static constexpr char const* name = "full";
  static constexpr index_t alignment = 64 / sizeof(Compute);
};
template <class Compute>
struct storage_traits<bf16_state, Compute> {
  static_assert(std::is_same_v<Compute, float>, "frugal: bf16 states are for float, bf16 and half parameters");
  using cell = bf16;
  static constexpr char const* name = "bf16";
  static constexpr index_t alignment = 32;
};
template <class Compute>
struct storage_traits<blockwise8, Compute> {
  static_assert(std::is_same_v<Compute, float>, "frugal: 8-bit states are for float, bf16 and half parameters");
  using cell = float;  // of the tensors below min_size
  static constexpr char const* name = "blockwise8";
  static constexpr index_t alignment = storage_traits<full, float>::alignment;
};
template <class S>
concept storage = requires {
  storage_traits<S, float>::name;
};
}  // namespace detail

}  // namespace v0
}  // namespace frugal
