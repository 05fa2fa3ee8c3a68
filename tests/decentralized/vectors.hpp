// SPDX-License-Identifier: Apache-2.0
// Vectors of several ranks, and how far they are from their mean.
#pragma once
#include <vector>

#include "support/bits.hpp"

namespace frugal_test {

using vectors = std::vector<std::vector<float>>;  // one each rank

inline std::vector<float> joined(vectors const& all) {
  std::vector<float> out;
  for (auto const& x : all) out.insert(out.end(), x.begin(), x.end());
  return out;
}
inline vectors normal(int ranks, frugal::index_t n, std::uint64_t seed) {
  dice d(seed);
  vectors all(static_cast<std::size_t>(ranks));
  for (auto& x : all)
    for (frugal::index_t i = 0; i < n; ++i) x.push_back(float(d.normal()));
  return all;
}
// The mean of element i, and the squared distances from the means: in double.
inline double mean_of(vectors const& all, std::size_t i) {
  double mean = 0;
  for (auto const& x : all) mean += x[i] / double(all.size());
  return mean;
}
inline double spread(vectors const& all) {
  double sum = 0;
  for (std::size_t i = 0; i < all[0].size(); ++i) {
    const double mean = mean_of(all, i);
    for (auto const& x : all) sum += (x[i] - mean) * (x[i] - mean);
  }
  return sum;
}

}  // namespace frugal_test
