// SPDX-License-Identifier: Apache-2.0
/// @file Rounding: how the stored parameter is made from the one that a rule computes, where it is bf16 or half.
///
/// A step of bf16 parameters that is smaller than a 512th of them is lost when it is rounded to nearest, every time.
/// Rounded at random, it is kept in the mean (Gupta et al., "Deep Learning with Limited Numerical Precision", ICML
/// 2015); in a float copy, it is kept (Micikevicius et al., "Mixed Precision Training", ICLR 2018).
#pragma once
#include "random.hpp"
#include "work.hpp"

namespace frugal {
inline namespace v0 {

/// To nearest, ties to even. The stored parameter is all there is.
struct nearest {};

/// To the neighbour above or below in magnitude, so that the mean is what was rounded. The random bits are a function
/// of seed, step and coordinate: equal on every backend, in every shard, and on all replicas that are given one seed.
struct stochastic {
  std::uint64_t seed = 0;  ///< of an optimizer; others that shall not round alike have others
};

/// To nearest; a float copy of every parameter, 4 bytes an element, is what the rule works on. Parameters that are not
/// what the copy rounds to have been written by somebody else: the copy begins again from them, one by one. So it needs
/// no start and no call after parameters were loaded, averaged or reset.
struct float_master {};

namespace detail {

/// To P and back: through memory that compilers keep in registers.
FRUGAL_GENERIC template <class P, class V>
FRUGAL_FN V rounded(V x) {
  alignas(16) P cells[V::width];
  x.store(cells);
  return V::load(cells);
}

/// To P by the upper bits of w: as many as x has below its last place in P, at most 20. What infinity does to a half is
/// left to the store, as is the payload of a NaN.
FRUGAL_GENERIC template <class P, class V>
FRUGAL_FN V rounded_at_random(V x, typename V::integer w) {
  using Int = typename V::integer;
  const Int u = bits(x), magnitude = u & Int(0x7fffffff), m = smaller(magnitude, Int(0x7f800000));
  Int r;
  if constexpr (std::is_same_v<P, bf16>) {
    r = (m + (w >> 16)) & Int(-0x10000);
  } else {
    static_assert(std::is_same_v<P, half>);
    // Below 2^-14 the places are the multiples of 2^-24: there in fixed point, 20 bits behind them.
    const V fixed = smaller(from_bits(m), V(0x1.fffffep-15f)) * V(0x1p44f);
    const V tiny = to_real((truncate(fixed) + (w >> 12)) >> 20) * V(0x1p-24f);
    r = select(m < Int(0x38800000), bits(tiny), (m + (w >> 19)) & Int(-0x2000));
  }
  return select(magnitude > Int(0x7f800000), x, from_bits(r | (u ^ magnitude)));
}

// What a kernel does around a rule; bound to a segment, for a chunk of it: what is kept beside x, what the rule starts
// from, what x becomes, and what is kept.
struct round_to_nearest {
  FRUGAL_FN round_to_nearest bind(segment const&) const { return {}; }
  FRUGAL_FN bool aligned(int) const { return true; }
  FRUGAL_GENERIC template <class Chunk, class V>
  FRUGAL_FN V load(Chunk, V x) const {
    return x;
  }
  FRUGAL_GENERIC template <class P, class V>
  FRUGAL_FN V precise(V x, V) const {
    return x;
  }
  FRUGAL_GENERIC template <class P, class Chunk, class V>
  FRUGAL_FN V stored(Chunk, V x) const {
    return x;
  }
  FRUGAL_GENERIC template <class Chunk, class V>
  FRUGAL_FN void store(Chunk, V) const {}
};

struct keep_master : round_to_nearest {
  float* master = nullptr;
  FRUGAL_FN keep_master() {}
  FRUGAL_FN explicit keep_master(float* of_slots) : master(of_slots) {}
  FRUGAL_FN keep_master bind(segment const& s) const { return keep_master(master + s.slot); }
  FRUGAL_FN bool aligned(int width) const {
    return reinterpret_cast<std::uintptr_t>(master) % (std::uintptr_t(width) * sizeof(float)) == 0;
  }
  FRUGAL_GENERIC template <class Chunk, class V>
  FRUGAL_FN V load(Chunk c, V) const {
    return c.load(master);
  }
  FRUGAL_GENERIC template <class P, class V>
  FRUGAL_FN V precise(V x, V kept) const {
    return select(bits(rounded<P>(kept)) == bits(x), kept, x);
  }
  FRUGAL_GENERIC template <class Chunk, class V>
  FRUGAL_FN void store(Chunk c, V kept) const {
    c.store(master, kept);
  }
};

/// Words of a team's slots, drawn into its scratch before the rule runs on them.
struct round_at_random {
  random_stream stream;
  std::uint64_t const* address = nullptr;  // of each tensor
  std::int64_t const* step = nullptr;      // the direction: the number of this step, the first is 1

  struct bound : round_to_nearest {
    std::int32_t const* words = nullptr;
    FRUGAL_FN bound() {}
    FRUGAL_FN explicit bound(std::int32_t const* of_slots) : words(of_slots) {}
    FRUGAL_FN bool aligned(int width) const {
      return reinterpret_cast<std::uintptr_t>(words) % (std::uintptr_t(width) * sizeof(std::int32_t)) == 0;
    }
    FRUGAL_GENERIC template <class P, class Chunk, class V>
    FRUGAL_FN V stored(Chunk c, V x) const {
      return rounded_at_random<P>(x, c.template load_as<typename V::integer>(words));
    }
  };
  FRUGAL_FN bound bind(segment const&) const { return bound(); }

  /// Slots [0, n) of a segment, and where their words are. `to` has room for n + 6 and is aligned to 16 bytes.
  FRUGAL_GENERIC template <class Team, class Where>
  FRUGAL_FN bound draw(Team const& team, Where const& where, segment const& s, index_t n, std::uint32_t* to) const {
    const std::uint64_t dir = std::uint64_t(*step), first = address[s.tensor] + std::uint64_t(s.inner);
    index_t skip = 0;
    if constexpr (Where::contiguous) {
      skip = index_t(first % 4);
      team.words(stream, dir, first / 4, (skip + n + 3) / 4, to);
    } else {
      for (index_t k = team.lane(); k < n; k += team.lanes()) to[k] = stream.word(dir, first + where.at[k]);
    }
    team.sync();
    return bound(reinterpret_cast<std::int32_t const*>(to) + skip);
  }
};

// A rounding: its kernel, the parameters that it is for, and its name in saved states.
template <class Rounding>
struct rounding_traits;
template <>
struct rounding_traits<nearest> {
  using kernel = round_to_nearest;
  static constexpr bool any_parameter = true;
  static constexpr char const* name = "";
};
template <>
struct rounding_traits<stochastic> {
  using kernel = round_at_random;
  static constexpr bool any_parameter = false;
  static constexpr char const* name = "/stochastic";
  static constexpr std::uint64_t tag = 0x726f756e64;  // "round": the stream is this purpose's own
};
template <>
struct rounding_traits<float_master> {
  using kernel = keep_master;
  static constexpr bool any_parameter = false;
  static constexpr char const* name = "/float_master";
};
template <class R>
concept rounding = requires {
  typename rounding_traits<R>::kernel;
};

}  // namespace detail

}  // namespace v0
}  // namespace frugal
