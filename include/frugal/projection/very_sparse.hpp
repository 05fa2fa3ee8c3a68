// SPDX-License-Identifier: Apache-2.0
/// @file Sparse random projections: Achlioptas, "Database-friendly random projections: Johnson-Lindenstrauss with
/// binary coins", J. Comput. Syst. Sci. 66, 2003; Li, Hastie, Church, "Very sparse random projections", KDD 2006.
///
///     R_rj = sqrt(s / k) { +1 with probability 1 / 2s, -1 with 1 / 2s, else 0 }      k x n, independent
///     y = R x,    x^ = R' y,    E R'R = I
///
/// R is not stored. The sign of its entry (r, j) is a pure function of (seed, s, r, j), whatever n and k: format
/// version 1, words of random_stream{seed}, u = word >> 1.
///
///     s < 16: w = word(j, r). The entry is not zero if u < round(2^31 / s), and then negative if w is odd.
///     else:   the columns in cells of G = 2^b, the largest power of two that is at most 2 s and 8192; for cell c of
///     row
///             r, word i is word(i 2^40 + c, r). Word 0 gives the count of entries that are not zero: how many T_m are
///             at most u, T_m = round(2^31 Prob(Binomial(G, 1 / s) <= m)). Words 1, 2, ... are cut into halves, the
///             lower one first. The upper b bits of a half are a place in the cell, its lowest bit is set if the entry
///             is negative; a half whose place is taken is passed over.
///
/// docs/algorithms/very_sparse.md has it in full.
#pragma once
#include <cmath>

#include "../core/buffer.hpp"
#include "../core/overlap.hpp"
#include "../core/random.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Rows whose words are made at a time, in a team's scratch.
inline constexpr index_t projection_rows = 256;

/// Words of a run of rows in a cell, `projection_rows` apart, for all lanes of the team.
FRUGAL_GENERIC template <class Law, class Team>
FRUGAL_FN void make_words(Law const& law, Team const& team, index_t cell, index_t row, index_t rows,
                          std::uint32_t* to) {
  team.sync();  // what was there has been read
  for (int i = 0; i < Law::words; ++i)
    team.words(law.stream, law.direction(std::uint64_t(cell), i), std::uint64_t(row / 4), (rows + 3) / 4,
               to + i * projection_rows);
  team.sync();
}

/// -v where `odd` is odd.
FRUGAL_GENERIC template <value V>
FRUGAL_FN V with_sign(V v, typename V::integer odd) {
  return from_bits(bits(v) ^ odd << 31);
}

/// Where zeros are few: a word an entry.
struct entry_law {
  static constexpr int words = 16;  // of a row in a cell: one a column
  static constexpr bool wide = true;
  random_stream stream;
  std::int32_t last;  // the largest u of an entry that is not zero

  FRUGAL_FN static index_t columns() { return words; }
  FRUGAL_FN static std::uint64_t direction(std::uint64_t cell, int i) { return cell * words + std::uint64_t(i); }
  /// f(place, negative) for the entries of a row in a cell that are not zero.
  template <class F>
  void row(std::uint64_t cell, std::uint64_t r, F& f) const {
    for (int i = 0; i < words; ++i) {
      const std::uint32_t w = stream.word(direction(cell, i), r);
      if (std::int32_t(w >> 1) <= last) f(index_t(i), (w & 1) != 0);
    }
  }
  /// The products of a cell with rows of R, added from the first column to the last.
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void sum(Chunk c, index_t, index_t, float const* x, index_t n, std::uint32_t const* made, float* to) const {
    using V = typename Chunk::value;
    V a(0.f);
    for (index_t i = 0; i < n; ++i) a = term(c, V(x[i]), a, made + i * projection_rows);
    c.store(to, a);
  }
  /// a, or a +- v where the words say so.
  FRUGAL_GENERIC template <class Chunk, class V>
  FRUGAL_FN V term(Chunk c, V v, V a, std::uint32_t const* made) const {
    using I = typename V::integer;
    const I w = c.template load_as<I>(reinterpret_cast<std::int32_t const*>(made));
    return select((w >> 1) > I(last), a, a + with_sign(v, w));
  }
};

/// Where zeros are many: how many entries of a cell are not zero, and which.
struct cell_law {
  static constexpr int words = 4;  // made in advance: the count, and as many places as are `ready`
  static constexpr int ready = 6;
  static constexpr int table = 32;  // the count is 2 in the mean, and above 20 with a probability below 2^-32
  static constexpr index_t most_columns = 8192;
  static constexpr bool wide = false;  // a GPU's lane has no registers for the places of four rows
  random_stream stream;
  std::int32_t const* last;  // T_m - 1: the largest u of a count of m or less
  std::int32_t bits;

  FRUGAL_FN index_t columns() const { return index_t(1) << bits; }
  FRUGAL_FN static std::uint64_t direction(std::uint64_t cell, int i) { return std::uint64_t(i) << 40 | cell; }
  template <class F>
  void row(std::uint64_t cell, std::uint64_t r, F& f) const {
    row(cell, r, nullptr, f);
  }
  /// The same by the words that have been made of it, and the further ones.
  template <class F>
  FRUGAL_FN void row(std::uint64_t cell, std::uint64_t r, std::uint32_t const* made, F& f) const {
    int left = 0;
    for (const auto u = std::int32_t(word(cell, r, made, 0) >> 1); left < table && last[left] < u;) ++left;
    for (int d = 0; left > 0; ++d) {
      const std::uint32_t h = half(cell, r, made, d);
      bool taken = false;
      for (int e = 0; e < d && !taken; ++e) taken = (h ^ half(cell, r, made, e)) >> (16 - bits) == 0;
      if (taken) continue;
      --left;
      f(index_t(h >> (16 - bits)), (h & 1) != 0);
    }
  }

  /// The places of many rows at once. Those that are none are 2^16 and more.
  template <class I>
  struct places {
    I at[ready], odd[ready];
    I rest;  // not zero: this row has more, or one of them twice, and must be walked
  };
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN auto draw(Chunk c, std::uint32_t const* made) const {
    using I = typename Chunk::value::integer;
    places<I> p;
    const auto* from = reinterpret_cast<std::int32_t const*>(made);
    const I u = c.template load_as<I>(from) >> 1;
    p.rest = select(u > I(last[ready]), I(1), I(0));
    FRUGAL_UNROLL for (int d = 0; d < ready; ++d) {
      const I w = c.template load_as<I>(from + (1 + d / 2) * projection_rows);
      const I h = d % 2 == 0 ? w & I(0xffff) : w >> 16;
      p.odd[d] = h & I(1);
      p.at[d] = select(u > I(last[d]), h >> (16 - bits), I(0x10000 + d));
      FRUGAL_UNROLL for (int e = 0; e < d; ++e) p.rest = select(p.at[d] == p.at[e], I(1), p.rest);
    }
    return p;
  }
  struct row_sum {
    float const* x;
    index_t n;
    float sum;
    FRUGAL_FN void operator()(index_t at, bool odd) {
      if (at < n) sum = odd ? sum - x[at] : sum + x[at];
    }
  };
  /// The products of a cell with rows of R, added in the order of the draws.
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void sum(Chunk c, index_t cell, index_t row0, float const* x, index_t n, std::uint32_t const* made,
                     float* to) const {
    using V = typename Chunk::value;
    using I = typename V::integer;
    const auto p = draw(c, made);
    const I end{std::int32_t(n)};
    V a(0.f);
    FRUGAL_UNROLL for (int d = 0; d < ready; ++d) {
      if (!any(p.at[d] < end)) continue;
      const V v = with_sign(V::gather(x, select(p.at[d] < end, p.at[d], I(0))), p.odd[d]);
      a = select(p.at[d] < end, a + v, a);
    }
    c.store(to, a);
    if (!any(p.rest > I(0))) return;
    for (index_t k = 0; k < c.count(); ++k) {
      if (p.rest.v[k] == 0) continue;
      row_sum all{x, n, 0};
      row(std::uint64_t(cell), std::uint64_t(row0 + c.at + k), made + c.at + k, all);
      to[c.at + k] = all.sum;
    }
  }

 private:
  FRUGAL_FN std::uint32_t word(std::uint64_t cell, std::uint64_t r, std::uint32_t const* made, int i) const {
    return made && i < words ? made[i * projection_rows] : stream.word(direction(cell, i), r);
  }
  FRUGAL_FN std::uint32_t half(std::uint64_t cell, std::uint64_t r, std::uint32_t const* made, int d) const {
    return word(cell, r, made, 1 + d / 2) >> (d % 2 * 16) & 0xffff;
  }
};

/// The sign of the entry at a place, by what row() says of its row.
struct sign_at {
  index_t place;
  int sign = 0;
  FRUGAL_FN void operator()(index_t at, bool odd) {
    if (at == place) sign = odd ? -1 : 1;
  }
};

/// A run of cells a team, each with all rows: x is read once. The sums of a row are floats in a cell, doubles beyond.
template <class Law>
struct project_cells {
  static constexpr unsigned team_threads = projection_rows / 4;
  static constexpr int scratch_bytes = (Law::words + 1) * int(projection_rows) * 4;
  Law law;
  float const* x;
  index_t inputs, outputs, cells, run;  // of cells
  double* sums;

  template <class Team>
  struct cell_sums {
    Law law;
    Team team;
    float const* x;
    index_t n, cell, row;
    index_t ahead;  // floats of the next cell that are asked for with each row
    std::uint32_t const* made;
    float* to;
    FRUGAL_FN static bool aligned(int) { return Law::wide; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      const index_t first = (row + c.at) * ahead, stop = first + c.count() * ahead;
      for (index_t j = first; j < stop && j < n; j += 16) team.prefetch(x + n + j);
      law.sum(c, cell, row, x, n, made, to);
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
    auto* found = reinterpret_cast<float*>(made + Law::words * projection_rows);
    const index_t begin = team.rank() * run, end = begin + run < cells ? begin + run : cells;
    for (index_t cell = begin; cell < end; ++cell) {
      const index_t at = cell * law.columns(), n = inputs - at < law.columns() ? inputs - at : law.columns();
      for (index_t row = 0; row < outputs; row += projection_rows) {
        const index_t rows = outputs - row < projection_rows ? outputs - row : projection_rows;
        make_words(law, team, cell, row, rows, made);
        team.template for_values<float>(
            rows, cell_sums<Team>{law, team, x + at, n, cell, row, (n + outputs - 1) / outputs, made, found});
        team.template for_values<double>(rows, add_sums{cell == begin, found, sums + team.rank() * outputs + row});
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
  FRUGAL_FN bool aligned(int width) const {
    return reinterpret_cast<std::uintptr_t>(y) % (std::uintptr_t(width) * 4) == 0;
  }
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
  FRUGAL_FN bool aligned(int width) const {
    return reinterpret_cast<std::uintptr_t>(x) % (std::uintptr_t(width) * 4) == 0;
  }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    using V = typename Chunk::value;
    const V d = c.load(sums) * V(factor);
    if constexpr (Add) c.store(x, c.load(x) + d);
    else c.store(x, d);
  }
};

/// A cell of x a team, rows in their order. A lane owns some columns and looks for them in all rows.
template <bool Add>
struct transpose_cells {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes =
      (int(cell_law::most_columns) + 16 + (cell_law::words + cell_law::ready) * int(projection_rows)) * 4;
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
    FRUGAL_FN static bool aligned(int) { return cell_law::wide; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using I = typename Chunk::value::integer;
      const auto p = law.draw(c, made);
      FRUGAL_UNROLL for (int d = 0; d < cell_law::ready; ++d) {
        const I e = p.at[d] << 1 | p.odd[d];
        c.store(to + d * projection_rows, d == 0 ? select(p.rest > I(0), I(-1), e) : e);
      }
    }
  };
  /// Adds v, or -v, to the sums of the columns of one lane.
  struct add_row {
    float* sums;
    index_t begin, end;
    float v;
    FRUGAL_FN void operator()(index_t at, bool odd) const {
      if (at >= begin && at < end) add(at, odd);
    }
    FRUGAL_FN void add(index_t at, std::uint32_t odd) const {
      sums[at] += bit_cast<float>(bit_cast<std::uint32_t>(v) ^ odd << 31);
    }
  };

  index_t teams() const { return cells; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    auto* sums = team.template scratch<float>();  // and a few for what has no place
    auto* made = reinterpret_cast<std::uint32_t*>(sums + cell_law::most_columns + 16);
    auto* listed = reinterpret_cast<std::int32_t*>(made + cell_law::words * projection_rows);
    const index_t cell = team.rank(), at = cell * law.columns();
    const index_t n = inputs - at < law.columns() ? inputs - at : law.columns();
    const index_t share = (n + team.lanes() - 1) / team.lanes(), begin = team.lane() * share;
    const index_t end = begin + share < n ? begin + share : n;
    for (index_t j = begin; j < end; ++j) sums[j] = 0;
    for (index_t row = 0; row < outputs; row += projection_rows) {
      const index_t rows = outputs - row < projection_rows ? outputs - row : projection_rows;
      make_words(law, team, cell, row, rows, made);
      team.template for_values<float>(rows, list_places{law, made, listed});
      team.sync();
      for (index_t r = 0; r < rows; ++r) {
        add_row add{sums, begin, end, y[row + r]};
        if (listed[r] < 0) {
          law.row(std::uint64_t(cell), std::uint64_t(row + r), made + r, add);
        } else {
          FRUGAL_UNROLL for (int d = 0; d < cell_law::ready; ++d) {
            const std::int32_t e = listed[d * projection_rows + r], place = e >> 1;
            if (team.lanes() > 1) add(place, e & 1);
            else add.add(place < n ? place : cell_law::most_columns + d, e & 1);  // no branch: it would be a coin toss
          }
        }
      }
    }
    team.sync();
    team.template for_values<float>(n, put_column<Add>{factor, sums, x + at});
  }
};

/// The same where a word is an entry: a column after the other, and the canonical sum of each run of rows.
template <bool Add>
struct transpose_entries {
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = (int(reduction_slots) + entry_law::words + int(projection_rows)) * 4;
  entry_law law;
  float const* y;
  index_t inputs, outputs, cells;
  float factor;
  float* x;

  struct terms {
    entry_law law;
    float const* y;
    std::uint32_t const* made;
    FRUGAL_FN static float const* contiguous() { return nullptr; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN auto operator()(Chunk c) const {
      using V = typename Chunk::value;
      return law.term(c, c.load(y), V(0.f), made);
    }
  };

  index_t teams() const { return cells; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    auto* sums = team.template scratch<float>() + reduction_slots;  // those before are the canonical sum's
    auto* made = reinterpret_cast<std::uint32_t*>(sums + entry_law::words);
    const index_t cell = team.rank(), at = cell * entry_law::words;
    const index_t n = inputs - at < entry_law::words ? inputs - at : entry_law::words;
    for (int i = 0; i < n; ++i) {
      double sum = 0;
      for (index_t row = 0; row < outputs; row += projection_rows) {
        const index_t rows = outputs - row < projection_rows ? outputs - row : projection_rows;
        team.sync();
        team.words(law.stream, law.direction(std::uint64_t(cell), i), std::uint64_t(row / 4), (rows + 3) / 4, made);
        team.sync();
        sum += double(team.template sum<float>(terms{law, y + row, made}, 0, rows));
      }
      if (team.lane() == 0) sums[i] = float(sum);
    }
    team.sync();
    team.template for_values<float>(n, put_column<Add>{factor, sums, x + at});
  }
};

}  // namespace detail

/// Densities of the papers, as values of s.
inline constexpr double dense_signs = 1;  ///< no zeros: the smallest variance
inline constexpr double achlioptas = 3;   ///< a third of the entries is not zero
inline constexpr double li = 0;           ///< s = sqrt(n): "very sparse"

struct very_sparse_config {
  double s = li;           ///< the inverse of the density, 1 to 2^32; li: the square root of the inputs
  std::uint64_t seed = 0;  ///< of R: the same on all who exchange projections
};

/// Outputs with which the squared distances of N points are kept to within a factor 1 +- eps, all of them with good
/// probability: floor(4 ln N / (eps^2 / 2 - eps^3 / 3)). It does not depend on their dimension.
/// @param N at least 2; @param eps in (0, 1)
inline index_t johnson_lindenstrauss_size(double N, double eps) {
  require(N >= 2 && N <= 1e300, "the number of points", "2 to 1e300", N);
  require(eps > 0 && eps < 1, "eps", "(0, 1)", eps);
  const double k = std::floor(4 * std::log(N) / (eps * eps / 2 - eps * eps * eps / 3));
  require(k >= 1 && k < 0x1p40, "the outputs that eps asks for", "1 to 2^40", k);
  return index_t(k);
}

/// R of one seed, and its products. All memory is allocated by the constructor: 8 * 256 bytes an output at most.
template <team_backend Backend>
class very_sparse {
 public:
  using space = typename Backend::space;

  /// @param inputs n, 1 to 2^40; @param outputs k, 1 to 2^40
  very_sparse(Backend b, index_t inputs, index_t outputs, very_sparse_config c = {})
      : backend_(std::move(b)), inputs_(inputs), outputs_(outputs), seed_(c.seed) {
    require(inputs >= 1 && inputs <= most, "the inputs of a projection", "1 to 2^40", inputs);
    require(outputs >= 1 && outputs <= most, "the outputs of a projection", "1 to 2^40", outputs);
    s_ = c.s == li ? sqrt(exact(double(inputs))).v[0] : c.s;
    require_range("s", s_, 1, 0x1p32, true);
    factor_ = sqrt(exact(s_) / exact(double(outputs))).v[0];
    if (by_entries()) {
      entries_ = {{seed_}, std::int32_t(rounded(exact(0x1p31) / exact(s_)) - 1)};
    } else {
      int bits = 5;
      while (bits < 13 && double(index_t(2) << bits) <= 2 * s_) ++bits;
      table_ = counts(bits, s_);
      table_there_ = buffer<std::int32_t, Backend>(backend_, table_);
      cells_ = {{seed_}, table_there_.data(), bits};
    }
    const index_t columns = by_entries() ? entries_.columns() : cells_.columns();
    count_ = (inputs_ + columns - 1) / columns;
    run_ = (count_ + most_runs - 1) / most_runs;
    runs_ = (count_ + run_ - 1) / run_;
    sums_ = buffer<double, Backend>(backend_, runs_ * outputs_);
  }

  /// y = R x.
  void apply(view<float const, space> x, view<float, space> y) {
    check(x, y);
    if (by_entries()) project(entries_, x.data());
    else project(cells_, x.data());
    backend_.for_each(one_segment(outputs_), detail::project_rows{sums_.data(), runs_, outputs_, factor_, y.data()});
  }
  /// x = scale R' y.
  void apply_transpose(view<float const, space> y, view<float, space> x, double scale = 1) {
    transpose<false>(y, x, scale);
  }
  /// x += scale R' y.
  void add_transpose(view<float const, space> y, view<float, space> x, double scale = 1) {
    transpose<true>(y, x, scale);
  }

  /// Of the entry of R in row r and column j: -1, 0 or 1. On the host, from nothing but the words.
  int sign(index_t r, index_t j) const {
    require(r >= 0 && r < outputs_, "a row of R", detail::text("below ", outputs_), r);
    require(j >= 0 && j < inputs_, "a column of R", detail::text("below ", inputs_), j);
    if (by_entries()) return sign_of(entries_, r, j);
    return sign_of(detail::cell_law{cells_.stream, table_.data(), cells_.bits}, r, j);
  }
  index_t inputs() const { return inputs_; }
  index_t outputs() const { return outputs_; }
  /// The inverse of the density, and what R's signs are multiplied with: sqrt(s / k).
  double s() const { return s_; }
  double factor() const { return factor_; }
  std::uint64_t seed() const { return seed_; }
  Backend const& backend() const { return backend_; }
  /// Bytes that apply() works in.
  std::size_t workspace_bytes() const { return sums_.bytes(); }

 private:
  static constexpr index_t most = index_t(1) << 40, most_runs = 256;
  bool by_entries() const { return s_ < 16; }
  static std::int64_t rounded(exact x) { return std::int64_t((x + exact(0.5)).v[0]); }

  /// T_m - 1, from probabilities that are doubles, every operation of which is rounded once.
  static std::vector<std::int32_t> counts(int bits, double s) {
    const double cell = double(index_t(1) << bits);
    const exact p = exact(1.0) / exact(s), q = exact(1.0) - p, odds = p / q;
    exact chance = q, below(0.0);
    for (int i = 0; i < bits; ++i) chance = chance * chance;
    std::vector<std::int32_t> last;
    for (int m = 0; m < detail::cell_law::table; ++m) {
      below = below + chance;
      last.push_back(std::int32_t(std::min(rounded(below * exact(0x1p31)), std::int64_t(1) << 31) - 1));
      chance = chance * exact(cell - m) / exact(m + 1.0) * odds;
    }
    return last;
  }

  template <class Law>
  static int sign_of(Law const& law, index_t r, index_t j) {
    detail::sign_at here{j % law.columns()};
    law.row(std::uint64_t(j / law.columns()), std::uint64_t(r), here);
    return here.sign;
  }
  void check(view<float const, space> x, view<float const, space> y) {
    require(x.size() == inputs_, "x of a projection", detail::text(inputs_, " elements"), x.size());
    require(y.size() == outputs_, "y of a projection", detail::text(outputs_, " elements"), y.size());
    require(x.data() && y.data(), "x and y of a projection", "pointers", "null");
    overlap_.clear();
    overlap_.add(x.data(), x.size(), true);
    overlap_.add(y.data(), y.size(), true);
    overlap_.refuse_overlap("x and y of a projection");
  }
  template <class Law>
  void project(Law const& law, float const* x) {
    backend_.for_teams(detail::project_cells<Law>{law, x, inputs_, outputs_, count_, run_, sums_.data()});
  }
  template <bool Add>
  void transpose(view<float const, space> y, view<float, space> x, double scale) {
    require_range("the scale of a projection", scale, -1e30, 1e30, true);
    check(x, y);
    const auto factor = float((exact(factor_) * exact(scale)).v[0]);
    if (by_entries())
      backend_.for_teams(
          detail::transpose_entries<Add>{entries_, y.data(), inputs_, outputs_, count_, factor, x.data()});
    else
      backend_.for_teams(detail::transpose_cells<Add>{cells_, y.data(), inputs_, outputs_, count_, factor, x.data()});
  }

  Backend backend_;
  index_t inputs_, outputs_, count_ = 0, run_ = 0, runs_ = 0;  // cells, cells of a run, runs
  std::uint64_t seed_;
  double s_ = 0, factor_ = 0;
  detail::entry_law entries_{};
  detail::cell_law cells_{};
  std::vector<std::int32_t> table_;
  buffer<std::int32_t, Backend> table_there_;
  buffer<double, Backend> sums_;
  detail::overlap_check overlap_{2};
};

}  // namespace v0
}  // namespace frugal
