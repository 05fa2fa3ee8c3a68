// SPDX-License-Identifier: Apache-2.0
/// @file Products with a matrix of sparse signs, which is made on the way. y = R x reads x once, however many rows
/// there are; x = R' y writes it once. The orders of the additions are part of the contract
/// (docs/algorithms/very_sparse.md).
#pragma once
#include "../core/element.hpp"
#include "../core/reduce.hpp"
#include "sparse_signs.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// R x by cells: a run of cells a team, each with all rows. The sums of a row are floats in a cell, doubles beyond.
struct project_cells {
  static constexpr index_t rows = cell_law::rows;
  static constexpr unsigned team_threads = rows / 4;
  static constexpr int scratch_bytes = (cell_law::words + 2) * int(rows) * 4;
  cell_law law;
  float const* x;
  index_t inputs, outputs, cells, run;  // of cells
  double* sums;

  // The sum of a cell in the order of the draws: of many rows, of one.
  template <class V>
  struct add_places {
    using Int = typename V::integer;
    float const* x;
    Int end;
    V sum;
    FRUGAL_GENERIC FRUGAL_FN void operator()(int, Int at, Int odd) {
      if (!any(at < end)) return;
      const V v = with_sign(V::gather(x, select(at < end, at, Int(0))), odd);
      sum = select(at < end, sum + v, sum);
    }
  };
  struct row_sum {
    float const* x;
    index_t n;
    float sum;
    FRUGAL_FN void operator()(index_t at, std::uint32_t odd) {
      if (at < n) sum = odd ? sum - x[at] : sum + x[at];
    }
  };
  template <class Team>
  struct cell_sums {
    cell_law law;
    Team team;
    float const* x;
    index_t n, cell, row;
    index_t ahead;  // floats of the next cell that are asked for with each row
    std::uint32_t const* made;
    std::int32_t* marks;
    float* to;
    FRUGAL_FN static bool aligned(int) { return false; }  // a GPU's lane has no registers for four rows
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      using Int = typename V::integer;
      const index_t first = (row + c.at) * ahead, stop = first + c.count() * ahead;
      for (index_t j = first; j < stop && j < n; j += 16) team.prefetch(x + n + j);
      add_places<V> all{x, Int(std::int32_t(n)), V(0.f)};
      const Int rest = law.draw(c, made, all);
      c.store(to, all.sum);
      if (!any(rest > Int(0))) return;
      c.store(marks, rest);
      for (index_t k = c.at; k < c.at + c.count(); ++k) {
        if (marks[k] == 0) continue;
        row_sum one{x, n, 0};
        law.row(std::uint64_t(cell), std::uint64_t(row + k), made + k, one);
        to[k] = one.sum;
      }
    }
  };
  struct add_sums {
    bool first;
    float const* from;
    double* to;
    FRUGAL_FN static bool aligned(int) { return true; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      const auto s = c.load(from);
      c.store(to, first ? s : c.load(to) + s);
    }
  };

  index_t teams() const { return (cells + run - 1) / run; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    auto* made = team.template scratch<std::uint32_t>();
    auto* marks = reinterpret_cast<std::int32_t*>(made + cell_law::words * rows);
    auto* found = reinterpret_cast<float*>(marks + rows);
    const index_t begin = team.rank() * run, end = begin + run < cells ? begin + run : cells;
    for (index_t cell = begin; cell < end; ++cell) {
      const index_t at = cell * law.columns(), n = inputs - at < law.columns() ? inputs - at : law.columns();
      for (index_t row = 0; row < outputs; row += rows) {
        const index_t some = outputs - row < rows ? outputs - row : rows;
        law.make(team, cell, row, some, made);
        team.template for_values<float>(
            some, cell_sums<Team>{law, team, x + at, n, cell, row, (n + outputs - 1) / outputs, made, marks, found});
        team.template for_values<double>(some, add_sums{cell == begin, found, sums + team.rank() * outputs + row});
      }
    }
  }
};

/// R x by entries: a run of tiles of columns a team, each with all rows, in the canonical order.
struct project_entries {
  static constexpr index_t tile = 1024;
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = (int(reduction_slots) + int(tile)) * 4;
  entry_law law;
  float const* x;
  index_t inputs, outputs, tiles, run;  // of tiles
  double* sums;

  struct terms {
    entry_law law;
    float const* x;
    std::int32_t const* made;
    FRUGAL_FN static float const* contiguous() { return nullptr; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN auto operator()(Chunk c) const {
      using V = typename Chunk::value;
      return law.times(c.template load_as<typename V::integer>(made), c.load(x));
    }
  };

  index_t teams() const { return (tiles + run - 1) / run; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    auto* made = team.template scratch<std::uint32_t>() + reduction_slots;  // before it: the canonical sum's
    const index_t begin = team.rank() * run, end = begin + run < tiles ? begin + run : tiles;
    for (index_t t = begin; t < end; ++t) {
      const index_t at = t * tile, n = inputs - at < tile ? inputs - at : tile;
      for (index_t r = 0; r < outputs; ++r) {
        team.sync();
        team.words(law.stream, std::uint64_t(r), std::uint64_t(at / 4), (n + 3) / 4, made);
        team.sync();
        const terms f{law, x + at, reinterpret_cast<std::int32_t const*>(made)};
        const auto sum = double(team.template sum<float>(f, 0, n));
        double& to = sums[team.rank() * outputs + r];
        if (team.lane() == 0) to = t == begin ? sum : to + sum;
      }
    }
  }
};

/// The sums of the runs, in their order, and the factor.
struct project_rows {
  using scalar = double;
  double const* sums;
  index_t runs, outputs;
  double factor;
  float* y;
  static constexpr bool active = true;
  FRUGAL_FN project_rows bind(segment const&) const { return *this; }
  FRUGAL_FN bool aligned(int width) const { return multiple_of(y, width); }
  double const* contiguous() const { return nullptr; }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    using V = typename Chunk::value;
    V s = c.load(sums);
    for (index_t i = 1; i < runs; ++i) s = s + c.load(sums + i * outputs);
    c.store(y, s * V(factor));
  }
};

/// What a transpose does with its sums.
template <bool Add>
struct put_column {
  float factor;
  float const* sums;
  float* x;
  FRUGAL_FN bool aligned(int width) const { return multiple_of(x, width); }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    using V = typename Chunk::value;
    const V d = c.load(sums) * V(factor);
    if constexpr (Add) c.store(x, c.load(x) + d);
    else c.store(x, d);
  }
};

/// R' y by cells: one a team, rows in their order. A lane owns some columns and looks for them in all rows.
template <bool Add>
struct transpose_cells {
  static constexpr index_t rows = cell_law::rows, columns = index_t(1) << cell_law::most_bits;
  static constexpr unsigned team_threads = 256;
  static constexpr int spare = 16;  // where a place that is none can be written to
  static constexpr int scratch_bytes = (int(columns) + spare + (cell_law::words + cell_law::ready) * int(rows)) * 4;
  cell_law law;
  float const* y;
  index_t inputs, outputs, cells;
  float factor;
  float* x;

  /// Places of a run of rows, twice and the sign; -1 for a row that must be walked.
  struct list_places {
    cell_law law;
    std::uint32_t const* made;
    std::int32_t* to;
    template <class Chunk>
    struct put {
      using Int = typename Chunk::value::integer;
      Chunk c;
      std::int32_t* to;
      FRUGAL_GENERIC FRUGAL_FN void operator()(int d, Int at, Int odd) const { c.store(to + d * rows, at << 1 | odd); }
    };
    FRUGAL_FN static bool aligned(int) { return false; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using Int = typename Chunk::value::integer;
      put<Chunk> all{c, to};
      const Int rest = law.draw(c, made, all);
      if (any(rest > Int(0))) c.store(to, select(rest > Int(0), Int(-1), c.template load_as<Int>(to)));
    }
  };
  /// Adds v, or -v, to the sums of the columns of one lane.
  struct add_row {
    float* sums;
    index_t begin, end;
    float v;
    FRUGAL_FN void operator()(index_t at, std::uint32_t odd) const {
      if (at >= begin && at < end) add(at, odd);
    }
    FRUGAL_FN void add(index_t at, std::uint32_t odd) const {
      sums[at] += bit_cast<float>(bit_cast<std::uint32_t>(v) ^ odd << 31);
    }
  };

  index_t teams() const { return cells; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    auto* sums = team.template scratch<float>();
    auto* made = reinterpret_cast<std::uint32_t*>(sums + columns + spare);
    auto* listed = reinterpret_cast<std::int32_t*>(made + cell_law::words * rows);
    const index_t cell = team.rank(), at = cell * law.columns();
    const index_t n = inputs - at < law.columns() ? inputs - at : law.columns();
    const index_t share = (n + team.lanes() - 1) / team.lanes(), begin = team.lane() * share;
    const index_t end = begin + share < n ? begin + share : n;
    for (index_t j = begin; j < end; ++j) sums[j] = 0;
    for (index_t row = 0; row < outputs; row += rows) {
      const index_t some = outputs - row < rows ? outputs - row : rows;
      law.make(team, cell, row, some, made);
      team.template for_values<float>(some, list_places{law, made, listed});
      team.sync();
      for (index_t r = 0; r < some; ++r) {
        add_row add{sums, begin, end, y[row + r]};
        if (listed[r] < 0) {
          law.row(std::uint64_t(cell), std::uint64_t(row + r), made + r, add);
        } else {
          FRUGAL_UNROLL for (int d = 0; d < cell_law::ready; ++d) {
            const std::int32_t e = listed[d * rows + r], place = e >> 1;
            if (team.lanes() > 1) add(place, e & 1);
            else add.add(place < n ? place : columns + d, e & 1);  // no branch: it would be a coin toss
          }
        }
      }
    }
    team.sync();
    team.template for_values<float>(n, put_column<Add>{factor, sums, x + at});
  }
};

/// R' y by entries: a tile of columns a team, rows in their order.
template <bool Add>
struct transpose_entries {
  static constexpr index_t tile = project_entries::tile;
  static constexpr unsigned team_threads = tile / 4;
  static constexpr int scratch_bytes = 2 * int(tile) * 4;
  entry_law law;
  float const* y;
  index_t inputs, outputs, tiles;
  float factor;
  float* x;

  struct add_row {
    entry_law law;
    float y;
    bool first;
    std::int32_t const* made;
    float* sums;
    FRUGAL_FN static bool aligned(int) { return true; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      const V d = law.times(c.template load_as<typename V::integer>(made), V(y));
      c.store(sums, first ? V(0.f) + d : c.load(sums) + d);
    }
  };

  index_t teams() const { return tiles; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    auto* sums = team.template scratch<float>();
    auto* made = reinterpret_cast<std::uint32_t*>(sums + tile);
    const index_t at = team.rank() * tile, n = inputs - at < tile ? inputs - at : tile;
    for (index_t r = 0; r < outputs; ++r) {
      team.sync();
      team.words(law.stream, std::uint64_t(r), std::uint64_t(at / 4), (n + 3) / 4, made);
      team.sync();
      const add_row add{law, y[r], r == 0, reinterpret_cast<std::int32_t const*>(made), sums};
      team.template for_values<float>(n, add);
    }
    team.sync();
    team.template for_values<float>(n, put_column<Add>{factor, sums, x + at});
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
