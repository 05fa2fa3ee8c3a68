// SPDX-License-Identifier: Apache-2.0
/// @file Second moments as a row and a column of each matrix (Shazeer and Stern, ICML 2018): the kernels. A team has a
/// panel of 64 rows and 4096 columns. Sums of a panel's rows are canonical, those of its columns in the order of rows;
/// panels are added in their order. A rule of theirs has the coefficients of a group (beta1, rest1, beta2, rest2,
/// epsilon), says with `relative` whether parameters are measured, and concludes what a tensor's step is.
#pragma once
#include "element.hpp"
#include "measure.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {
namespace factored {

/// Rows and columns of a panel, which a team has.
inline constexpr index_t panel_rows = 64, panel_columns = 4096;

/// A matrix of a tensor: its last two axes, at one place of those before.
struct matrix {
  index_t rows, columns, strips, inner;  // strips of panel_columns; first element in the tensor
  index_t row, column, slot;             // where its statistics and its momentum begin
  index_t row_parts, column_parts;       // where the sums of its panels do
  index_t first_panel;
  std::int32_t tensor, group;
};
struct whole_tensor {
  index_t first_panel, panels, size;
  std::int32_t tensor, group;
};
/// What the step of a tensor is multiplied by, and the parameters.
template <class T>
struct of_tensor {
  T factor, shrink;
};

/// What a team has of a matrix.
struct panel {
  matrix m;
  index_t strip, number, first, last, column, width;
};
struct panels {
  matrix const* table;
  std::int32_t const* of_panel;
  index_t count;
  FRUGAL_FN panel at(index_t i) const {
    const matrix m = table[of_panel[i]];
    const index_t number = (i - m.first_panel) / m.strips, strip = (i - m.first_panel) % m.strips;
    const index_t first = number * panel_rows, column = strip * panel_columns;
    return {m,
            strip,
            number,
            first,
            first + panel_rows < m.rows ? first + panel_rows : m.rows,
            column,
            m.columns - column < panel_columns ? m.columns - column : panel_columns};
  }
};

/// First pass: sums of squares of each panel's rows and columns.
template <class Rule, class G>
struct sums {
  using T = typename Rule::scalar;
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = int(reduction_slots + panel_columns) * int(sizeof(T));
  panels work;
  control<Rule> const* ctl;
  G const* const* g;
  Rule const* of_group;
  T *rows, *columns;

  struct square {
    G const* g;
    T by, epsilon;
    // Rows are short: to go to a boundary first would cost more than it saves.
    FRUGAL_FN G const* contiguous() const { return nullptr; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN auto operator()(Chunk c) const {
      const auto v = c.load(g) * by;
      return v * v + epsilon;
    }
  };
  /// A row, or two, to the sums of columns.
  struct add {
    square f;
    T* to;
    int rows;
    index_t stride;
    bool first;
    FRUGAL_FN bool aligned(int width) const { return multiple_of(f.g, width) && stride % width == 0; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      auto sum = f(c);
      if (!first) sum = c.load(to) + sum;
      if (rows > 1) sum = sum + square{f.g + stride, f.by, f.epsilon}(c);
      c.store(to, sum);
    }
  };
  struct copy {
    T const* from;
    T* to;
    FRUGAL_FN bool aligned(int width) const { return multiple_of(to, width); }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      c.store(to, c.load(from));
    }
  };
  index_t teams() const { return work.count; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    if (ctl->skip != 0) return;
    const panel p = work.at(team.rank());
    T* const column = team.template scratch<T>() + reduction_slots;
    const T by = ctl->factor, epsilon = of_group[p.m.group].epsilon;
    const square from{g[p.m.tensor] + p.m.inner + p.column, by, epsilon};
    constexpr index_t together = 2;  // rows that stay in a level-1 cache
    T* const sum_of = rows + p.m.row_parts + p.strip * p.m.rows;
    for (index_t i = p.first; i < p.last; i += together) {
      const int n = i + together < p.last ? int(together) : int(p.last - i);
      for (int k = 0; k < n; ++k) {
        const T s = team.template sum<T>(square{from.g + (i + k) * p.m.columns, by, epsilon}, 0, p.width);
        if (team.lane() == 0) sum_of[i + k] = s;
        team.sync();  // before the scratch is written again
      }
      team.template for_values<T>(p.width,
                                  add{{from.g + i * p.m.columns, by, epsilon}, column, n, p.m.columns, i == p.first});
    }
    team.template for_values<T>(p.width, copy{column, columns + p.m.column_parts + p.number * p.m.columns + p.column});
  }
};

/// Running means of rows or of columns, from the panels' sums in their order.
template <class Rule, bool Rows>
struct average {
  using T = typename Rule::scalar;
  using scalar = T;
  matrix const* table;
  control<Rule> const* ctl;
  Rule const* of_group;
  T const* parts;
  T *state, *inverse;  // of columns: 1 / sqrt(c)

  struct bound {
    T beta2, rest2, scale;
    index_t count, stride;
    T const* parts;
    T *state, *inverse;
    bool active;
    FRUGAL_FN bool aligned(int width) const {
      return multiple_of(parts, width) && stride % width == 0 && multiple_of(state, width) &&
             multiple_of(inverse, width);
    }
    FRUGAL_FN T const* contiguous() const { return state; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      V sum = c.load(parts);
      for (index_t k = 1; k < count; ++k) sum = sum + c.load(parts + k * stride);
      const V now = beta2 * c.load(state) + rest2 * (scale * sum);
      c.store(state, now);
      if constexpr (!Rows) c.store(inverse, V(T(1)) / sqrt(now));
    }
  };
  FRUGAL_FN bound bind(segment const& s) const {
    const matrix m = table[s.tensor];
    Rule const& k = of_group[m.group];
    const T scale = T((exact(1.0) / exact(double(Rows ? m.columns : m.rows))).v[0]);
    const index_t panels = (m.rows + panel_rows - 1) / panel_rows;
    return {k.beta2,
            k.rest2,
            scale,
            Rows ? m.strips : panels,
            Rows ? m.rows : m.columns,
            parts + (Rows ? m.row_parts : m.column_parts),
            state + s.slot,
            inverse + s.slot,
            ctl->skip == 0};
  }
};
/// What tile_sums adds for the mean of rows.
template <class T>
struct of_rows {
  using scalar = T;
  T const* p;
  FRUGAL_FN auto bind(segment const& s) const { return typename elements<T, T, false>::bound{p + s.slot}; }
};
/// 1 / sqrt(r / mean(r)).
template <class T>
struct invert_rows {
  using scalar = T;
  double const* tiles;
  T const* state;
  T* inverse;
  struct bound {
    T mean;
    T const* state;
    T* inverse;
    bool active = true;
    FRUGAL_FN bool aligned(int width) const { return multiple_of(state, width) && multiple_of(inverse, width); }
    FRUGAL_FN T const* contiguous() const { return state; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      c.store(inverse, V(T(1)) / sqrt(c.load(state) / V(mean)));
    }
  };
  FRUGAL_FN bound bind(segment const& s) const {
    double sum = 0;
    for (index_t k = 0; k < tiles_of(s.size); ++k) sum = sum + tiles[s.first_tile + k];
    return {T((exact(sum) / exact(double(s.size))).v[0]), state + s.slot, inverse + s.slot};
  }
};

/// u, before its clipping.
template <class T, class G>
struct update {
  G const* g;
  T const* column;
  T by, row;
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN auto of(Chunk c) const {
    return ((c.load(g) * by) * row) * c.load(column);
  }
};
/// Second pass: sums of u^2, and of x^2 where steps are relative to it, as many numbers later.
template <class Rule, class P, class G, class Rounding>
struct measure {
  using T = typename Rule::scalar;
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = int(reduction_slots) * int(sizeof(T));
  panels work;
  control<Rule> const* ctl;
  P const* const* x;
  G const* const* g;
  Rule const* of_group;
  Rounding rounding;
  T const *inverse_rows, *inverse_columns;
  double* sum;

  struct square : update<T, G> {
    FRUGAL_FN explicit square(update<T, G> u) : update<T, G>(u) {}
    FRUGAL_FN G const* contiguous() const { return nullptr; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN auto operator()(Chunk c) const {
      const auto u = this->of(c);
      return u * u;
    }
  };
  struct square_of_x {
    P const* x;
    Rounding rounding;
    FRUGAL_FN P const* contiguous() const { return nullptr; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN auto operator()(Chunk c) const {
      const auto x0 = c.load(x), v = rounding.template precise<P>(x0, rounding.load(c, x0));
      return v * v;
    }
  };
  index_t teams() const { return work.count; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    if (ctl->skip != 0) return;
    const panel p = work.at(team.rank());
    const bool relative = of_group[p.m.group].relative;
    double s = 0, of_x = 0;
    for (index_t i = p.first; i < p.last; ++i) {
      const index_t at = i * p.m.columns + p.column;
      const update<T, G> u{g[p.m.tensor] + p.m.inner + at, inverse_columns + p.m.column + p.column, ctl->factor,
                           inverse_rows[p.m.row + i]};
      s = s + double(team.template sum<T>(square(u), 0, p.width));
      team.sync();
      if (!relative) continue;
      const square_of_x v{x[p.m.tensor] + p.m.inner + at, rounding.bind({.slot = p.m.slot + at})};
      of_x = of_x + double(team.template sum<T>(v, 0, p.width));
      team.sync();
    }
    if (team.lane() != 0) return;
    sum[team.rank()] = s;
    sum[work.count + team.rank()] = of_x;
  }
};
/// The factor of each tensor's updates.
template <class Rule>
struct conclude {
  using T = typename Rule::scalar;
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = int(reduction_slots) * int(sizeof(double));
  whole_tensor const* table;
  index_t count, panels;
  control<Rule> const* ctl;
  Rule const* of_group;
  double* sum;
  of_tensor<T>* to;

  index_t teams() const { return count; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    if (ctl->skip != 0) return;
    const whole_tensor t = table[team.rank()];
    Rule const& rule = of_group[t.group];
    double of_x = 0;
    const double of_u = sum_in_place(team, sum + t.first_panel, t.panels);
    if (rule.relative) of_x = sum_in_place(team, sum + panels + t.first_panel, t.panels);
    if (team.lane() == 0) to[t.tensor] = rule.conclude(of_u, of_x, double(t.size), ctl->step);
  }
};
/// Third pass.
template <class Rule, class P, class G, class Rounding>
struct apply {
  using T = typename Rule::scalar;
  static constexpr bool draws = std::is_same_v<Rounding, round_at_random>;
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = draws ? int(panel_columns + 8) * int(sizeof(std::uint32_t)) : 16;
  panels work;
  control<Rule> const* ctl;
  P* const* x;
  G const* const* g;
  Rule const* of_group;
  Rounding rounding;
  T const *inverse_rows, *inverse_columns;
  of_tensor<T> const* of;
  T* momentum;  // null: none

  struct row {
    update<T, G> u;
    P* x;
    T* m;
    T factor, beta1, rest1, shrink;
    decltype(Rounding().bind({})) rounding;
    FRUGAL_FN bool aligned(int width) const {
      return multiple_of(x, width) && multiple_of(u.g, width) && multiple_of(u.column, width) &&
             multiple_of(m, width) && rounding.aligned(width);
    }
    FRUGAL_FN P const* contiguous() const { return x; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      V step = factor * u.of(c);
      if (m) {
        step = beta1 * c.load(m) + rest1 * step;
        c.store(m, step);
      }
      const V x0 = c.load(x), kept = rounding.load(c, x0);
      const V x1 = shrink * rounding.template precise<P>(x0, kept) - step;
      c.store(x, rounding.template stored<P>(c, x1));
      rounding.store(c, x1);
    }
  };
  index_t teams() const { return work.count; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    if (ctl->skip != 0) return;
    const panel p = work.at(team.rank());
    Rule const& k = of_group[p.m.group];
    const of_tensor<T> step = of[p.m.tensor];
    for (index_t i = p.first; i < p.last; ++i) {
      const index_t at = i * p.m.columns + p.column;
      const segment here{.slot = p.m.slot + at, .size = p.width, .inner = p.m.inner + at, .tensor = p.m.tensor};
      row r{
          {g[p.m.tensor] + here.inner, inverse_columns + p.m.column + p.column, ctl->factor, inverse_rows[p.m.row + i]},
          x[p.m.tensor] + here.inner,
          momentum ? momentum + here.slot : nullptr,
          step.factor,
          k.beta1,
          k.rest1,
          step.shrink,
          rounding.bind(here)};
      if constexpr (draws) {
        team.sync();  // all are done with the row before
        r.rounding = rounding.draw(team, everywhere{}, here, p.width, team.template scratch<std::uint32_t>());
      }
      team.template for_values<T>(p.width, r);
    }
  }
};

}  // namespace factored
}  // namespace detail
}  // namespace v0
}  // namespace frugal
