// SPDX-License-Identifier: Apache-2.0
/// @file Gradient scaling of shared parameters: Desai, Shrivastava, "In defense of parameter sharing for
/// model-compression", ICLR 2024 (STABLE-RPS).
#pragma once
#include "cyclic_fold.hpp"

namespace frugal {
inline namespace v0 {

/// What a slot's gradient is divided by: Gamma, from the count c of its weights and their scales. v1 to v5 as in the
/// authors' program; a slot without weights has 1.
enum class gradient_scaling {
  none,  ///< 1: the plain derivative
  v1,    ///< (sum of lambda)^2 / (c + count_epsilon): W moves by the mean of its slot, whatever the spread
  v2,    ///< sum of lambda
  v3,    ///< (sum of lambda) / (c + count_epsilon)
  v4,    ///< sqrt(sum of lambda^2)
  v5     ///< sum of lambda^2
};

namespace detail {

/// Gamma, and what is added to it, in double, rounded once.
template <class T>
struct roast_gamma {
  static constexpr index_t block = 1024;
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 2 * int(block) * int(sizeof(double));
  cyclic_fold map;
  tensor_table tensors;
  T const* lambda;
  gradient_scaling scaling;
  double count_epsilon, epsilon;
  T* gamma;

  struct add {
    double x;
    double* sum;
    double* count;
    FRUGAL_FN bool aligned(int) const { return false; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      c.store(sum, c.load(sum) + V(x));
      c.store(count, c.load(count) + V(1.0));
    }
  };
  struct finish {
    gradient_scaling scaling;
    double count_epsilon, epsilon;
    double const* sum;
    double const* count;
    T* gamma;
    FRUGAL_FN bool aligned(int) const { return false; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      using mode = gradient_scaling;
      const V n = c.load(count), s = c.load(sum);
      V v = scaling == mode::v1 ? s * s : s;
      if (scaling == mode::v1 || scaling == mode::v3) v = v / (n + V(count_epsilon));
      if (scaling == mode::v4) v = sqrt(v);
      c.store(gamma, select(n > V(0.0), v + V(epsilon), V(1.0)));
    }
  };
  index_t teams() const { return (map.slots + block - 1) / block; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t first = team.rank() * block, left = map.slots - first, size = left < block ? left : block;
    const bool squared = scaling == gradient_scaling::v4 || scaling == gradient_scaling::v5;
    double* sum = team.template scratch<double>();
    team.template for_values<double>(2 * block, set_all<double>{sum, 0.0});
    team.sync();
    for (index_t piece = 0; piece * map.slots < map.weights; ++piece) {
      const turned_piece p(map, piece, first);
      for (index_t at = 0, n; at < size; at += n) {
        const index_t weight = p.weight(at), run = p.run(at);
        n = run < size - at ? run : size - at;
        if (weight >= map.weights) continue;
        const segment seg = tensors.of(weight);
        n = seg.flat + seg.size - weight < n ? seg.flat + seg.size - weight : n;
        const double x = double(lambda[seg.tensor]);
        team.template for_values<double>(n, add{squared ? product(x, x) : x, sum + at, sum + at + block});
      }
      team.sync();
    }
    team.template for_values<double>(size, finish{scaling, count_epsilon, epsilon, sum, sum + block, gamma + first});
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
