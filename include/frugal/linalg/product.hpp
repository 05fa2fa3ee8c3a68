// SPDX-License-Identifier: Apache-2.0
/// @file Matrix products on the teams of any backend. Element (i, j) is the sum over k, in increasing order, of
/// products that are rounded before they are added: no fused multiply-add, so the bits are those of three nested loops
/// and equal on every backend. Blocks travel through the team's scratch as in Goto and van de Geijn, "Anatomy of
/// High-Performance Matrix Multiplication", ACM TOMS 34(3), 2008.
#pragma once
#include "../core/concepts.hpp"
#include "matrix.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Rows and columns of a factor; run r of a sum begins `run` further, matrix b of a batch `batch` further.
template <class T>
struct factor {
  T const* p;
  index_t ld;
  bool flipped;
  index_t run = 0, batch = 0;
};

/// c = alpha sum_r a_r b_r + beta c for each matrix of a batch; a is m x k, b is k x n. Symmetric: only the lower
/// triangle is computed and, of c, read; both are written. Where beta is 0, c is not read.
template <class T>
struct product_job {
  index_t m = 0, n = 0, k = 0;
  factor<T> a{}, b{};
  T* c = nullptr;
  index_t ldc = 0;
  T alpha = T(1), beta = T(0);
  index_t runs = 1, batch = 1, batch_c = 0;
  bool symmetric = false;
};

template <unsigned>
struct a_constant;
/// A team of one lane, which it says at compile time.
template <class Team>
concept walking_team = requires {
  typename a_constant<Team::lanes()>;
};

// What the bodies of for_block are made of: a lambda cannot tell nvcc, as these do, that on a CPU it is host code.
FRUGAL_GENERIC template <class V, class T>
FRUGAL_FN V spread(T x) {
  return V(x);
}
FRUGAL_GENERIC template <class V, class X>
FRUGAL_FN V product_of(X x, V y) {
  return V(x) * y;
}
FRUGAL_GENERIC template <class V, class X>
FRUGAL_FN V quotient_of(V x, X y) {
  return x / V(y);
}
FRUGAL_GENERIC template <class V, class X>
FRUGAL_FN V add_product(V sum, X x, V y) {
  return sum + V(x) * y;
}
FRUGAL_GENERIC template <class V, class X>
FRUGAL_FN V subtract_product(V sum, X x, V y) {
  return sum - V(x) * y;
}
/// alpha sum + beta old; old is asked for by old() where beta is not 0.
FRUGAL_GENERIC template <class V, class T, class Old>
FRUGAL_FN V blend(T alpha, V sum, T beta, Old const& old) {
  const V v = V(alpha) * sum;
  return beta != T(0) ? add_product(v, beta, old()) : v;
}
/// The first half takes in the second, until one is left.
FRUGAL_GENERIC template <int H, class V, int N>
FRUGAL_FN V halving(V (&s)[N]) {
  FRUGAL_UNROLL for (int k = 0; k < H; ++k) s[k] = s[k] + s[k + H];
  if constexpr (H > 1) return halving<H / 2>(s);
  else return s[0];
}
/// The sum of N rows of p, `stride` apart, by halving.
FRUGAL_GENERIC template <int N, class Chunk, class T>
FRUGAL_FN auto halving_rows(Chunk c, T const* p, index_t stride) {
  typename Chunk::value s[N];
  FRUGAL_UNROLL for (int k = 0; k < N; ++k) s[k] = c.load(p + k * stride);
  return halving<N / 2>(s);
}

/// f(i, chunk of columns) on all of rows x cols: one lane walks along rows, lanes of a GPU take neighbours.
FRUGAL_GENERIC template <class T, class Team, class F>
FRUGAL_FN void for_block(Team const& team, index_t rows, index_t cols, F const& f) {
  if constexpr (walking_team<Team>) {
    using V = typename Team::template value<T>;
    for (index_t i = 0; i < rows; ++i) {
      index_t j = 0;
      for (; j + V::width <= cols; j += V::width) f(i, chunk<V, true>{j, V::width});
      if (j < cols) f(i, chunk<V, false>{j, cols - j});
    }
  } else {
    using V = lanes<T, 1>;
    const unsigned width = unsigned(cols), count = unsigned(rows) * width;
    for (unsigned e = team.lane(); e < count; e += team.lanes())
      f(index_t(e / width), chunk<V, true>{index_t(e % width), 1});
  }
}

/// Rows and packs of columns that one lane keeps in registers: what 16 or 32 of them hold.
template <class V, bool Alone>
struct register_block {
  static constexpr int rows = Alone ? (sizeof(V) == 64 ? 8 : 4) : (sizeof(V) == 16 ? 4 : 2);
  static constexpr int packs = Alone ? 2 : 1;
};

/// A team a tile of c.
template <class T>
struct product_tiles {
  static constexpr unsigned team_threads = 256;
  static constexpr index_t rows = 64, cols = sizeof(T) == 4 ? 64 : 32, depth = 32;
  static constexpr index_t stride = depth + 4;  // of a row of a; two rows of a GPU's lanes meet no common bank
  static constexpr index_t sum_cells = rows * cols, a_cells = rows * stride, b_cells = depth * cols;
  static constexpr int scratch_bytes = int((sum_cells + a_cells + b_cells) * index_t(sizeof(T)));
  product_job<T> job;

  FRUGAL_FN index_t row_tiles() const { return (job.m + rows - 1) / rows; }
  FRUGAL_FN index_t col_tiles() const { return (job.n + cols - 1) / cols; }
  index_t teams() const { return job.batch * row_tiles() * col_tiles(); }

  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t tile = team.rank() % (row_tiles() * col_tiles()), batch = team.rank() / (row_tiles() * col_tiles());
    const index_t i0 = tile / col_tiles() * rows, j0 = tile % col_tiles() * cols;
    if (job.symmetric && j0 >= i0 + rows) return;
    const index_t m = smaller(rows, job.m - i0), n = smaller(cols, job.n - j0);
    T *sum = team.template scratch<T>(), *a = sum + sum_cells, *b = a + a_cells;
    bool first = true;
    for (index_t r = 0; r < job.runs; ++r) {
      T const *pa = job.a.p + batch * job.a.batch + r * job.a.run, *pb = job.b.p + batch * job.b.batch + r * job.b.run;
      for (index_t k0 = 0; k0 < job.k; k0 += depth, first = false) {
        const index_t k = smaller(depth, job.k - k0);
        copy_a(team, pa + i0 * (job.a.flipped ? 1 : job.a.ld) + k0 * (job.a.flipped ? job.a.ld : 1), m, k, a);
        copy_b(team, pb + j0 * (job.b.flipped ? job.b.ld : 1) + k0 * (job.b.flipped ? 1 : job.b.ld), n, k, b);
        team.sync();
        add(team, a, b, m, n, k, first, sum);
        team.sync();
      }
    }
    write(team, job.c + batch * job.batch_c, i0, j0, m, n, first, sum);
  }

 private:
  FRUGAL_FN static index_t smaller(index_t x, index_t y) { return x < y ? x : y; }

  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void copy_a(Team const& team, T const* p, index_t m, index_t k, T* to) const {
    const index_t ld = job.a.ld;
    if (!job.a.flipped)
      for_block<T>(team, m, k, [=](index_t i, auto c) { c.store(to + i * stride, c.load(p + i * ld)); });
    else
      for_block<T>(team, k, m, [=](index_t i, auto c) {
        const auto v = c.load(p + i * ld);
        FRUGAL_UNROLL for (int e = 0; e < decltype(v)::width; ++e) if (e < c.count()) to[(c.at + e) * stride + i] =
            v.v[e];
      });
  }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void copy_b(Team const& team, T const* p, index_t n, index_t k, T* to) const {
    const index_t ld = job.b.ld;
    if (!job.b.flipped)
      for_block<T>(team, k, n, [=](index_t i, auto c) { c.store(to + i * cols, c.load(p + i * ld)); });
    else
      for_block<T>(team, n, k, [=](index_t i, auto c) {
        const auto v = c.load(p + i * ld);
        FRUGAL_UNROLL for (int e = 0; e < decltype(v)::width; ++e) if (e < c.count()) to[(c.at + e) * cols + i] =
            v.v[e];
      });
  }
  /// sum += a b, by blocks that fit registers; what lies outside of m x n is computed from what scratch holds, and
  /// never read.
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN static void add(Team const& team, T const* a, T const* b, index_t m, index_t n, index_t k, bool first,
                            T* sum) {
    using V = typename Team::template value<T>;
    using block = register_block<V, walking_team<Team>>;
    constexpr int R = block::rows, P = block::packs, W = P * V::width;
    const unsigned across = unsigned(n + W - 1) / W, blocks = across * (unsigned(m + R - 1) / R);
    for (unsigned t = team.lane(); t < blocks; t += team.lanes()) {
      T const *pa = a + index_t(t / across) * R * stride, *pb = b + index_t(t % across) * W;
      T* to = sum + index_t(t / across) * R * cols + index_t(t % across) * W;
      V acc[R][P];
      FRUGAL_UNROLL for (int r = 0; r < R; ++r) FRUGAL_UNROLL for (int q = 0; q < P; ++q) acc[r][q] =
          first ? V(T(0)) : V::load(to + r * cols + q * V::width);
      for (index_t i = 0; i < k; ++i) {
        V across_b[P];
        FRUGAL_UNROLL for (int q = 0; q < P; ++q) across_b[q] = V::load(pb + i * cols + q * V::width);
        FRUGAL_UNROLL for (int r = 0; r < R; ++r) {
          const V x(pa[r * stride + i]);
          FRUGAL_UNROLL for (int q = 0; q < P; ++q) acc[r][q] = acc[r][q] + x * across_b[q];
        }
      }
      FRUGAL_UNROLL for (int r = 0; r < R; ++r) FRUGAL_UNROLL for (int q = 0; q < P; ++q) acc[r][q].store(
          to + r * cols + q * V::width);
    }
  }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void write(Team const& team, T* c, index_t i0, index_t j0, index_t m, index_t n, bool nothing,
                       T* sum) const {
    const T alpha = job.alpha, beta = job.beta;
    const index_t ld = job.ldc;
    if (!job.symmetric)
      return for_block<T>(team, m, n, [=](index_t i, auto ch) {
        using V = typename decltype(ch)::value;
        T* to = c + (i0 + i) * ld + j0;
        const V s = nothing ? spread<V>(T(0)) : ch.load(sum + i * cols);
        ch.store(to, blend(alpha, s, beta, [=] { return ch.load(to); }));
      });
    const auto cell = [=](index_t i, index_t j) {
      using one = lanes<T, 1>;
      T *to = c + (i0 + i) * ld + j0 + j, *from = sum + i * cols + j;
      *from = blend(alpha, one(nothing ? T(0) : *from), beta, [=] { return one(*to); }).v[0];
      *to = *from;
    };
    const auto mirror = [=](index_t i, index_t j) { c[(j0 + j) * ld + i0 + i] = sum[i * cols + j]; };
    if constexpr (walking_team<Team>) {  // along rows, both times
      for (index_t i = 0; i < m; ++i)
        for (index_t j = 0; j < n && j0 + j <= i0 + i; ++j) cell(i, j);
      for (index_t j = 0; j < n; ++j)
        for (index_t i = j0 + j > i0 ? j0 + j - i0 : 0; i < m; ++i) mirror(i, j);
    } else {
      for (unsigned e = team.lane(); e < unsigned(m * n); e += team.lanes()) {
        const index_t i = e / unsigned(n), j = e % unsigned(n);
        if (j0 + j > i0 + i) continue;
        cell(i, j);
        mirror(i, j);
      }
    }
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
