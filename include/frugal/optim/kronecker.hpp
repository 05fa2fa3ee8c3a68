// SPDX-License-Identifier: Apache-2.0
/// @file What methods with a matrix for each axis of a tensor (SOAP, Shampoo) share: how a tensor is cut into axes and
/// blocks, and the kernels around their products.
#pragma once
#include <algorithm>

#include "../core/moments.hpp"
#include "../linalg/linalg.hpp"

namespace frugal {
inline namespace v0 {

/// Neighbouring axes become one as long as their product stays within the limit, from the left; 0: none do. As in the
/// released code of SOAP: (2, 3, 4) with 6 is (6, 4); an axis above the limit stays as it is.
inline std::vector<index_t> merged_axes(std::vector<index_t> const& shape, index_t limit) {
  if (limit == 0) return shape;
  std::vector<index_t> out;
  index_t run = 1;
  for (index_t s : shape) {
    if (run * s <= limit) {
      run *= s;
    } else if (run > 1) {
      out.push_back(run);
      run = s;
    } else {
      out.push_back(s);
    }
  }
  if (run > 1 || out.empty()) out.push_back(run);
  return out;
}

namespace detail {

/// Which steps a tensor's matrices are made anew in: those whose number is `phase` modulo the frequency. Spread, each
/// next tensor, the most expensive first, goes where the least was to do so far.
inline std::vector<index_t> refresh_phases(std::vector<double> const& cost, index_t frequency, bool spread) {
  std::vector<index_t> phase(cost.size(), 0), order(cost.size());
  if (!spread || frequency == 1) return phase;
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = index_t(i);
  std::sort(order.begin(), order.end(), [&](index_t a, index_t b) {
    const double left = cost[std::size_t(a)], right = cost[std::size_t(b)];
    return left != right ? left > right : a < b;
  });
  const std::size_t places = std::size_t(frequency) < cost.size() ? std::size_t(frequency) : cost.size();
  std::vector<double> load(places, 0);
  for (index_t i : order) {
    const auto least = std::min_element(load.begin(), load.end());
    // Of fewer tensors than steps, each has a step of its own, as far from the others as there is room.
    phase[std::size_t(i)] = (least - load.begin()) * frequency / index_t(places);
    *least += cost[std::size_t(i)];
  }
  return phase;
}

/// A box within a tensor, as rows that lie together; and where it is compact.
struct block_map {
  static constexpr int most_axes = 8;
  int axes = 0;  // but the last
  index_t extent[most_axes] = {}, stride[most_axes] = {};
  index_t first = 0, rows = 1, run = 1;
  FRUGAL_FN index_t at(index_t row) const {
    index_t offset = first;
    FRUGAL_UNROLL for (int a = most_axes - 1; a >= 0; --a) if (a < axes) {
      offset += row % extent[a] * stride[a];
      row /= extent[a];
    }
    return offset;
  }
};
/// A tensor cut into boxes whose axes are at most `most` long, each with a matrix for every axis.
template <class Block, class Matrices>
std::vector<Block> cut(std::string const& name, std::vector<index_t> const& shape, index_t most) {
  const std::size_t axes = shape.size();
  std::vector<index_t> stride(axes, 1), corner(axes, 0);
  for (std::size_t a = axes; a-- > 1;) stride[a - 1] = stride[a] * shape[a];
  bool one = true;
  for (index_t d : shape) one = one && d <= most;
  require(one || axes <= block_map::most_axes + 1, text("the axes of tensor '", name, "', which is cut into blocks"),
          text("at most ", block_map::most_axes + 1), axes);
  std::vector<Block> out;
  for (;;) {
    Block b;
    b.name = name;
    b.size = 1;
    for (std::size_t a = 0; a < axes; ++a) {
      const index_t d = (std::min)(most, shape[a] - corner[a]);
      if (!one) b.name += text(a == 0 ? "[" : ",", corner[a], a + 1 == axes ? "]" : "");
      b.shape.push_back(d);
      b.axes.push_back({index_t(a), d, 0});
      b.size *= d;
      b.map.first += corner[a] * stride[a];
      if (a + 1 == axes) {
        b.map.run = d;
      } else if (!one) {
        b.map.extent[a] = d, b.map.stride[a] = stride[a];
        b.map.rows *= d;
        ++b.map.axes;
      }
    }
    out.push_back(std::move(b));
    std::size_t a = axes;
    while (a-- > 0) {
      if ((corner[a] += most) < shape[a]) break;
      corner[a] = 0;
    }
    if (a >= axes) return out;
  }
}
/// Between a tensor and a block of it: a team a row.
template <class T, bool Take>
struct copy_block {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  block_map map;
  std::conditional_t<Take, T const*, T*> tensor;
  std::conditional_t<Take, T*, T const*> block;

  index_t teams() const { return map.rows; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const auto there = tensor + map.at(team.rank());
    const auto compact = block + team.rank() * map.run;
    for_block<T>(team, 1, map.run, [=](index_t, auto c) {
      if constexpr (Take) c.store(compact, c.load(there));
      else c.store(there, c.load(compact));
    });
  }
};

/// to = factor g, by way of the type that is computed in.
template <class T, class G, class To = T>
struct scaled_gradient {
  using scalar = T;
  G const* g;
  To* to;
  T factor;
  struct bound {
    G const* g;
    To* to;
    T factor;
    bool active = true;
    FRUGAL_FN bool aligned(int width) const { return multiple_of(g, width) && multiple_of(to, width); }
    G const* contiguous() const { return g; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      c.store(to, c.load(g) * V(factor));
    }
  };
  FRUGAL_FN bound bind(segment const&) const { return {g, to, factor}; }
};

/// The moments of a rule, and what it makes of them: rule.along(m, v). g and d may be one.
template <class Rule, class Cell>
struct moments_update {
  using scalar = typename Rule::scalar;
  using T = scalar;
  Rule const* rule;
  T const* g;
  Cell *m, *v;
  T* d;
  struct bound {
    Rule rule;
    T const* g;
    Cell *m, *v;
    T* d;
    bool active = true;
    FRUGAL_FN bool aligned(int width) const {
      return multiple_of(g, width) && multiple_of(m, width) && multiple_of(v, width) && multiple_of(d, width);
    }
    T const* contiguous() const { return g; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      auto m1 = c.load(m), v1 = c.load(v);
      rule.moments(c.load(g), m1, v1);
      c.store(m, m1);
      c.store(v, v1);
      c.store(d, rule.along(m1, v1));
    }
  };
  FRUGAL_FN bound bind(segment const&) const { return {*rule, g, m, v, d}; }
};

/// x along a direction: rule.apply(x, factor d), and the rounding around it. One tensor.
template <class Rule, class Rounding, class P>
struct direction_update {
  using scalar = typename Rule::scalar;
  using T = scalar;
  control<Rule> const* ctl;
  Rule const* rules;
  everywhere where;
  Rounding rounding;
  P* x;
  T const* d;
  T const* factor;  // null: 1

  struct bound {
    Rule rule;
    everywhere where;
    decltype(Rounding().bind({})) rounding;
    P* x;
    T const* d;
    T factor;
    bool active = true;
    FRUGAL_FN bool aligned(int width) const {
      return multiple_of(x, width) && multiple_of(d, width) && rounding.aligned(width);
    }
    P const* contiguous() const { return x; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      const V x0 = c.load(x), kept = rounding.load(c, x0);
      V x1 = rounding.template precise<P>(x0, kept);
      rule.apply(x1, V(factor) * c.load(d));
      c.store(x, rounding.template stored<P>(c, x1));
      rounding.store(c, x1);
    }
  };
  FRUGAL_FN bound bind(segment const& s) const {
    return {rules[s.group], where, rounding.bind(s), x + s.inner, d + s.inner, factor ? *factor : T(1)};
  }
};

/// What a direction is multiplied by: 1 / (its root mean square + 1e-30), or so that its norm is another's.
template <class T>
struct direction_scale {
  double const* of_direction;  // sums of squares
  double const* of_other;      // null: to a root mean square of one
  double count;
  T* to;
  FRUGAL_FN void operator()() const {
    const exact tiny(1e-30), own(*of_direction);
    if (of_other) *to = T((sqrt(exact(*of_other)) / (sqrt(own) + tiny)).v[0]);
    else *to = T((exact(1.0) / (tiny + sqrt(own / exact(count)))).v[0]);
  }
};

/// sum[j] = sum over i of a(i, j) b(i, j), of two matrices without gaps.
template <class T>
struct dots_of_columns {
  static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 16;
  static constexpr index_t share = 64;
  T const *a, *b;
  index_t rows, cols;
  T* sum;
  index_t teams() const { return (cols + share - 1) / share; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t j0 = team.rank() * share, n = cols - j0 < share ? cols - j0 : share, m = rows, ld = cols;
    T const *pa = a + j0, *pb = b + j0;
    T* to = sum + j0;
    for_block<T>(team, 1, n, [=](index_t, auto c) {
      auto s = product_of(c.load(pa), c.load(pb));
      for (index_t i = 1; i < m; ++i) s = add_product(s, c.load(pa + i * ld), c.load(pb + i * ld));
      c.store(to, s);
    });
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
