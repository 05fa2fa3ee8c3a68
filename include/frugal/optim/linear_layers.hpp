// SPDX-License-Identifier: Apache-2.0
/// @file Linear layers of a layout, and what is computed for them one by one: for optim/layerwise.hpp.
#pragma once
#include "../core/layout.hpp"
#include "../core/reduce.hpp"
#include "../linalg/linalg.hpp"

namespace frugal {
inline namespace v0 {

/// y = W a + b: the names of a weight (o x i; of more axes, those after the first are taken together) and of a bias of
/// o elements, or none.
struct linear_layer {
  std::string weight, bias = {};
};
/// The policy that names the layers. Without names: all tensors of a layout that have two axes or more, are not frozen
/// and have no side above `max_side`; with "fc.weight" goes "fc.bias", of any shape, unless it is frozen. A bias is no
/// layer of its own.
struct linear_layers {
  std::vector<linear_layer> named = {};
  index_t max_side = 8192;
};

namespace detail {

/// A layer in its place: tensors of the layout, and its sides. Side 2 l is that of layer l's inputs, 2 l + 1 that of
/// its outputs.
struct layer_place {
  std::size_t weight, bias;  // bias: the weight again if there is none
  index_t out, in;
  bool biased() const { return bias != weight; }
  index_t inputs() const { return in + biased(); }
};
inline std::vector<layer_place> places_of(layout const& l, linear_layers const& which) {
  std::vector<tensor> const& all = l.tensors();
  const auto find = [&](std::string const& name) {
    std::size_t i = 0;
    while (i < all.size() && all[i].name != name) ++i;
    return i;
  };
  const auto place = [&](std::size_t w, std::size_t b) {
    const index_t out = all[w].shape[0];
    return layer_place{w, b, out, out > 0 ? all[w].size / out : 0};
  };
  const auto matrix = [&](std::size_t i) { return all[i].shape.size() >= 2 && all[i].size > 0; };
  std::vector<layer_place> to;
  std::vector<bool> taken(all.size());
  const auto take = [&](std::size_t i) {
    require(!taken[i], "a tensor of the layers", "one layer's", all[i].name);
    taken[i] = true;
  };
  for (linear_layer const& one : which.named) {
    const std::size_t w = find(one.weight), b = one.bias.empty() ? w : find(one.bias);
    require(w < all.size() && b < all.size(), "a layer's tensor", "one of the layout's",
            w < all.size() ? one.bias : one.weight);
    require(matrix(w), "the weight of a layer", "two axes or more, and elements", one.weight);
    require(b == w || all[b].size == all[w].shape[0], "the size of a layer's bias", all[w].shape[0], all[b].size);
    take(w);
    if (b != w) take(b);
    to.push_back(place(w, b));
  }
  std::vector<std::size_t> bias(which.named.empty() ? all.size() : 0);
  const auto frozen = [&](std::size_t i) { return l.groups()[std::size_t(all[i].group)].frozen; };
  for (std::size_t w = 0; w < bias.size(); ++w) {
    std::string const& name = all[w].name;
    bias[w] = w;
    if (!matrix(w) || !name.ends_with("weight")) continue;
    const std::size_t b = find(name.substr(0, name.size() - 6) + "bias");
    if (b < all.size() && all[b].size == all[w].shape[0]) taken[bias[w] = b] = true;
  }
  for (std::size_t w = 0; w < bias.size(); ++w) {
    if (!matrix(w) || taken[w] || frozen(w)) continue;
    const layer_place p = place(w, frozen(bias[w]) ? w : bias[w]);
    if ((std::max)(p.out, p.inputs()) <= which.max_side) to.push_back(p);
  }
  require(!to.empty(), "the layers", "at least one, of a tensor with two axes", "none");
  return to;
}

FRUGAL_GENERIC template <class V, class T>
FRUGAL_FN V add_clipped(V sum, T scale, V x, T clip) {
  const V s = V(scale) * x, most(clip), least(-clip);
  return sum + select(s > most, most, select(s < least, least, s));  // a NaN goes on
}
/// to_j = beta to_j + alpha times the sum over rows of a_ij, scaled and clipped; for a bias one more, of ones. Sums as
/// in column_dots (linalg/vectors.hpp).
template <class T>
struct clipped_sums {
  static constexpr unsigned team_threads = 256;
  static constexpr index_t slots = 8, cols = 64;
  static constexpr int scratch_bytes = int(cols * slots * index_t(sizeof(T)));
  T const* a;
  index_t rows, n, ld;
  T scale, clip, alpha, beta;
  T* to;
  bool bias;

  index_t teams() const { return (n + cols - 1) / cols; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t j0 = team.rank() * cols, m = n - j0 < cols ? n - j0 : cols, b = rows, step = ld;
    T const* p = a + j0;
    T *part = team.template scratch<T>(), *y = to + j0;
    const T s = scale, most = clip, al = alpha, be = beta;
    for_block<T>(team, slots, m, [=](index_t k, auto c) {
      using V = typename decltype(c)::value;
      auto sum = spread<V>(T(0));
      for (index_t i = k; i < b; i += slots) sum = add_clipped(sum, s, c.load(p + i * step), most);
      c.store(part + k * cols, sum);
    });
    team.sync();
    for_block<T>(team, 1, m, [=](index_t, auto c) {
      c.store(y, blend(al, halving_rows<int(slots)>(c, part, cols), be, [=] { return c.load(y); }));
    });
    using one = lanes<T, 1>;
    if (bias && team.rank() == 0 && team.lane() == 0) {
      const one each = smaller(one(scale), one(clip)) * (one(alpha) * one(T(rows)));
      to[n] = (beta == T(0) ? each : each + one(beta) * one(to[n])).v[0];
    }
  }
};
/// The identity, or a multiple of it that is added: factor, or what lies at it.
template <class T>
struct add_identity {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T* a;
  index_t n;
  scalar_argument<T> factor;
  index_t teams() const { return 1; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const T f = factor.get();
    if (f == T(0)) return;
    for (index_t i = team.lane(); i < n; i += team.lanes()) a[i * n + i] = a[i * n + i] + f;
  }
};
/// to = factor from, in another type perhaps; nothing where the factor is not positive and finite.
template <class T, class From, class To>
struct copy_scaled {
  using scalar = T;
  From const* from;
  To* to;
  T const* factor;  // null: 1

  struct bound {
    From const* from;
    To* to;
    T factor;
    bool scaled, active;
    FRUGAL_FN bool aligned(int width) const { return multiple_of(from, width) && multiple_of(to, width); }
    To const* contiguous() const { return to; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      const V x = c.load(from);
      c.store(to, scaled ? V(factor) * x : x);
    }
  };
  FRUGAL_FN bound bind(segment const& s) const {
    const T f = factor ? *factor : T(1);
    return {from + s.slot, to + s.slot, f, factor != nullptr, f > T(0) && f - f == T(0)};
  }
};
/// From the sums of squares of a layer's parts, before and after, the ratio of the sums of their norms; without a bias
/// its sums are null.
template <class T>
struct norm_ratio {
  double const *weight, *bias, *new_weight, *new_bias;
  T* to;
  FRUGAL_FN static exact norm(double const* a, double const* b) {
    const exact r = sqrt(exact(*a));
    return b ? r + sqrt(exact(*b)) : r;
  }
  FRUGAL_FN void operator()() const { *to = T((norm(weight, bias) / norm(new_weight, new_bias)).v[0]); }
};

}  // namespace detail

}  // namespace v0
}  // namespace frugal
