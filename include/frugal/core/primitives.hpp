// SPDX-License-Identifier: Apache-2.0
/// @file What sorts and selects: `exclusive_scan`, `ordered_select` (scan.hpp), `histogram`, `pair_sort`
/// (histogram.hpp) and `top_k_select`. All of them are exact, hence equal on every backend. They allocate in their
/// constructors; a call does nothing but launches.
#pragma once
#include <cmath>

#include "selection.hpp"

namespace frugal {
inline namespace v0 {

/// The k elements of largest magnitude, and their indices, ascending. Of equal magnitudes the first are taken; a NaN is
/// larger than infinity. Allocates in the constructor (for k = n / 100 a ninth of x, for n / 1000 a fiftieth), does not
/// wait.
template <team_backend Backend>
class top_k_select {
 public:
  using space = typename Backend::space;
  /// @param n the most elements of a call, up to 2^31
  /// @param k how many will be wanted of so many, at most n; where a call wants a larger part, it takes longer
  top_k_select(Backend b, index_t n, index_t k)
      : backend_(b),
        n_(detail::primitive_size(n)),
        room_(room(n, k)),
        now_(b, 1),
        tables_(b, parts(n) * detail::choose_digit::most_bins),
        weights_(b, tiles_of(n) + 1 + detail::scan_scratch(tiles_of(tiles_of(n)))),
        counts_(b, lists(n)),
        at_(b, lists(n) * stride()),
        values_(b, lists(n) * stride()),
        sample_(b, room_ > 0 ? detail::take_sample::size : 0) {}

  /// k is the size of `at` and of `values`; these share no memory with x.
  void operator()(view<float const, space> x, view<std::uint32_t, space> at, view<float, space> values) {
    const index_t n = x.size(), k = at.size();
    detail::require_span("what is to be selected from", x, 0, n_);
    detail::require_span("the indices of a selection", at, 0, n);
    detail::require_span("the values of a selection", values, k, k);
    detail::require_apart("the values of a selection", values, x);
    detail::require_apart("the indices of a selection", at, x);
    detail::require_apart("the indices of a selection", at, values);
    if (k == 0) return;
    detail::candidates all{now_.data(), x.data(), n};
    if (room_ > 0 && by_lists(n, k)) {
      backend_.for_teams(detail::take_sample{x.data(), n, sample_.data()});
      backend_.run(detail::begin_selection{std::uint32_t(rank_in_sample(n, k)), now_.data()});
      find_key({now_.data(), sample_.data(), sample_.size()});
      all = {now_.data(), x.data(), n, stride(), room_, counts_.data(), at_.data(), values_.data()};
      backend_.for_teams(detail::collect_tiles{all, counts_.data(), at_.data(), values_.data()});
      backend_.for_teams(detail::settle{all, std::uint32_t(k), now_.data()});
    } else {
      backend_.run(detail::begin_selection{std::uint32_t(k), now_.data()});
    }
    find_key(all);
    const index_t tiles = tiles_of(n);
    std::uint64_t* const weights = weights_.data();
    backend_.for_teams(detail::tile_totals<detail::weigh_job>{{all}, weights});
    detail::scan(backend_, detail::scan_job<std::uint64_t>{weights, weights, tiles}, weights + tiles + 1,
                 weights + tiles);
    backend_.for_teams(detail::emit_tiles{{all}, weights, at.data(), values.data()});
  }

 private:
  static bool by_lists(index_t n, index_t k) { return n >= 4 * detail::take_sample::size && k <= n / 4; }
  /// A rank in the sample that is very probably (four standard deviations) not above rank k of n.
  static index_t rank_in_sample(index_t n, index_t k) {
    const double expected = double(k) / double(n) * double(detail::take_sample::size);
    return index_t(expected + 4 * std::sqrt(expected) + 4);
  }
  /// Of a list: four times what is expected (a tile has as many elements as the sample), or 2048 more; whole lines.
  static index_t room(index_t n, index_t k) {
    require(k >= 0 && k <= n, "how many are to be selected", detail::text("0 to ", n), k);
    if (!by_lists(n, k)) return 0;
    const index_t expected = rank_in_sample(n, k), more = 3 * expected < 2048 ? 3 * expected : 2048;
    return (expected + more + 15) / 16 * 16;
  }
  static index_t parts(index_t n) { return detail::parts_of(tiles_of(n), detail::choose_digit::most_bins, 16); }
  index_t lists(index_t n) const { return room_ > 0 ? tiles_of(n) : 0; }
  index_t stride() const { return room_ + detail::collect_slack; }

  void find_key(detail::candidates const& all) {
    const index_t p = parts(all.n);
    for (detail::key_digit d : detail::key_digits) {
      backend_.for_teams(
          detail::part_counts<detail::digit_job>{{all, d}, p, (index_t(1) << d.bits) - 1, tables_.data()});
      backend_.for_teams(detail::choose_digit{tables_.data(), p, d, now_.data()});
    }
  }

  Backend backend_;
  index_t n_, room_;
  buffer<detail::selection, Backend> now_;
  buffer<std::uint32_t, Backend> tables_;
  buffer<std::uint64_t, Backend> weights_;
  buffer<std::uint32_t, Backend> counts_, at_;
  buffer<float, Backend> values_, sample_;
};

/// The primitives of a backend: these, unless a specialisation puts a vendor's library in their place.
template <class Backend>
struct primitives {
  template <class T>
  using scan = exclusive_scan<T, Backend>;
  using select = ordered_select<Backend>;
  using sort = pair_sort<Backend>;
  using counts = histogram<Backend>;
  using top_k = top_k_select<Backend>;
};

/// A backend with primitives. An algorithm names them as `typename primitives<Backend>::top_k`.
template <class B>
concept primitive_backend = team_backend<B> &&
    requires(view<std::uint32_t const, typename B::space> in, view<std::uint32_t, typename B::space> out,
             view<float const, typename B::space> x, view<float, typename B::space> values,
             typename primitives<B>::template scan<std::uint32_t>& scan, typename primitives<B>::sort& sort,
             typename primitives<B>::counts& counts, typename primitives<B>::top_k& top_k) {
  scan(in, out);
  { scan.total() } -> std::same_as<view<std::uint32_t const, typename B::space>>;
  sort(out, out);
  counts(in, out);
  top_k(x, out, values);
};

}  // namespace v0
}  // namespace frugal
