// SPDX-License-Identifier: Apache-2.0
/// @file Directions of probes, as policies, and sums of them, made where they are used:
///
///     u = (c_0 z_0 + c_1 z_1 + c_2 z_2 + c_3 z_3) + (c_4 z_4 + ...) + ...
///
/// four terms at a time, in one pass over the vector that takes them, whatever their number. Entries are independent
/// with mean 0 and variance 1: numbers of a `random_stream` (Salmon et al. 2011; docs/randomness.md), and nothing but
/// seeds and coefficients is stored or sent. A model's coordinates are its layout's addresses, so a shard makes the
/// same numbers as the whole.
#pragma once
#include "../core/element.hpp"
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

namespace detail {

/// What a step multiplies with, of one group.
struct step_factors {
  double decay, rate, beta;
};
enum class random_use : unsigned char { write, shift, step };
/// What becomes of u at a slot: to = u; to = from + u; to = (from - decay from) + u, or with m: m = beta m + u, to =
/// (from - decay from) - rate m. One kernel does all of it, because making u is most of the work. A tensor's numbers
/// begin where a table says.
template <class T, class From, class To>
struct random_sink {
  random_use use;
  void* const* from;
  void* const* to;
  T* m = nullptr;                         // where there is momentum
  step_factors const* factors = nullptr;  // of each group, for a step
  struct bound {
    From const* from;
    To* to;
    T* m;
    T decay, rate, beta;
    random_use use;
    FRUGAL_FN bool aligned(int width) const {
      return multiple_of(from, width) && multiple_of(to, width) && multiple_of(m, width);
    }
    FRUGAL_FN From const* contiguous() const { return from; }
    FRUGAL_GENERIC template <class Chunk, class V>
    FRUGAL_FN void operator()(Chunk c, V u) const {
      if (use == random_use::shift) {  // the most frequent: asked for first
        u = c.load(from) + u;
      } else if (use == random_use::step) {
        if (m) {
          const V now = V(beta) * c.load(m) + u;
          c.store(m, now);
          u = V(-rate) * now;
        }
        const V x = c.load(from);
        u = (x - V(decay) * x) + u;
      }
      c.store(to, u);
    }
  };
  FRUGAL_FN bound bind(segment const& s, index_t at) const {
    bound b{static_cast<From const*>(from[s.tensor]) + s.inner + at,
            static_cast<To*>(to[s.tensor]) + s.inner + at,
            m ? m + s.slot + at : nullptr,
            0,
            0,
            0,
            use};
    if (use == random_use::step) {
      const step_factors f = factors[s.group];
      b.decay = T(f.decay), b.rate = T(f.rate), b.beta = T(f.beta);
    }
    return b;
  }
};

/// The slots of a part, once the coordinates of up to G directions are drawn for them.
template <class Direction, class T, int G, class Bound>
struct random_walk {
  Bound sink;
  T coefficient[G];
  unsigned char const* z;
  T* sum;  // of the terms before, where there are any
  index_t shift, drawn;
  int terms;
  bool first, last;
  FRUGAL_FN bool aligned(int width) const { return sink.aligned(width) && Direction::aligned(shift, width); }
  FRUGAL_FN auto contiguous() const { return sink.contiguous(); }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    auto u = four(c, 0);
    if (G > 1 && !first) u = c.load(sum) + u;
    FRUGAL_UNROLL for (int k = 4; k < G; k += 4) if (k < terms) u = u + four(c, k);
    finish(c, u);
  }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN auto four(Chunk c, int from) const {
    auto u = Direction::term(c, coefficient[from], z + from * drawn, shift);
    FRUGAL_UNROLL for (int k = 1; k < (G < 4 ? G : 4); ++k) if (from + k < terms) u =
        u + Direction::term(c, coefficient[from + k], z + (from + k) * drawn, shift);
    return u;
  }
  FRUGAL_GENERIC template <class Chunk, class V>
  FRUGAL_FN void finish(Chunk c, V u) const {
    if (G > 1 && !last) c.store(sum, u);
    else sink(c, u);
  }
};
/// The same for eight directions of one bit a coordinate, which lie in piles.
template <class Walk, class Table>
struct piled_walk {
  Walk w;
  unsigned char const* pile;
  Table low, high;
  auto contiguous() const { return w.contiguous(); }
  template <class Chunk>
  FRUGAL_CPU void operator()(Chunk c) const {
    using Int = typename Chunk::value::integer;
    const Int bits = c.template load_as<Int>(pile + w.shift);
    auto u = lookup(low, bits);
    if (!w.first) u = c.load(w.sum) + u;
    w.finish(c, u + lookup(high, bits >> 4));
  }
};

/// A sum of directions over a model, as kernels get it.
template <class Sink>
struct random_sum {
  segment_list tiles;
  random_stream stream;
  std::uint64_t const* addresses;  // of each tensor
  std::uint64_t const* ids;        // of the terms
  double const* coefficients;      // of the terms, for each group
  int terms;
  Sink sink;
};

/// A team draws a part's coordinates of up to G directions at a time, and goes through the part once for them.
template <class Direction, class T, int G, class Sink>
struct random_axpy {
  using scalar = T;
  static constexpr index_t part = Direction::template part<G>;
  static_assert(tile_size % part == 0);
  static constexpr index_t drawn = Direction::bytes(part + 128) + 16;  // bytes of a direction
  template <class Team>
  static constexpr bool piles() {
    if constexpr (G == 8 && requires { Direction::template piles<Team, T>; }) return Direction::template piles<Team, T>;
    else return false;
  }
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = int(G * drawn) + (G > 1 ? int(part) * int(sizeof(T)) : 0);
  random_sum<Sink> of;

  index_t teams() const { return of.tiles.tiles * (tile_size / part); }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t at = team.rank() * part;
    const segment seg = of.tiles.at(at / tile_size);
    const index_t from = at - seg.first_tile * tile_size;
    if (from >= seg.size) return;
    const index_t size = seg.size - from < part ? seg.size - from : part;
    const std::uint64_t address = of.addresses[seg.tensor] + std::uint64_t(seg.inner + from),
                        start = address / 128 * 128;
    const index_t shift = index_t(address - start), count = (shift + size + 127) / 128 * 128;
    const typename Sink::bound bound = of.sink.bind(seg, from);
    unsigned char* z = team.template scratch<unsigned char>();
    const int terms = of.terms;
    for (int k = 0; k < terms; k += G) {
      const int now = terms - k < G ? terms - k : G;
      for (int i = 0; i < now; ++i) {
        // Where drawing takes longer than fetching, the one hides the other.
        if (k == 0 && (G > 1 || Direction::bytes(128) > 128))
          for (index_t j = i * size / now; j < (i + 1) * size / now; j += 64 / index_t(sizeof(T)))
            team.prefetch(bound.contiguous() + j);
        Direction::draw(team, of.stream, of.ids[k + i], start, count, z + i * drawn);
      }
      team.sync();
      using walk = random_walk<Direction, T, G, typename Sink::bound>;
      walk w{bound, {}, z, reinterpret_cast<T*>(z + G * drawn), shift, drawn, now, k == 0, k + G >= terms};
      double const* const c = of.coefficients + seg.group * terms + k;
      FRUGAL_UNROLL for (int i = 0; i < G; ++i) if (i < now) w.coefficient[i] = T(c[i]);
      if constexpr (piles<Team>()) {
        if (now == G) {
          alignas(64) unsigned char pile[part + 128 + 64];
          team.pile_bits(z, drawn, count, pile);
          typename Team::table16 low, high;
          Direction::sums_of_four(w.coefficient, low);
          Direction::sums_of_four(w.coefficient + 4, high);
          team.template for_values<T>(size, piled_walk<walk, typename Team::table16>{w, pile, low, high});
          continue;
        }
      }
      team.template for_values<T>(size, w);
      if (k + G < terms) team.sync();
    }
  }
};

/// By the kernel for one term, or the one for many.
template <class Direction, class T, class Sink, class Backend>
void add_one(Backend const& b, random_sum<Sink> const& sum) {
  if (sum.terms > 0) b.for_teams(random_axpy<Direction, T, 1, Sink>{sum});
}
template <class Direction, class T, class Sink, class Backend>
void add_up(Backend const& b, random_sum<Sink> const& sum) {
  if (sum.terms > 1) b.for_teams(random_axpy<Direction, T, 8, Sink>{sum});
  else add_one<Direction, T>(b, sum);
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
