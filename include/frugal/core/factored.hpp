// SPDX-License-Identifier: Apache-2.0
/// @file Second moments as a row and a column of each matrix (Shazeer and Stern, ICML 2018): the kernels. A team has a
/// panel of 64 rows and 4096 columns. Sums of a panel's rows are canonical, those of its columns in the order of rows;
/// panels are added in their order.
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
struct control {
  std::int64_t step = 0;
  double power = 1;  // decay^t
};
template <class T>
struct coefficients {
  T beta1, rest1, beta2, rest2, epsilon, shrink;
  double lr;
};

/// The step begins: coefficients of each group.
template <class T, class Config>
struct begin {
  Config config;
  group_factors const* factors;
  std::int32_t groups;
  control* ctl;
  coefficients<T>* to;
  FRUGAL_FN void operator()() const {
    const exact one(1.0), before(ctl->power), now = before * exact(config.decay);
    const exact b = config.beta2 < 0 ? exact(config.decay) * (one - before) / (one - now) : exact(config.beta2);
    ctl->power = now.v[0];
    ++ctl->step;
    for (std::int32_t i = 0; i < groups; ++i) {
      const exact lr = exact(config.lr) * exact(factors[i].lr);
      const exact lambda = exact(config.weight_decay) * exact(factors[i].weight_decay);
      to[i] = {T(config.beta1),   T(1 - config.beta1),         T(b.v[0]), T((one - b).v[0]),
               T(config.epsilon), T((one - lr * lambda).v[0]), lr.v[0]};
    }
  }
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
template <class T, class G>
struct sums {
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = int(reduction_slots + panel_columns) * int(sizeof(T));
  panels work;
  G const* const* g;
  coefficients<T> const* of_group;
  T *rows, *columns;

  struct square {
    G const* g;
    T epsilon;
    // Rows are short: to go to a boundary first would cost more than it saves.
    FRUGAL_FN G const* contiguous() const { return nullptr; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN auto operator()(Chunk c) const {
      const auto v = c.load(g);
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
      if (rows > 1) sum = sum + square{f.g + stride, f.epsilon}(c);
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
    const panel p = work.at(team.rank());
    T* const column = team.template scratch<T>() + reduction_slots;
    const T epsilon = of_group[p.m.group].epsilon;
    const square from{g[p.m.tensor] + p.m.inner + p.column, epsilon};
    constexpr index_t together = 2;  // rows that stay in a level-1 cache
    T* const sum_of = rows + p.m.row_parts + p.strip * p.m.rows;
    for (index_t i = p.first; i < p.last; i += together) {
      const int n = i + together < p.last ? int(together) : int(p.last - i);
      for (int k = 0; k < n; ++k) {
        const T s = team.template sum<T>(square{from.g + (i + k) * p.m.columns, epsilon}, 0, p.width);
        if (team.lane() == 0) sum_of[i + k] = s;
        team.sync();  // before the scratch is written again
      }
      team.template for_values<T>(p.width,
                                  add{{from.g + i * p.m.columns, epsilon}, column, n, p.m.columns, i == p.first});
    }
    team.template for_values<T>(p.width, copy{column, columns + p.m.column_parts + p.number * p.m.columns + p.column});
  }
};

/// Running means of rows or of columns, from the panels' sums in their order.
template <class T, bool Rows>
struct average {
  using scalar = T;
  matrix const* table;
  coefficients<T> const* of_group;
  T const* parts;
  T *state, *inverse;  // of columns: 1 / sqrt(c)

  struct bound {
    T beta2, rest2, scale;
    index_t count, stride;
    T const* parts;
    T *state, *inverse;
    bool active = true;
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
    const coefficients<T> k = of_group[m.group];
    const T scale = T((exact(1.0) / exact(double(Rows ? m.columns : m.rows))).v[0]);
    const index_t panels = (m.rows + panel_rows - 1) / panel_rows;
    return {k.beta2,
            k.rest2,
            scale,
            Rows ? m.strips : panels,
            Rows ? m.rows : m.columns,
            parts + (Rows ? m.row_parts : m.column_parts),
            state + s.slot,
            inverse + s.slot};
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
  T row;
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN auto of(Chunk c) const {
    return (c.load(g) * row) * c.load(column);
  }
};
/// Second pass: sums of u^2.
template <class T, class G>
struct measure {
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = int(reduction_slots) * int(sizeof(T));
  panels work;
  G const* const* g;
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
  index_t teams() const { return work.count; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const panel p = work.at(team.rank());
    double s = 0;
    for (index_t i = p.first; i < p.last; ++i) {
      const update<T, G> u{g[p.m.tensor] + p.m.inner + i * p.m.columns + p.column,
                           inverse_columns + p.m.column + p.column, inverse_rows[p.m.row + i]};
      s = s + double(team.template sum<T>(square(u), 0, p.width));
      team.sync();
    }
    if (team.lane() == 0) sum[team.rank()] = s;
  }
};
/// The factor of each tensor's updates.
template <class T>
struct conclude {
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = int(reduction_slots) * int(sizeof(double));
  whole_tensor const* table;
  index_t count;
  coefficients<T> const* of_group;
  double clip;
  double* sum;
  T* factor;

  index_t teams() const { return count; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const whole_tensor t = table[team.rank()];
    const exact s(sum_in_place(team, sum + t.first_panel, t.panels)), lr(of_group[t.group].lr);
    if (team.lane() != 0) return;
    const exact ratio = sqrt(s / exact(double(t.size))) / exact(clip);
    factor[t.tensor] = T((ratio.v[0] <= 1 ? lr : lr / ratio).v[0]);  // a NaN goes on into the step
  }
};
/// Third pass.
template <class T, class P, class G>
struct apply {
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = 16;
  panels work;
  P* const* x;
  G const* const* g;
  coefficients<T> const* of_group;
  T const *inverse_rows, *inverse_columns, *factor;  // the last of each tensor
  T* momentum;                                       // null: none

  struct row {
    update<T, G> u;
    P* x;
    T* m;
    T factor, beta1, rest1, shrink;
    FRUGAL_FN bool aligned(int width) const {
      return multiple_of(x, width) && multiple_of(u.g, width) && multiple_of(u.column, width) && multiple_of(m, width);
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
      c.store(x, shrink * c.load(x) - step);
    }
  };
  index_t teams() const { return work.count; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const panel p = work.at(team.rank());
    const coefficients<T> k = of_group[p.m.group];
    for (index_t i = p.first; i < p.last; ++i) {
      const index_t at = i * p.m.columns + p.column;
      team.template for_values<T>(p.width, row{{g[p.m.tensor] + p.m.inner + at, inverse_columns + p.m.column + p.column,
                                                inverse_rows[p.m.row + i]},
                                               x[p.m.tensor] + p.m.inner + at,
                                               momentum ? momentum + p.m.slot + at : nullptr,
                                               factor[p.m.tensor],
                                               k.beta1,
                                               k.rest1,
                                               k.shrink});
    }
  }
};

}  // namespace factored
}  // namespace detail
}  // namespace v0
}  // namespace frugal
