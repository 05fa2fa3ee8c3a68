// SPDX-License-Identifier: Apache-2.0
/// @file Muon's configuration, and what it does to each element before and after the products (optim/muon.hpp).
#pragma once
#include "../core/element_optimizer.hpp"

namespace frugal {
inline namespace v0 {

/// An odd polynomial a s + b s^3 + c s^5 of singular values, and how often it is applied.
struct newton_schulz {
  double a = 3.4445, b = -4.7750, c = 2.0315;
  int steps = 5;  ///< >= 1
};
/// The authors': after five steps singular values are in [0.6818, 1.2024], those of 0.00151 of the norm or more.
inline constexpr newton_schulz to_about_one{};
/// Tends to 1, and needs more steps: those of the smallest singular values grow by 15/8 in each.
inline constexpr newton_schulz to_one{15. / 8, -10. / 8, 3. / 8, 30};

/// s, for `rows` x `cols`.
enum class muon_scale {
  spectral,    ///< sqrt(max(1, rows / cols)): the authors'
  match_adamw  ///< 0.2 sqrt(max(rows, cols)): steps as large as AdamW's, so that both can share a rate and a decay
};

/// Defaults of the authors' program.
struct muon_config {
  double lr = 0.02;         ///< learning rate, >= 0
  double momentum = 0.95;   ///< [0, 1)
  double weight_decay = 0;  ///< decoupled; >= 0, and lr weight_decay <= 1
  bool nesterov = true;
  muon_scale scale = muon_scale::spectral;
  newton_schulz iteration = to_about_one;
};
inline void validate(muon_config const& c) {
  require_range("lr", c.lr, 0, 1e30, true);
  require_range("momentum", c.momentum, 0, 1);
  require_range("weight_decay", c.weight_decay, 0, 1e30, true);
  require_range("lr * weight_decay", c.lr * c.weight_decay, 0, 1, true);
  require_range("the first coefficient of the iteration", c.iteration.a, -1e30, 1e30, true);
  require_range("the second coefficient of the iteration", c.iteration.b, -1e30, 1e30, true);
  require_range("the third coefficient of the iteration", c.iteration.c, -1e30, 1e30, true);
  require(c.iteration.steps >= 1, "the steps of the iteration", ">= 1", c.iteration.steps);
}

/// What the kernels take from a configuration and a group; not a rule of elements.
template <class T>
struct muon_rule {
  static constexpr char const* name = "muon";
  static constexpr state_info states[] = {{"m", values::any}};
  using scalar = T;
  using config = muon_config;
  struct clock {
    FRUGAL_FN void advance(config const&) {}
  };
  double lr;  // times a matrix's scale
  T mu, rest, of_gradient, of_momentum, shrink;
  FRUGAL_FN muon_rule(config const& c, group_factors const& g, clock const&)
      : mu(T(c.momentum)),
        rest(T(1 - c.momentum)),
        of_gradient(c.nesterov ? T(1 - c.momentum) : T(0)),
        of_momentum(c.nesterov ? T(c.momentum) : T(1)) {
    const exact rate = exact(c.lr) * exact(g.lr);
    lr = rate.v[0];
    shrink = T((exact(1.0) - rate * (exact(c.weight_decay) * exact(g.weight_decay))).v[0]);
  }
};

namespace detail {

/// m and u of one matrix.
template <class T, class G, class Cell>
struct muon_momentum {
  using scalar = T;
  control<muon_rule<T>> const* ctl;
  muon_rule<T> const* rule;
  G const* g;
  Cell* m;
  T* u;
  struct bound {
    muon_rule<T> rule;
    T factor;
    G const* g;
    Cell* m;
    T* u;
    bool active;
    FRUGAL_FN bool aligned(int width) const {
      return multiple_of(g, width) && multiple_of(m, width) && multiple_of(u, width);
    }
    G const* contiguous() const { return g; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      const V grad = c.load(g) * V(factor), now = V(rule.mu) * c.load(m) + V(rule.rest) * grad;
      c.store(m, now);
      c.store(u, V(rule.of_gradient) * grad + V(rule.of_momentum) * now);
    }
  };
  FRUGAL_FN bound bind(segment const&) const { return {*rule, ctl->factor, g, m, u, ctl->skip == 0}; }
};
/// u / (|u| + 1e-7), in place.
template <class T>
struct muon_normalise {
  using scalar = T;
  double const* squares;
  T* u;
  struct bound {
    T* u;
    T by;
    bool active = true;
    FRUGAL_FN bool aligned(int width) const { return multiple_of(u, width); }
    T const* contiguous() const { return u; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      c.store(u, c.load(u) * typename Chunk::value(by));
    }
  };
  FRUGAL_FN bound bind(segment const&) const {
    return {u, T((exact(1.0) / (sqrt(exact(*squares)) + exact(1e-7))).v[0])};
  }
};
/// x = shrink x - (lr s) O of one matrix, with what is rounded around it.
template <class T, class P, class Rounding>
struct muon_apply {
  using scalar = T;
  control<muon_rule<T>> const* ctl;
  muon_rule<T> const* rule;
  Rounding rounding;
  P* x;
  T const* o;
  segment whole;  // the matrix among the slots
  double scale;
  struct bound {
    T shrink, rate;
    decltype(Rounding().bind({})) rounding;
    P* x;
    T const* o;
    bool active;
    FRUGAL_FN bool aligned(int width) const {
      return multiple_of(x, width) && multiple_of(o, width) && rounding.aligned(width);
    }
    P const* contiguous() const { return x; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      const V x0 = c.load(x), kept = rounding.load(c, x0);
      const V x1 = V(shrink) * rounding.template precise<P>(x0, kept) - V(rate) * c.load(o);
      c.store(x, rounding.template stored<P>(c, x1));
      rounding.store(c, x1);
    }
  };
  FRUGAL_FN bound bind(segment const& part) const {
    const muon_rule<T> r = *rule;
    return {r.shrink,
            T((exact(r.lr) * exact(scale)).v[0]),
            rounding.bind(at(part.inner)),
            x + part.inner,
            o + part.inner,
            ctl->skip == 0};
  }
  /// The matrix from element k on.
  FRUGAL_FN segment at(index_t k) const { return part_of<everywhere>(whole, k); }
};
/// The same by teams, for a rounding that draws.
template <class Apply>
struct muon_apply_drawn {
  static constexpr index_t part = 1024;
  static constexpr unsigned team_threads = part / 4;
  static constexpr int scratch_bytes = int((part + 8) * sizeof(std::uint32_t));
  Apply apply;
  index_t n;
  index_t teams() const { return (n + part - 1) / part; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t k = team.rank() * part, size = n - k < part ? n - k : part;
    if (apply.ctl->skip != 0) return;
    auto bound = apply.bind({.inner = k});
    bound.rounding = apply.rounding.draw(team, everywhere{}, apply.at(k), size, team.template scratch<std::uint32_t>());
    team.template for_values<typename Apply::scalar>(size, bound);
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
