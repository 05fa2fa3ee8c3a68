// SPDX-License-Identifier: Apache-2.0
/// @file Directions of probes, as policies: what lies at a coordinate of a direction of a `random_stream`. Entries are
/// independent with mean 0 and variance 1; none is ever stored. A model's coordinates are its layout's addresses, so a
/// shard makes the same numbers as the whole.
#pragma once
#include "../core/random_format.hpp"
#include "../core/sphere.hpp"

namespace frugal {
inline namespace v0 {

// For kernels a direction has: part<G>, the coordinates that a team draws at a time when it draws G directions; bytes
// of scratch for `count` coordinates; draw(), which fills them, `first` and `count` being multiples of 128; term(), c z
// at the slots of a chunk, `shift` coordinates into what was drawn. Where it is one bit a coordinate, piles<Team, T>
// says whether eight directions at once are worth another way. A direction that is another times a factor, of which
// `factor` is the type, says which: entries.

/// Signs. The smallest variance that independent entries can have: E|G|^2 = d |g|^2 for one direction.
struct rademacher {
  static constexpr char const* name = "rademacher";
  template <int G>
  static constexpr index_t part = 4096;
  static constexpr index_t bytes(index_t count) { return count / 8; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN static void draw(Team const& team, random_stream s, std::uint64_t dir, std::uint64_t first, index_t count,
                             unsigned char* to) {
    team.words(s, dir, first / 128, count / 128, reinterpret_cast<std::uint32_t*>(to));
  }
  FRUGAL_FN static bool aligned(index_t, int) { return true; }
  FRUGAL_GENERIC template <class Chunk, class T>
  FRUGAL_FN static auto term(Chunk c, T coefficient, unsigned char const* drawn, index_t shift) {
    using V = typename Chunk::value;
    static_assert(V::width <= 16);
    const index_t j = c.at + shift;
    unsigned char const* p = drawn + j / 8;
    std::uint32_t bits = 0;
    if constexpr (V::width > 4) memcpy(&bits, p, 4);
    else bits = std::uint32_t(p[0]) | std::uint32_t(p[1]) << 8;
    return select_bits(bits >> j % 8, V(-coefficient), V(coefficient));
  }

  // Eight directions in wide registers: the bits of a coordinate make a byte, and four of them one of sixteen sums.
  template <class Team, class T>
  static constexpr bool piles = std::is_same_v<T, float>&& Team::template value<float>::width >= 8;
  /// ((+- c_0 +- c_1) +- c_2) +- c_3
  template <class Table>
  static void sums_of_four(float const* c, Table& t) {
    for (int k = 0; k < 16; ++k)
      (k < 8 ? t.low : t.high).v[k & 7] =
          (k & 1 ? -c[0] : c[0]) + (k & 2 ? -c[1] : c[1]) + (k & 4 ? -c[2] : c[2]) + (k & 8 ? -c[3] : c[3]);
  }
};

/// Normal numbers, as in the papers: E|G|^2 = (d + 2) |g|^2 for one direction.
struct gaussian {
  static constexpr char const* name = "gaussian";
  template <int G>
  static constexpr index_t part = G > 1 ? 512 : 1024;
  static constexpr index_t bytes(index_t count) { return count * 4; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN static void draw(Team const& team, random_stream s, std::uint64_t dir, std::uint64_t first, index_t count,
                             unsigned char* to) {
    team.normals(s, dir, first / 4, count / 4, reinterpret_cast<float*>(to));
  }
  FRUGAL_FN static bool aligned(index_t shift, int width) { return shift % width == 0; }
  FRUGAL_GENERIC template <class Chunk, class T>
  FRUGAL_FN static auto term(Chunk c, T coefficient, unsigned char const* drawn, index_t shift) {
    using V = typename Chunk::value;
    return V(coefficient) * c.load(reinterpret_cast<float const*>(drawn) + shift);
  }
};

/// Normal numbers times what takes the whole direction to the sphere of radius sqrt(d): E|G|^2 = d |g|^2. A direction
/// is made twice, the first time for its length, which waits for the backend.
struct spherical : gaussian {
  static constexpr char const* name = "spherical";
  using entries = gaussian;
  template <class Backend>
  using factor = sphere<Backend>;
};

template <class D>
concept direction = requires {
  { D::name } -> std::convertible_to<char const*>;
  { D::bytes(128) } -> std::same_as<index_t>;
  D::template part<1>;
};

}  // namespace v0
}  // namespace frugal
