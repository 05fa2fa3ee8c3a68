// SPDX-License-Identifier: Apache-2.0
/// @file What is one pass over a matrix: its product with a vector, its rank-1 update, the order of its columns. Bits
/// are equal on every backend: a row's dot product has 32 running sums (element j is added to sum j mod 32), a column's
/// has 8, and they are added by halving.
#pragma once
#include "product.hpp"

namespace frugal {
inline namespace v0 {

/// A factor known to the host, or one that lies in the backend's memory.
template <class T, class Space = host_space>
struct coefficient {
  T value = T(1);
  T const* at = nullptr;
  coefficient(double v) : value(T(v)) {}
  coefficient(view<T const, Space> one) : at(one.data()) {
    require(one.size() == 1 && at, "a factor in memory", "one element", one.size());
  }
  coefficient(view<T, Space> one) : coefficient(view<T const, Space>(one)) {}
};

namespace detail {

template <class T>
struct scalar_argument {
  T value;
  T const* at;
  FRUGAL_FN T get() const { return at ? *at : value; }
};

/// y = alpha op(a) x + beta y; a is rows x cols as it lies in memory.
template <class T>
struct vector_job {
  T const* a = nullptr;
  index_t rows = 0, cols = 0, ld = 0;
  T const* x = nullptr;
  T* y = nullptr;
  T alpha = T(1), beta = T(0);
};

/// Rows with x: a team some rows.
template <class T>
struct row_dots {
  static constexpr unsigned team_threads = 256;
  static constexpr index_t slots = 32, rows = 8;
  static constexpr int scratch_bytes = int(rows * slots * index_t(sizeof(T)));
  vector_job<T> job;

  index_t teams() const { return (job.rows + rows - 1) / rows; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t i0 = team.rank() * rows, m = job.rows - i0 < rows ? job.rows - i0 : rows, n = job.cols;
    T const *a = job.a + i0 * job.ld, *x = job.x;
    T* part = team.template scratch<T>();
    if constexpr (walking_team<Team>) {
      using V = typename Team::template value<T>;
      constexpr index_t W = V::width, P = slots / W;
      for (index_t i = 0; i < m; ++i, a += job.ld) {
        V sum[P];
        FRUGAL_UNROLL for (index_t q = 0; q < P; ++q) sum[q] = V(T(0));
        index_t j = 0;
        for (; j + slots <= n; j += slots)
          FRUGAL_UNROLL for (index_t q = 0; q < P; ++q) sum[q] =
              sum[q] + V::load(a + j + q * W) * V::load(x + j + q * W);
        for (index_t q = 0; j < n; j += W, ++q) {
          if (n - j >= W) sum[q] = sum[q] + V::load(a + j) * V::load(x + j);
          else sum[q] = sum[q] + V::load(a + j, n - j) * V::load(x + j, n - j);
        }
        FRUGAL_UNROLL for (index_t q = 0; q < P; ++q) sum[q].store(part + i * slots + q * W);
      }
    } else {
      using one = lanes<T, 1>;
      for (unsigned e = team.lane(); e < unsigned(m * slots); e += team.lanes()) {
        const index_t i = index_t(e / slots), s = index_t(e % slots);
        one sum(T(0));
        for (index_t j = s; j < n; j += slots) sum = sum + one(a[i * job.ld + j]) * one(x[j]);
        part[e] = sum.v[0];
      }
    }
    for (index_t h = slots / 2; h > 0; h /= 2) {
      team.sync();
      for (unsigned e = team.lane(); e < unsigned(m * h); e += team.lanes()) {
        T* p = part + index_t(e / unsigned(h)) * slots + index_t(e % unsigned(h));
        p[0] = p[0] + p[h];
      }
    }
    team.sync();
    using one = lanes<T, 1>;
    for (index_t i = team.lane(); i < m; i += team.lanes()) {
      T* y = job.y + i0 + i;
      *y = blend(job.alpha, one(part[i * slots]), job.beta, [=] { return one(*y); }).v[0];
    }
  }
};

/// Columns with x: a team some columns.
template <class T>
struct column_dots {
  static constexpr unsigned team_threads = 256;
  static constexpr index_t slots = 8, cols = 64;
  static constexpr int scratch_bytes = int(cols * slots * index_t(sizeof(T)));
  vector_job<T> job;

  index_t teams() const { return (job.cols + cols - 1) / cols; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t j0 = team.rank() * cols, n = job.cols - j0 < cols ? job.cols - j0 : cols, m = job.rows, ld = job.ld;
    T const *a = job.a + j0, *x = job.x;
    T *part = team.template scratch<T>(), *y = job.y + j0;
    for_block<T>(team, slots, n, [=](index_t s, auto c) {
      using V = typename decltype(c)::value;
      auto sum = spread<V>(T(0));
      for (index_t i = s; i < m; i += slots) sum = add_product(sum, x[i], c.load(a + i * ld));
      c.store(part + s * cols, sum);
    });
    team.sync();
    const T alpha = job.alpha, beta = job.beta;
    for_block<T>(team, 1, n, [=](index_t, auto c) {
      c.store(y, blend(alpha, halving_rows<int(slots)>(c, part, cols), beta, [=] { return c.load(y); }));
    });
  }
};

/// a = alpha (x y^T) + beta a: x_i y_j is rounded first, so that a symmetric matrix stays so.
template <class T>
struct rank_one {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  static constexpr index_t cells = 16384;  // of a team
  T* a;
  index_t rows, cols, ld;
  T const *x, *y;
  scalar_argument<T> alpha, beta;

  FRUGAL_FN index_t rows_of_team() const { return cols >= cells ? 1 : cells / cols; }
  index_t teams() const { return (rows + rows_of_team() - 1) / rows_of_team(); }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t some = rows_of_team(), i0 = team.rank() * some, m = rows - i0 < some ? rows - i0 : some;
    const T al = alpha.get(), be = beta.get();
    T const *px = x + i0, *py = y;
    T* pa = a + i0 * ld;
    const index_t step = ld;
    for_block<T>(team, m, cols, [=](index_t i, auto c) {
      T* p = pa + i * step;
      c.store(p, blend(al, product_of(px[i], c.load(py)), be, [=] { return c.load(p); }));
    });
  }
};

/// Magnitudes and signs as unsigned integers that compare alike: NaNs lie beyond the infinities, zeros are equal.
template <class T>
FRUGAL_FN auto order_key(T x) {
  using U = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr U top = U(1) << (8 * sizeof(T) - 1);
  const U u = bit_cast<U>(T(x + T(0)));
  return U(u & top ? ~u : u | top);
}
/// Where each value comes when all are put in order; of equals, the first is first.
template <class T>
struct sort_order {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  static constexpr index_t share = 256;
  T const* values;
  index_t n;
  bool descending;
  std::uint32_t* order;

  index_t teams() const { return (n + share - 1) / share; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t from = team.rank() * share, to = from + share < n ? from + share : n;
    for (index_t i = from + index_t(team.lane()); i < to; i += index_t(team.lanes())) {
      const auto key = order_key(values[i]);
      std::uint32_t before = 0;
      for (index_t j = 0; j < n; ++j) {
        const auto other = order_key(values[j]);
        before += std::uint32_t(other == key ? j < i : (other < key) != descending);
      }
      order[before] = std::uint32_t(i);
    }
  }
};
/// out[o][j][i] = in[o][order[j]][i].
template <class T>
struct take_places {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T const* in;
  T* out;
  index_t outer, size, inner, ld_in, ld_out;  // ld: from one o to the next
  std::uint32_t const* order;

  index_t teams() const { return inner == 1 ? outer : outer * size; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    if (inner == 1) {
      T const* from = in + team.rank() * ld_in;
      T* to = out + team.rank() * ld_out;
      for (index_t j = team.lane(); j < size; j += team.lanes()) to[j] = from[order[j]];
    } else {
      const index_t o = team.rank() / size, j = team.rank() % size;
      T const* from = in + o * ld_in + index_t(order[j]) * inner;
      T* to = out + o * ld_out + j * inner;
      for_block<T>(team, 1, inner, [=](index_t, auto c) { c.store(to, c.load(from)); });
    }
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
