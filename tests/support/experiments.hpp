// SPDX-License-Identifier: Apache-2.0
// Small problems whose solution is known on paper, for optimizers in double.
#pragma once
#include "driver.hpp"

namespace frugal_test {

// x after every step under one gradient that never changes: x(0), x(1), ... x(steps).
inline std::vector<std::vector<double>> under_constant_gradient(std::unique_ptr<driver<double>> const& d,
                                                                std::vector<double> const& g, int steps) {
  std::vector<std::vector<double>> x{d->x()};
  for (int t = 0; t < steps; ++t) {
    d->step(g);
    x.push_back(d->x());
  }
  return x;
}

// |x| after each step on the sum of h x^2 / 2, the largest coordinate.
template <class Before>
std::vector<double> on_quadratic(std::unique_ptr<driver<double>> const& d, std::vector<double> const& h, int steps,
                                 Before const& before) {
  std::vector<double> size, g(h.size());
  for (int t = 1; t <= steps; ++t) {
    const auto x = d->x();
    for (std::size_t i = 0; i < h.size(); ++i) g[i] = h[i] * x[i];
    before(t);
    d->step(g);
    double largest = 0;
    for (double v : d->x()) largest = std::max(largest, std::abs(v));
    size.push_back(largest);
  }
  return size;
}

// With decoupled decay and steps of lr sign(g), x + sign(g) / decay shrinks by (1 - lr decay) each step.
inline void expect_decay_to_the_box(std::vector<std::vector<double>> const& x, std::vector<double> const& g, double lr,
                                    double decay) {
  for (std::size_t t = 0; t < x.size(); ++t)
    for (std::size_t i = 0; i < g.size(); ++i) {
      const double edge = (g[i] > 0 ? 1 : -1) / decay;
      ASSERT_NEAR(x[t][i] + edge, std::pow(1 - lr * decay, double(t)) * (x[0][i] + edge), 1e-11 * std::abs(edge)) << t;
    }
}

}  // namespace frugal_test
