// SPDX-License-Identifier: Apache-2.0
/// @file The optimizers that part 1 of the demo compares.
#pragma once
#include "training/mlp.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "training/report.hpp"

namespace bench {

/// Any optimizer of one network, so that one loop trains them all.
class trainer {
 public:
  virtual ~trainer() = default;
  virtual void step(std::vector<float>& weights, std::vector<float> const& gradient, double rate) = 0;
  virtual std::size_t state_bytes() const = 0;
  /// Whether the next step is to know what layers saw; then `see` comes before it, as `mlp::loss` calls it.
  virtual bool watches() const { return false; }
  virtual void see(std::size_t, mlp<float>::batch const&, mlp<float>::matrix const&) {}
};

struct contender {
  std::string name;
  report::look style;
  std::string full;           ///< the one with the same rule and full-precision states; empty for itself
  std::vector<double> tried;  ///< rates of the grid
  double rate;                ///< the best of them: the highest of the schedule
  int states = 0;             ///< of an element, each of
  std::size_t bytes = 0;      ///< so many bytes; both 0 where states are matrices
  std::string rival = {};     ///< of those with matrices: what it shall learn faster than
  std::string source = {};    ///< and who says so
  double state = 0;           ///< bytes of state for a parameter, by the formula
  double operations = 0;      ///< of a step's products, an addition and a multiplication being two
  std::function<std::unique_ptr<trainer>(frugal::layout const&)> make = {};

  bool of_elements() const { return states > 0; }
};

/// The last are for a network of these widths.
std::vector<contender> contenders(std::vector<Eigen::Index> const& widths);

/// Operations of the gradient of a batch.
double gradient_operations(std::vector<Eigen::Index> const& widths, int batch);

}  // namespace bench
