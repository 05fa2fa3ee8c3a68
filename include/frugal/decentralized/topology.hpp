// SPDX-License-Identifier: Apache-2.0
/// @file Graphs of ranks: who talks to whom. What weight a neighbour gets is decentralized/weights.hpp's.
///
/// One-peer exponential graphs: Ying, Yuan, Chen, Hu, Pan, Yin, "Exponential Graph is Provably Efficient for
/// Decentralized Deep Training", NeurIPS 2021. Random regular graphs: pairing with a second chance for unsuitable
/// pairs, Steger, Wormald, "Generating random regular graphs quickly", Comb. Probab. Comput. 8, 1999.
#pragma once
#include <algorithm>
#include <vector>

#include "../core/error.hpp"
#include "../core/random.hpp"
#include "../core/value.hpp"

namespace frugal {
inline namespace v0 {

/// From one rank to another; in an undirected graph both ways, and `from` < `to`.
struct edge {
  int from, to;
  // By hand: nvcc's host pass loses a defaulted comparison.
  friend bool operator==(edge const& a, edge const& b) { return a.from == b.from && a.to == b.to; }
  friend bool operator<(edge const& a, edge const& b) { return a.from != b.from ? a.from < b.from : a.to < b.to; }
};

/// A graph of the ranks 0 ... size() - 1: no loops, every edge once, connected (a directed one strongly; a step of
/// one_peer_exponential need not be). A rank alone is custom(1, {}).
class topology {
 public:
  // ---- undirected ----
  static topology ring(int n) {  // n >= 3
    at_least("the ranks of a ring", n, 3);
    std::vector<edge> e;
    for (int i = 0; i < n; ++i) e.push_back({i, (i + 1) % n});
    return custom(n, std::move(e));
  }
  static topology path(int n) { return grid(1, at_least("the ranks of a path", n, 2)); }
  static topology star(int n) {  // rank 0 is the hub
    at_least("the ranks of a star", n, 2);
    std::vector<edge> e;
    for (int i = 1; i < n; ++i) e.push_back({0, i});
    return custom(n, std::move(e));
  }
  static topology complete(int n) {
    return from_pairs(at_least("the ranks of a complete graph", n, 2), [](int, int, index_t) { return true; });
  }
  /// Rank row * columns + column; at least two ranks.
  static topology grid(int rows, int columns) { return lattice(rows, columns, false); }
  /// The same, wrapped around; a side of 2 has one edge between its ends, a side of 1 none.
  static topology torus(int rows, int columns) { return lattice(rows, columns, true); }
  /// 2^m ranks, neighbours in one bit.
  static topology hypercube(int m) {
    require(m >= 1 && m <= 20, "the dimension of a hypercube", "1 to 20", m);
    std::vector<edge> e;
    for (int i = 0; i < 1 << m; ++i)
      for (int k = 0; k < m; ++k) e.push_back({i, i ^ 1 << k});
    return custom(1 << m, std::move(e));
  }
  /// Neighbours at the distances 1, 2, 4, ... <= n - 1, both ways.
  static topology exponential(int n) {
    at_least("the ranks of an exponential graph", n, 2);
    std::vector<edge> e;
    for (int i = 0; i < n; ++i)
      for (int hop = 1; hop <= n - 1; hop *= 2) e.push_back({i, (i + hop) % n});
    return custom(n, std::move(e));
  }
  /// Two complete graphs of m ranks, and an edge from rank m - 1 to rank m.
  static topology barbell(int m) {
    at_least("half of a barbell", m, 2);
    return from_pairs(2 * m, [m](int i, int j, index_t) { return (i < m) == (j < m) || (i == m - 1 && j == m); });
  }
  /// Any edges, in any order and either way round.
  static topology custom(int n, std::vector<edge> edges) {
    for (edge& e : edges)
      if (e.from > e.to) std::swap(e.from, e.to);
    return topology(n, std::move(edges), false).connected();
  }

  // ---- random, drawn again until connected: try t uses direction t of the seed, `word(t, j)` in increasing j ----
  /// Every pair with probability p: pair k, in the order (0, 1), (0, 2) ... (1, 2) ..., if u01 of words 2k, 2k + 1 is
  /// below p.
  static topology erdos_renyi(int n, double p, std::uint64_t seed) {
    at_least("the ranks of a random graph", n, 2);
    require(p > 0 && p <= 1, "the probability of an edge", "(0, 1]", p);
    return until_connected("a random graph", seed, [=](random_stream words, std::uint64_t t) {
      return pairs(n, [&](int, int, index_t k) { return uniform(words, t, std::uint64_t(k)) < p; });
    });
  }
  /// Ranks at random in the unit square (u01 of words 4i, 4i + 1 and 4i + 2, 4i + 3), joined up to the distance r.
  static topology geometric(int n, double r, std::uint64_t seed) {
    at_least("the ranks of a random geometric graph", n, 2);
    require(r > 0 && r < 1e9, "the radius of a random geometric graph", "a positive number", r);
    return until_connected("a random geometric graph", seed, [=](random_stream words, std::uint64_t t) {
      std::vector<double> at;
      for (int k = 0; k < 2 * n; ++k) at.push_back(uniform(words, t, std::uint64_t(k)));
      return pairs(n, [&](int i, int j, index_t) {
        const exact x = exact(at[std::size_t(2 * i)]) - exact(at[std::size_t(2 * j)]);
        const exact y = exact(at[std::size_t(2 * i) + 1]) - exact(at[std::size_t(2 * j) + 1]);
        return (x * x + y * y).v[0] <= (exact(r) * exact(r)).v[0];
      });
    });
  }
  /// Every rank with `degree` neighbours, 1 <= degree < n, n degree even. A degree above (n - 1) / 2 gives the
  /// complement of a graph of degree n - 1 - degree.
  static topology regular(int n, int degree, std::uint64_t seed) {
    at_least("the ranks of a regular graph", n, 2);
    require(degree >= 1 && degree < n, "the degree of a regular graph", detail::text("1 to ", n - 1), degree);
    require(n % 2 == 0 || degree % 2 == 0, "the degree of a regular graph of an odd number of ranks", "even", degree);
    return until_connected("a regular graph", seed, [=](random_stream words, std::uint64_t t) {
      const bool sparse = 2 * degree <= n - 1;
      topology g = matching(n, sparse ? degree : n - 1 - degree, words, t);
      if (sparse || g.size() == 0) return g;
      return pairs(n, [&](int i, int j, index_t) { return !g.joined(i, j); });
    });
  }

  // ---- directed ----
  /// To the ranks 1, 2, 4, ... 2^(tau - 1) further on, tau = ceil(log2 n).
  static topology directed_exponential(int n) {
    at_least("the ranks of an exponential graph", n, 2);
    std::vector<edge> e;
    for (int i = 0; i < n; ++i)
      for (int k = 0; k < steps_of(n); ++k) e.push_back({i, (i + (1 << k)) % n});
    return directed(n, std::move(e));
  }
  /// Step t of the sequence that takes one of those edges at a time: to the rank 2^(t mod tau) further on.
  static topology one_peer_exponential(int n, int t) {
    at_least("the ranks of an exponential graph", n, 2);
    require(t >= 0, "a step of an exponential graph", ">= 0", t);
    std::vector<edge> e;
    for (int i = 0; i < n; ++i) e.push_back({i, (i + (1 << t % steps_of(n))) % n});
    return topology(n, std::move(e), true);
  }
  static topology directed(int n, std::vector<edge> edges) { return topology(n, std::move(edges), true).connected(); }
  /// How many steps one_peer_exponential has before it repeats: ceil(log2 n).
  static int steps_of(int n) {
    int tau = 0;
    while (1 << tau < n) ++tau;
    return tau;
  }

  int size() const { return int(out_.size()); }
  bool is_directed() const { return directed_; }
  /// Sorted.
  std::vector<edge> const& edges() const { return edges_; }
  /// Whom rank i sends to, and from whom it receives, ascending; the same in an undirected graph.
  std::vector<int> const& neighbours(int i) const { return out_[checked(i)]; }
  std::vector<int> const& sources(int i) const { return directed_ ? in_[checked(i)] : neighbours(i); }
  int degree(int i) const { return int(neighbours(i).size()); }

 private:
  topology() = default;
  topology(int n, std::vector<edge> edges, bool directed) : directed_(directed), edges_(std::move(edges)) {
    require(n >= 1 && n <= 1 << 20, "the ranks of a graph", "1 to 2^20", n);
    out_.resize(std::size_t(n));
    in_.resize(std::size_t(directed ? n : 0));
    std::sort(edges_.begin(), edges_.end());
    edges_.erase(std::unique(edges_.begin(), edges_.end()), edges_.end());
    for (edge const& e : edges_) {
      if (e.from < 0 || e.to < 0 || e.from >= n || e.to >= n)
        refuse("an edge", detail::text("ranks 0 to ", n - 1), detail::text(e.from, " to ", e.to));
      if (e.from == e.to) refuse("an edge", "two ranks", detail::text(e.from, " twice"));
      out_[std::size_t(e.from)].push_back(e.to);
      (directed ? in_ : out_)[std::size_t(e.to)].push_back(e.from);
    }
    for (auto& list : out_) std::sort(list.begin(), list.end());
    for (auto& list : in_) std::sort(list.begin(), list.end());
  }
  static int at_least(char const* what, int n, int least) {
    require(n >= least, what, detail::text("at least ", least), n);
    return n;
  }
  std::size_t checked(int i) const {
    if (i < 0 || i >= size()) refuse("a rank", detail::text("0 to ", size() - 1), detail::text(i));
    return std::size_t(i);
  }
  bool joined(int i, int j) const {
    auto const& list = out_[std::size_t(i)];
    return std::find(list.begin(), list.end(), j) != list.end();
  }
  /// A rank that cannot be reached from rank 0 along the edges (or against them); -1 if there is none.
  int unreached(std::vector<std::vector<int>> const& next) const {
    std::vector<bool> seen(next.size());
    std::vector<int> open{0};  // seen, and their neighbours not yet
    seen[0] = true;
    while (!open.empty()) {
      const int i = open.back();
      open.pop_back();
      for (int j : next[std::size_t(i)])
        if (!seen[std::size_t(j)]) seen[std::size_t(j)] = true, open.push_back(j);
    }
    const auto it = std::find(seen.begin(), seen.end(), false);
    return it == seen.end() ? -1 : int(it - seen.begin());
  }
  int unreached() const {
    const int i = unreached(out_);
    return i < 0 && directed_ ? unreached(in_) : i;
  }
  topology connected() && {
    if (const int i = unreached(); i >= 0)
      refuse("a graph", directed_ ? "strongly connected" : "connected", detail::text("no way between 0 and ", i));
    return std::move(*this);
  }

  template <class F>
  static topology pairs(int n, F const& wanted) {
    std::vector<edge> e;
    index_t k = 0;
    for (int i = 0; i < n; ++i)
      for (int j = i + 1; j < n; ++j)
        if (wanted(i, j, k++)) e.push_back({i, j});
    return topology(n, std::move(e), false);
  }
  template <class F>
  static topology from_pairs(int n, F const& wanted) {
    return pairs(n, wanted).connected();
  }
  static topology lattice(int rows, int columns, bool wraps) {
    require(rows >= 1 && columns >= 1 && rows <= 1 << 20 && columns <= 1 << 20 && index_t(rows) * columns >= 2 &&
                index_t(rows) * columns <= 1 << 20,
            "rows and columns of a grid", "at least 1 each, 2 to 2^20 ranks", detail::text(rows, " and ", columns));
    std::vector<edge> e;
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < columns; ++c) {
        const int right = wraps ? (c + 1) % columns : c + 1, down = wraps ? (r + 1) % rows : r + 1;
        if (right != c && right < columns) e.push_back({r * columns + c, r * columns + right});
        if (down != r && down < rows) e.push_back({r * columns + c, down * columns + c});
      }
    return custom(rows * columns, std::move(e));
  }
  static double uniform(random_stream words, std::uint64_t t, std::uint64_t k) {
    return u01(words.word(t, 2 * k), words.word(t, 2 * k + 1));
  }
  template <class Draw>
  static topology until_connected(char const* what, std::uint64_t seed, Draw const& draw) {
    constexpr int tries = 1000;
    for (int t = 0; t < tries; ++t)
      if (topology g = draw(random_stream{seed}, std::uint64_t(t)); g.size() > 0 && g.unreached() < 0) return g;
    refuse(what, "connected in one of 1000 tries", "none that is");
  }
  /// Pairs of a shuffled list of all ends; ends of unsuitable pairs are shuffled again, until none is left. No rank at
  /// all when it gets stuck.
  static topology matching(int n, int degree, random_stream words, std::uint64_t t) {
    std::vector<int> pool;
    for (int i = 0; i < n * degree; ++i) pool.push_back(i / degree);
    topology g(n, {}, false);
    for (std::uint64_t used = 0; !pool.empty();) {
      for (std::size_t k = pool.size() - 1; k > 0; --k) std::swap(pool[k], pool[below(words.word(t, used++), k + 1)]);
      std::vector<int> rest;
      for (std::size_t k = 0; k < pool.size(); k += 2) {
        const int i = (std::min)(pool[k], pool[k + 1]), j = (std::max)(pool[k], pool[k + 1]);
        if (i == j || g.joined(i, j)) {
          rest.push_back(pool[k]), rest.push_back(pool[k + 1]);
        } else {
          g.out_[std::size_t(i)].push_back(j), g.out_[std::size_t(j)].push_back(i);
          g.edges_.push_back({i, j});
        }
      }
      pool = std::move(rest);
      const auto free = [&](int i) {
        return std::any_of(pool.begin(), pool.end(), [&](int j) { return i != j && !g.joined(i, j); });
      };
      if (!pool.empty() && std::none_of(pool.begin(), pool.end(), free)) return {};
    }
    return topology(n, std::move(g.edges_), false);
  }

  bool directed_ = false;
  std::vector<edge> edges_;
  std::vector<std::vector<int>> out_, in_;
};

}  // namespace v0
}  // namespace frugal
