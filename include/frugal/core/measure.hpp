// SPDX-License-Identifier: Apache-2.0
/// @file Rules that measure before they update: sums over each tensor or over the model, in the canonical order, which
/// stay on the backend. A first pass reads parameters, gradients and states and writes nothing; the rule derives what
/// it needs from the sums; the update is the usual second pass. So the sums are those of exactly what the update does,
/// in every storage, support and rounding.
///
/// Such a rule has, beside what every rule has,
///     static constexpr int sums;                   how many
///     static constexpr measured over;              each_tensor or the_model
///     template <int K, class V> V term(V x, V g, V state ...) const;     what the K-th sum adds up, or term(V x, V g)
///     bool reads_states() const;                   with both of these: which of them it is
///     void conclude(double const* sum, double count);    the sums, over so many coordinates: sets coefficients
#pragma once
#include "reduce.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Do a rule's terms read states, always or where its object says so?
template <class Rule>
inline constexpr bool may_read_states = requires(Rule const& r) {
  r.reads_states();
};
template <class Rule>
inline constexpr bool measures_states =
    may_read_states<Rule> || !requires(Rule const& r, lanes<typename Rule::scalar, 1> v) {
  r.template term<0>(v, v);
};
template <class Rule>
FRUGAL_FN bool reads_states(Rule const& r) {
  if constexpr (may_read_states<Rule>) return r.reads_states();
  else return measures_states<Rule>;
}

/// Of terms that read states, or do not.
using no_states = std::integer_sequence<int>;
template <class Rule>
using states_measured = std::make_integer_sequence<int, measures_states<Rule> ? state_count<Rule> : 0>;

/// The K-th term of a chunk; outside of the support it is zero.
FRUGAL_GENERIC template <int K, class Chunk, class Bound, int... S>
FRUGAL_FN auto term_of_chunk(Chunk c, Bound const& b, std::integer_sequence<int, S...>) {
  using V = typename Chunk::value;
  using P = typename Bound::parameter;
  const V x0 = b.where.load(c, b.x), grad = b.where.load(c, b.g) * V(b.factor);
  const V x = b.rounding.template precise<P>(x0, b.rounding.load(c, x0));
  const V none(typename V::scalar(0));
  if constexpr (sizeof...(S) == 0) return b.where.keep(c, none, b.rule.template term<K>(x, grad));
  else return b.where.keep(c, none, b.rule.template term<K>(x, grad, c.load(b.state(S))...));
}

/// Where the sums of the tiles go: those of the K-th term from K * all on, in the order of all segments.
struct sums_of_tiles {
  index_t const* first;  // tile of each tensor
  index_t all;
  double* sums;
  FRUGAL_FN double* at(segment const& s, index_t tile) const { return sums + first[s.tensor] + (tile - s.first_tile); }
};

/// What sums are concluded over, in the backend's memory: whole tensors, by the numbers that they have in the
/// optimizer, and the sums of all their tiles.
struct whole_sums {
  segment const* segments;
  index_t count;
  sums_of_tiles tiles;
  double const* coordinates;  // of each segment, and of all
};
/// Makes the whole of the sums of an optimizer's own tiles, where it has a part of a model: collective.
class sum_gatherer {
 public:
  virtual whole_sums gather(double* own) = 0;

 protected:
  ~sum_gatherer() = default;
};

/// Sums of tiles over states of one cell an element: a team a tile. What is read twice comes from a cache.
template <class Update, class Rule>
struct measure_elements {
  using scalar = typename Rule::scalar;
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = int(reduction_slots) * int(sizeof(scalar));
  segment_list tiles;
  Update update;
  sums_of_tiles to;

  template <int K, class States>
  struct term {
    typename Update::bound b;
    auto contiguous() const { return b.contiguous(); }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN auto operator()(Chunk c) const {
      return term_of_chunk<K>(c, b, States{});
    }
  };
  index_t teams() const { return tiles.tiles; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    if (update.ctl->skip != 0) return;
    const segment seg = tiles.at(team.rank());
    const index_t from = (team.rank() - seg.first_tile) * tile_size, left = seg.size - from;
    each(team, update.bind(seg, update.rules[seg.group]), from, left < tile_size ? left : tile_size,
         to.at(seg, team.rank()), std::make_integer_sequence<int, Rule::sums>{});
  }

 private:
  FRUGAL_GENERIC template <class Team, class Bound, int... K>
  FRUGAL_FN void each(Team const& team, Bound const& b, index_t from, index_t n, double* sum,
                      std::integer_sequence<int, K...>) const {
    (one<K>(team, b, from, n, sum + K * to.all), ...);
  }
  FRUGAL_GENERIC template <int K, class Team, class Bound>
  FRUGAL_FN void one(Team const& team, Bound const& b, index_t from, index_t n, double* sum) const {
    scalar s;
    if (!may_read_states<Rule> || reads_states(b.rule))
      s = team.template sum<scalar>(term<K, states_measured<Rule>>{b}, from, n);
    else if constexpr (may_read_states<Rule>) s = team.template sum<scalar>(term<K, no_states>{b}, from, n);
    if (team.lane() == 0) *sum = double(s);
    team.sync();  // before the scratch is written again
  }
};

/// The same over 8-bit states, as many elements at a time as a sum has slots, so they are added to them as they are.
template <class Update, class Rule>
struct measure_blocks {
  static constexpr index_t part = reduction_slots;
  static_assert(Update::block % part == 0);
  static constexpr int N = Update::N, sums = Rule::sums;
  static constexpr unsigned team_threads = part / 4;
  static constexpr int scratch_bytes = 4 * (N + sums) * int(part);
  segment_list tiles;
  Update update;
  sums_of_tiles to;

  /// Adds all terms of a chunk to the slots.
  template <class States>
  struct add {
    typename Update::template apply<part> b;
    float* slots;
    FRUGAL_FN bool aligned(int width) const { return b.aligned(width); }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      each(c, std::make_integer_sequence<int, sums>{});
    }

   private:
    FRUGAL_GENERIC template <class Chunk, int... K>
    FRUGAL_FN void each(Chunk c, std::integer_sequence<int, K...>) const {
      (one<K>(c), ...);  // one after the other: with all terms at once a GPU runs out of registers
    }
    FRUGAL_GENERIC template <int K, class Chunk>
    FRUGAL_FN void one(Chunk c) const {
      float* const p = slots + K * part;
      c.store(p, c.load(p) + term_of_chunk<K>(c, b, States{}));
    }
  };
  /// Slots back to zero.
  struct clear {
    float* slots;
    FRUGAL_FN bool aligned(int) const { return true; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      FRUGAL_UNROLL for (int k = 0; k < sums; ++k) c.store(slots + k * part, V(0.f));
    }
  };

  index_t teams() const { return tiles.tiles; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    if (update.ctl->skip != 0) return;
    const segment seg = tiles.at(team.rank());
    const index_t from = (team.rank() - seg.first_tile) * tile_size;
    const index_t end = from + tile_size < seg.size ? from + tile_size : seg.size;
    float* const scratch = team.template scratch<float>();
    float* const slots = scratch + N * part;
    team.template for_values<float>(part, clear{slots});
    for (index_t at = from; at < end; at += part) {
      const index_t n = end - at < part ? end - at : part;
      const auto b = update.template bind<part>(seg, update.rules[seg.group], at, scratch);
      if (!may_read_states<Rule> || reads_states(b.rule)) {
        if constexpr (measures_states<Rule>)
          update.template decode<part, part>(team, seg.slot + at, scratch, std::make_integer_sequence<int, N>{});
        team.template for_values<float>(n, add<states_measured<Rule>>{b, slots});
      } else if constexpr (may_read_states<Rule>) {
        team.template for_values<float>(n, add<no_states>{b, slots});
      }
    }
    for (int k = 0; k < sums; ++k) {
      team.sync();
      const float s = team.template sum<float>(elements<float, float, false>{slots + k * part}.bind(seg), 0, part);
      if (team.lane() == 0) to.at(seg, team.rank())[k * to.all] = double(s);
    }
  }
};

/// The canonical sum of n doubles, which are overwritten; every lane gets it. For teams with the scratch of one.
FRUGAL_GENERIC template <class Team>
FRUGAL_FN double sum_in_place(Team const& team, double* p, index_t n) {
  for (;; n = tiles_of(n)) {
    double s = 0;
    for (index_t i = 0; i == 0 || i * tile_size < n; ++i) {
      const index_t left = n - i * tile_size;
      s = team.template sum<double>(elements<double, double, false>{p}.bind({}), i * tile_size,
                                    left < tile_size ? left : tile_size);
      team.sync();  // all have it, and have read what it is made of
      if (n > tile_size && team.lane() == 0) p[i] = s;
    }
    if (n <= tile_size) return s;
    team.sync();
  }
}

/// From the tiles' sums to the rules: for each tensor its own, or the groups' once more. A team a segment, or one.
template <class Rule>
struct conclude {
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = int(reduction_slots) * int(sizeof(double));
  whole_sums over;
  control<Rule> const* ctl;
  Rule* of_groups;
  std::int32_t groups;
  Rule* of_tensors;

  index_t teams() const { return detail::of_tensors<Rule> ? over.count : 1; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    if (ctl->skip != 0) return;
    sums_of_tiles const& from = over.tiles;
    double sum[Rule::sums];
    if constexpr (detail::of_tensors<Rule>) {
      const segment seg = over.segments[team.rank()];
      FRUGAL_UNROLL for (int k = 0; k < Rule::sums; ++k) sum[k] =
          sum_in_place(team, from.at(seg, seg.first_tile) + k * from.all, tiles_of(seg.size));
      if (team.lane() != 0) return;
      Rule r = of_groups[seg.group];
      r.conclude(sum, over.coordinates[team.rank()]);
      of_tensors[seg.tensor] = r;
    } else {
      FRUGAL_UNROLL for (int k = 0; k < Rule::sums; ++k) sum[k] =
          sum_in_place(team, from.sums + k * from.all, from.all);
      if (team.lane() != 0) return;
      for (std::int32_t i = 0; i < groups; ++i) of_groups[i].conclude(sum, over.coordinates[over.count]);
    }
  }
};

/// Keeps the parameters where they are, unless that was done before: slots of a copy in their type.
template <class Rule, class Where, class P>
struct take_anchor {
  using scalar = typename Rule::scalar;
  Where where;
  P const* const* x;
  P* to;
  std::int64_t const* taken;

  struct bound {
    Where where;
    P const* x;
    P* to;
    bool active;
    FRUGAL_FN bool aligned(int width) const {
      return Where::contiguous && multiple_of(x, width) && multiple_of(to, width);
    }
    P const* contiguous() const { return Where::contiguous ? x : nullptr; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      c.store(to, where.load(c, x));
    }
  };
  FRUGAL_FN bound bind(segment const& s) const {
    return {where.bind(s), x[s.tensor] + s.inner, to + s.slot, *taken == 0};
  }
};
/// One number to one.
struct set_to_one {
  std::int64_t* p;
  FRUGAL_FN void operator()() const { *p = 1; }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
