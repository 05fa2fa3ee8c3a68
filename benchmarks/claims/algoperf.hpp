// SPDX-License-Identifier: Apache-2.0
/// @file AlgoPerf's points of a search and scores: Dahl et al., "Benchmarking Neural Network Training Algorithms",
/// 2023.
#pragma once
#include <algorithm>
#include <cmath>
#include <frugal/core/random.hpp>
#include <numeric>
#include <utility>
#include <vector>

namespace claims::algoperf {

// ---- points of a search

/// The digits of i behind the point, in reverse, each replaced by another.
inline double radical_inverse(int i, int base, std::vector<int> const& digit) {
  double x = 0, scale = 1;
  for (; i > 0; i /= base) x += digit[std::size_t(i % base)] * (scale /= base);
  return x;
}
/// Coordinate j of point i of a scrambled Halton sequence: digits are permuted but for 0, and all is shifted modulo 1.
inline double halton(std::uint64_t seed, int i, int j) {
  static constexpr int primes[] = {3, 5, 7, 11};
  int const base = primes[j];
  frugal::random_stream const random{seed};
  std::vector<int> digit(static_cast<std::size_t>(base));
  std::iota(digit.begin(), digit.end(), 0);
  for (int k = base - 1; k > 1; --k)
    std::swap(digit[std::size_t(k)],
              digit[1 + frugal::below(random.word(std::uint64_t(j), std::uint64_t(k)), std::uint64_t(k))]);
  double const u = radical_inverse(101 + i, base, digit) + double(frugal::u01(random.word(std::uint64_t(j), 0)));
  return u - std::floor(u);
}

// ---- scores: a row for each submission, a column for each workload

using table = std::vector<std::vector<double>>;

/// Times over the least of a workload; those beyond four are infinite.
inline table ratios(table t) {
  for (std::size_t w = 0; w < t[0].size(); ++w) {
    double least = INFINITY;
    for (auto const& row : t) least = std::min(least, row[w]);
    for (auto& row : t) row[w] = row[w] <= 4 * least && std::isfinite(row[w]) ? row[w] / least : INFINITY;
  }
  return t;
}
/// The performance profile: the share of workloads with a ratio of at most tau.
inline double profile(std::vector<double> const& row, double tau) {
  return double(std::count_if(row.begin(), row.end(), [&](double r) { return r <= tau; })) / double(row.size());
}
/// The mean of the profile from 1 to 4: exactly, or, as their program has it, by trapezoids between 100 points.
inline double score(std::vector<double> const& row) {
  double sum = 0;
  for (double r : row) sum += std::max(0., (4 - r) / 3);
  return sum / double(row.size());
}
inline double score_by_trapezoids(std::vector<double> const& row) {
  double sum = 0;
  for (int k = 0; k < 99; ++k) sum += (profile(row, 1 + k / 33.) + profile(row, 1 + (k + 1) / 33.)) / 2 / 99;
  return sum;
}

}  // namespace claims::algoperf
