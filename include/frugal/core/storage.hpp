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

/// One byte an element and one float a block: the dynamic code book, block-wise ("8-bit Optimizers via Block-wise
/// Quantization", section 2). Tensors of fewer than `min_size` elements keep full states, as in the paper's released
/// code; so do the groups that ask for it (core/layout.hpp).
template <index_t Block>
struct blockwise8_of {
  static_assert(Block == 256 || Block == 2048, "frugal: blocks of 8-bit states have 256 or 2048 elements");
  static constexpr index_t block = Block;
  index_t min_size = 4096;
};
using blockwise8 = blockwise8_of<256>;
/// The paper's blocks: less to store by 0.014 bytes an element and state, for larger errors.
using blockwise8_2048 = blockwise8_of<2048>;

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
template <index_t Block, class Compute>
struct storage_traits<blockwise8_of<Block>, Compute> {
  static_assert(std::is_same_v<Compute, float>, "frugal: 8-bit states are for float, bf16 and half parameters");
  using cell = float;  // of the tensors below min_size
  static constexpr char const* name = Block == 256 ? "blockwise8" : "blockwise8_2048";
  static constexpr index_t alignment = storage_traits<full, float>::alignment;
};
template <class S>
concept storage = requires {
  storage_traits<S, float>::name;
};
/// Elements of a block of a storage in blocks; of others 0.
template <class Storage>
inline constexpr index_t block_of = 0;
template <index_t Block>
inline constexpr index_t block_of<blockwise8_of<Block>> = Block;
}  // namespace detail

}  // namespace v0
}  // namespace frugal
