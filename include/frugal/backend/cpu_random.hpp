// SPDX-License-Identifier: Apache-2.0
/// @file Runs of random words and normal numbers on a CPU.
#pragma once
#include "../core/normal.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

template <class Isa>
void random_words(random_stream s, std::uint64_t dir, std::uint64_t first, index_t blocks, std::uint32_t* to) {
  for (index_t i = 0; i < blocks; ++i) {
    const philox_block b = s.block(dir, first + std::uint64_t(i));
    memcpy(to + 4 * i, &b, sizeof b);
  }
}
template <class Isa>
void random_normals(random_stream s, std::uint64_t dir, std::uint64_t first, index_t blocks, float* to) {
  for (index_t i = 0; i < blocks; ++i) {
    const normal_block b = to_normals(s.block(dir, first + std::uint64_t(i)));
    memcpy(to + 4 * i, &b, sizeof b);
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
