// SPDX-License-Identifier: Apache-2.0
/// @file An element rule as functors that a backend runs: `advance` prepares a step, `element_update` and
/// `block_update` apply it, `squares` measures the gradient (what else a rule measures is in core/measure.hpp). The
/// same on every backend; what they need lies in the backend's memory.
#pragma once
#include <utility>

#include "rounding.hpp"
#include "storage.hpp"
#include "work.hpp"

namespace frugal {
inline namespace v0 {

/// What a group multiplies the configured rate and decay by.
struct group_factors {
  double lr, weight_decay;
};

/// What the sums of a rule that measures are taken over.
enum class measured { each_tensor, the_model };

namespace detail {

template <class Rule>
inline constexpr int state_count = int(sizeof(Rule::states) / sizeof(state_info));

/// How many sums a rule asks for before its update; usually none.
template <class Rule>
inline constexpr int sum_count = 0;
template <class Rule>
requires(Rule::sums > 0) inline constexpr int sum_count<Rule> = Rule::sums;
/// Is a rule's object one tensor's, and not one group's?
template <class Rule>
inline constexpr bool of_tensors = false;
template <class Rule>
requires(Rule::over == measured::each_tensor) inline constexpr bool of_tensors<Rule> = true;
/// Does a rule ask where the parameters once were?
template <class Rule>
inline constexpr bool anchored = false;
template <class Rule>
requires(Rule::anchored) inline constexpr bool anchored<Rule> = true;

template <class Rule>
FRUGAL_FN std::int32_t rule_of(segment const& s) {
  return of_tensors<Rule> ? s.tensor : s.group;
}

/// A copy of the parameters, in slots, for the rules that ask for it; for others nothing.
template <class P, bool There>
struct anchor_column {
  P const* p = nullptr;
  FRUGAL_FN anchor_column from(index_t slot) const { return {p + slot}; }
};
template <class P>
struct anchor_column<P, false> {
  FRUGAL_FN anchor_column from(index_t) const { return {}; }
};

/// The part of an optimizer's state that is not one number a parameter, and what the current step does to every
/// gradient.
template <class Rule>
struct control {
  std::int64_t step = 0;
  std::int64_t skipped = 0;
  double norm = 0;
  typename Rule::clock clock;
  typename Rule::scalar factor = 1;
  std::int32_t skip = 0;
};

/// One step begins: decides whether it happens, advances the clock, derives each group's coefficients. Runs once, where
/// the step runs, so that no step waits for the host.
template <class Rule>
struct advance {
  typename Rule::config config;
  double scale, clip_norm;
  std::int32_t skip_nonfinite, groups;
  group_factors const* factors;
  double const* sum_of_squares;  // null: not measured
  double const* lr;              // null, or in place of config.lr
  float const* more_scale;       // null, or a factor on scale
  float const* found_inf;        // null, or: not zero means skip
  control<Rule>* ctl;
  Rule* rules;

  FRUGAL_FN void operator()() const {
    const exact total = more_scale ? exact(scale) * exact(*more_scale) : exact(scale);
    exact factor = total;
    bool skip = found_inf && *found_inf != 0;
    if (sum_of_squares) {
      const exact norm = sqrt(exact(*sum_of_squares)) * select(total < exact(0.0), exact(0.0) - total, total);
      ctl->norm = norm.v[0];
      skip = skip || (skip_nonfinite && !(norm.v[0] - norm.v[0] == 0));
      const exact ratio = exact(clip_norm) / (norm + exact(1e-6));
      if (!(ratio.v[0] > 1)) factor = total * ratio;  // a NaN goes on into the step
    }
    ctl->skip = skip;
    if (skip) {
      ++ctl->skipped;
      return;
    }
    typename Rule::config now = config;
    if (lr) now.lr = *lr;
    ++ctl->step;
    ctl->clock.advance(now);
    ctl->factor = typename Rule::scalar(factor.v[0]);
    for (std::int32_t i = 0; i < groups; ++i) rules[i] = Rule(now, factors[i], ctl->clock);
  }
};

/// Parameters and gradients: where each tensor's begin. A flat vector is a list of tensors that follow each other.
template <class P, class G>
struct operands {
  P* const* x;
  G const* const* g;
  FRUGAL_FN P* parameters(segment const& s) const { return x[s.tensor] + s.inner; }
  FRUGAL_FN G const* gradients(segment const& s) const { return g[s.tensor] + s.inner; }
};

/// The rule on a chunk of what an update is bound to.
FRUGAL_GENERIC template <class Chunk, class Bound, int... K>
FRUGAL_FN void update_chunk(Chunk c, Bound const& b, std::integer_sequence<int, K...>) {
  using V = typename Chunk::value;
  using P = typename Bound::parameter;
  const V x0 = b.where.load(c, b.x), grad = b.where.load(c, b.g) * V(b.factor), s0[] = {c.load(b.state(K))...};
  const V kept = b.rounding.load(c, x0);
  V x1 = b.rounding.template precise<P>(x0, kept), s1[] = {s0[K]...};
  if constexpr (Bound::anchored) b.rule(x1, grad, s1[K]..., c.load(b.anchor.p));
  else b.rule(x1, grad, s1[K]...);
  b.where.store(c, b.x, b.where.keep(c, x0, b.rounding.template stored<P>(c, x1)));
  b.rounding.store(c, b.where.keep(c, kept, x1));
  (c.store(b.state(K), b.where.keep(c, s0[K], s1[K])), ...);
}

/// The slots of a segment from `at` on; a listed one keeps its tensor's first element.
template <class Where>
FRUGAL_FN segment part_of(segment s, index_t at) {
  s.slot += at;
  s.listed += at;
  if constexpr (Where::contiguous) s.flat += at, s.inner += at;
  return s;
}

/// States of one cell an element, updated where they stand.
template <class Rule, class Where, class Rounding, class P, class G, class Cell>
struct element_update {
  using scalar = typename Rule::scalar;
  static constexpr int N = state_count<Rule>;
  control<Rule> const* ctl;
  Rule const* rules;
  Where where;
  Rounding rounding;
  operands<P, G> io;
  Cell* s[N];
  [[no_unique_address]] anchor_column<P, anchored<Rule>> anchor;

  struct bound {
    using parameter = P;
    static constexpr bool anchored = detail::anchored<Rule>;
    Rule rule;
    scalar factor;
    Where where;
    decltype(Rounding().bind({})) rounding;
    P* x;
    G const* g;
    Cell* s[N];
    bool active;
    [[no_unique_address]] anchor_column<P, anchored> anchor;

    /// May `width` elements be one access?
    FRUGAL_FN bool aligned(int width) const {
      bool all = Where::contiguous && multiple_of(x, width) && multiple_of(g, width) && rounding.aligned(width);
      for (Cell* p : s) all = all && multiple_of(p, width);
      if constexpr (anchored) all = all && multiple_of(anchor.p, width);
      return all;
    }
    /// Where slot 0 is, if the slots after it follow in memory; else null.
    P const* contiguous() const { return Where::contiguous ? x : nullptr; }
    FRUGAL_FN Cell* state(int k) const { return s[k]; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      update_chunk(c, *this, std::make_integer_sequence<int, N>{});
    }
  };

  FRUGAL_FN bound bind(segment const& seg) const { return bind(seg, rules[rule_of<Rule>(seg)]); }
  FRUGAL_FN bound bind(segment const& seg, Rule const& rule) const {
    bound b{rule, ctl->factor,    where.bind(seg),      rounding.bind(seg), io.parameters(seg), io.gradients(seg),
            {},   ctl->skip == 0, anchor.from(seg.slot)};
    for (int k = 0; k < N; ++k) b.s[k] = s[k] + seg.slot;
    return b;
  }
};

/// The same by teams, for a rounding that draws: a team has the words of its part in its scratch.
template <class Update>
struct drawn_update {
  static constexpr index_t part = 1024;
  static constexpr unsigned team_threads = part / 4;
  static constexpr int scratch_bytes = int((part + 8) * sizeof(std::uint32_t));
  segment_list tiles;
  Update update;

  index_t teams() const { return tiles.tiles * (tile_size / part); }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t slots = team.rank() * part;
    const segment seg = tiles.at(slots / tile_size);
    const index_t at = slots - seg.first_tile * tile_size, size = seg.size - at < part ? seg.size - at : part;
    if (size <= 0 || update.ctl->skip != 0) return;
    const segment here = part_of<decltype(update.where)>(seg, at);
    auto bound = update.bind(here);
    bound.rounding = update.rounding.draw(team, bound.where, here, size, team.template scratch<std::uint32_t>());
    team.template for_values<typename Update::scalar>(size, bound);
  }
};

/// What a block is multiplied by before encoding. The reciprocal of a subnormal peak is not finite; the factor in its
/// place takes every finite value to zero, and leaves infinities.
FRUGAL_FN float inverse_of(float peak) { return peak >= 0x1p-126f ? quotient(1.f, peak) : 0x1p-126f; }

/// 8-bit states: a team owns a block. Decode, apply the same rule, find the new absmax, encode.
template <class Rule, class Where, class Rounding, class P, class G, index_t Block>
struct block_update {
  static constexpr int N = state_count<Rule>;
  static constexpr bool draws = std::is_same_v<Rounding, round_at_random>;
  static constexpr index_t block = Block;
  static constexpr unsigned team_threads = block / 4;                       // of a GPU: each lane has a group of four
  static constexpr int scratch_words = N * int(block) + int(team_threads);  // states, peaks; then what is drawn
  static constexpr int scratch_bytes = 4 * (scratch_words + (draws ? int(block) + 8 : 0));
  segment_list tiles;
  control<Rule> const* ctl;
  Rule const* rules;
  Where where;
  Rounding rounding;
  operands<P, G> io;
  struct column {
    std::uint8_t* code;  // slots rounded up to whole blocks; what lies past a segment's end stays zero
    float* scale;
  } s[N];
  [[no_unique_address]] anchor_column<P, anchored<Rule>> anchor;

  index_t teams() const { return tiles.tiles * (tile_size / block); }
  template <int K>
  using book = dynamic_code<Rule::states[K].range == values::any>;

  /// A block between its two halves.
  struct stepped {
    index_t slot = 0;              // its first
    float const* state = nullptr;  // the new states, `block` apart; null: there is nothing to encode
    float inverse[N];
  };
  /// What of a block a team takes at a time.
  template <class Team>
  static constexpr index_t part = Team::most < block ? Team::most : block;
  /// The first half: decode, apply the rule, find the new scales. `beside(from)`, work that does not depend on this
  /// block, is called once for each part: before it is decoded, or, if it is the whole block, after.
  FRUGAL_GENERIC template <class Team, class Beside>
  FRUGAL_FN stepped step(Team const& team, Beside const& beside) const {
    const index_t slots = team.rank() * block;
    const segment seg = tiles.at(slots / tile_size);
    const index_t at = slots - seg.first_tile * tile_size;
    if (at >= seg.size || ctl->skip != 0) {
      for (index_t from = 0; from < block; from += part<Team>) beside(from);
      return {};
    }
    return run(team, seg, at, beside, std::make_integer_sequence<int, N>{});
  }
  /// The second half: encode, a part.
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void encode(Team const& team, stepped const& b, index_t from) const {
    if (b.state) encode(team, b, from, std::make_integer_sequence<int, N>{});
  }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void encode(Team const& team, stepped const& b) const {
    for (index_t from = 0; from < block; from += part<Team>) encode(team, b, from);
  }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    encode(team, step(team, nothing{}));
  }

  /// The rule on a chunk of a part of a block, states in the team's scratch.
  template <index_t Stride>
  struct apply {
    using parameter = P;
    static constexpr bool anchored = detail::anchored<Rule>;
    Rule rule;
    float factor;
    Where where;
    decltype(Rounding().bind({})) rounding;
    P* x;
    G const* g;
    float* states;  // of the first element, `Stride` apart
    [[no_unique_address]] anchor_column<P, anchored> anchor;

    FRUGAL_FN bool aligned(int width) const {
      bool all = Where::contiguous && multiple_of(x, width) && multiple_of(g, width) && rounding.aligned(width);
      if constexpr (anchored) all = all && multiple_of(anchor.p, width);
      return all;
    }
    FRUGAL_FN float* state(int k) const { return states + k * Stride; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      update_chunk(c, *this, std::make_integer_sequence<int, N>{});
    }
  };

  /// What is bound to the elements from slot `at` of their segment on; their states are in `tile`, once they are
  /// decoded.
  template <index_t Stride>
  FRUGAL_FN apply<Stride> bind(segment const& seg, Rule const& rule, index_t at, float* tile) const {
    const segment here = part_of<Where>(seg, at);  // a segment of their own
    return {rule, ctl->factor,           where.bind(here), rounding.bind(here), io.parameters(here), io.gradients(here),
            tile, anchor.from(here.slot)};
  }
  FRUGAL_GENERIC template <index_t Size, index_t Stride, class Team, int... K>
  FRUGAL_FN void decode(Team const& team, index_t slot, float* tile, std::integer_sequence<int, K...>) const {
    (team.template decode<Size>(book<K>{}, s[K].code + slot, s[K].scale[slot / block], tile + K * Stride), ...);
  }

 private:
  struct nothing {
    FRUGAL_FN void operator()(index_t) const {}
  };
  FRUGAL_GENERIC template <class Team, class Beside, int... K>
  FRUGAL_FN stepped run(Team const& team, segment const& seg, index_t at, Beside const& beside,
                        std::integer_sequence<int, K...>) const {
    constexpr index_t most = part<Team>;
    const index_t slot = seg.slot + at;
    float* const tile = team.template scratch<float>();
    std::int32_t* const peaks = reinterpret_cast<std::int32_t*>(tile + N * block);
    float peak[N] = {};
    for (index_t from = 0; from < block; from += most, at += most) {
      const index_t left = seg.size - at, size = left < 0 ? 0 : left < most ? left : most;
      auto rule = bind<block>(seg, rules[rule_of<Rule>(seg)], at, tile + from);
      if constexpr (most < block) beside(from);
      decode<most, block>(team, slot + from, tile + from, std::integer_sequence<int, K...>{});
      if constexpr (draws)
        rule.rounding = rounding.draw(team, rule.where, part_of<Where>(seg, at), size,
                                      reinterpret_cast<std::uint32_t*>(tile + scratch_words));
      if constexpr (most == block) beside(from);
      team.template for_values<float>(size, rule);
      ((peak[K] = larger(peak[K], team.template peak<most>(tile + K * block + from, peaks))), ...);
    }
    if (team.lane() == 0) ((s[K].scale[slot / block] = peak[K]), ...);
    return {slot, tile, {inverse_of(peak[K])...}};
  }
  FRUGAL_GENERIC template <class Team, int... K>
  FRUGAL_FN void encode(Team const& team, stepped const& b, index_t from, std::integer_sequence<int, K...>) const {
    (team.template encode<part<Team>>(book<K>{}, b.state + K * block + from, b.inverse[K], s[K].code + b.slot + from),
     ...);
  }
  FRUGAL_FN static float larger(float a, float b) { return a > b ? a : b; }
};

/// A functor of elements whose bound reads a state of floats, `state`, where the state is in 8 bits: a team a block.
template <class Of, class Book, index_t Block>
struct of_decoded_state {
  static constexpr unsigned team_threads = Block / 4;
  static constexpr int scratch_bytes = 4 * int(Block);
  segment_list tiles;
  Of of;
  std::uint8_t const* codes;
  float const* scales;

  index_t teams() const { return tiles.tiles * (tile_size / Block); }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t slots = team.rank() * Block;
    const segment seg = tiles.at(slots / tile_size);
    const index_t at = slots - seg.first_tile * tile_size, slot = seg.slot + at, left = seg.size - at;
    if (left <= 0) return;
    float* const state = team.template scratch<float>();
    team.template decode<Block>(Book{}, codes + slot, scales[slot / Block], state);
    auto bound = of.bind(part_of<decltype(of.where)>(seg, at));
    bound.state = state;
    team.template for_values<float>(left < Block ? left : Block, bound);
  }
};

/// What the canonical reduction sums for the norm of a gradient.
template <class T, class Where, class G>
struct squares {
  using scalar = T;
  Where where;
  G const* const* gradients;

  struct bound {
    Where where;
    G const* g;
    G const* contiguous() const { return Where::contiguous ? g : nullptr; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN auto operator()(Chunk c) const {
      using V = typename Chunk::value;
      const V v = where.keep(c, V(T(0)), where.load(c, g));
      return v * v;
    }
  };
  FRUGAL_FN bound bind(segment const& seg) const { return {where.bind(seg), gradients[seg.tensor] + seg.inner}; }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
