// SPDX-License-Identifier: Apache-2.0
/// @file Sparse random projections: Achlioptas, "Database-friendly random projections: Johnson-Lindenstrauss with
/// binary coins", J. Comput. Syst. Sci. 66, 2003; Li, Hastie, Church, "Very sparse random projections", KDD 2006.
///
///     R_rj = sqrt(s / k) { +1 with probability 1 / 2s, -1 with 1 / 2s, else 0 }      k x n, independent
///     y = R x,    x^ = R' y,    E R'R = I
///
/// R is not stored: sparse_signs.hpp has its entries, whatever n and k.
#pragma once
#include <cmath>

#include "../core/buffer.hpp"
#include "../core/overlap.hpp"
#include "sparse_products.hpp"

namespace frugal {
inline namespace v0 {

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
    index_t columns = detail::project_entries::tile;
    if (by_entries()) {
      entries_ = {seed_, s_};
    } else {
      table_ = detail::cell_law::counts(s_);
      table_there_ = buffer<std::int32_t, Backend>(backend_, table_);
      cells_ = {{seed_}, table_there_.data(), detail::cell_law::bits_of(s_)};
      columns = cells_.columns();
    }
    count_ = (inputs_ + columns - 1) / columns;
    run_ = (count_ + most_runs - 1) / most_runs;
    runs_ = (count_ + run_ - 1) / run_;
    sums_ = buffer<double, Backend>(backend_, runs_ * outputs_);
  }

  /// y = R x.
  void apply(view<float const, space> x, view<float, space> y) {
    check(x, y);
    if (by_entries())
      backend_.for_teams(detail::project_entries{entries_, x.data(), inputs_, outputs_, count_, run_, sums_.data()});
    else backend_.for_teams(detail::project_cells{cells_, x.data(), inputs_, outputs_, count_, run_, sums_.data()});
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

  /// Another R of the same shape and density, of one seed a step for instance. Allocates nothing.
  void reseed(std::uint64_t seed) { seed_ = entries_.stream.seed = cells_.stream.seed = seed; }

  /// Of the entry of R in row r and column j: -1, 0 or 1. On the host, from nothing but the words.
  int sign(index_t r, index_t j) const {
    require(r >= 0 && r < outputs_, "a row of R", detail::text("below ", outputs_), r);
    require(j >= 0 && j < inputs_, "a column of R", detail::text("below ", inputs_), j);
    if (by_entries()) return entries_.sign(r, j);
    return detail::cell_law{cells_.stream, table_.data(), cells_.bits}.sign(r, j);
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
  void check(view<float const, space> x, view<float const, space> y) {
    require(x.size() == inputs_, "x of a projection", detail::text(inputs_, " elements"), x.size());
    require(y.size() == outputs_, "y of a projection", detail::text(outputs_, " elements"), y.size());
    require(x.data() && y.data(), "x and y of a projection", "pointers", "null");
    overlap_.clear();
    overlap_.add(x.data(), x.size(), true);
    overlap_.add(y.data(), y.size(), true);
    overlap_.refuse_overlap("x and y of a projection");
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
  index_t inputs_, outputs_, count_ = 0, run_ = 0, runs_ = 0;  // cells or tiles, those of a run, runs
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
