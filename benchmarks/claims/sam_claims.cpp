// SPDX-License-Identifier: Apache-2.0
/// @file SAM on f(a, b) = (a b - 1)^2 / 2: all of a b = 1 are minima, of sharpness a^2 + b^2, of which 2 is the least.
#include <frugal/backend/serial.hpp>
#include <frugal/optim/momentum.hpp>
#include <frugal/optim/sam.hpp>

#include "claims/claims.hpp"

namespace {

double sharpness(double rho, int steps) {
  std::vector<double> x{3, 0.5}, g(2);
  frugal::sam opt(frugal::momentum(frugal::serial_backend(), 2, {.lr = 0.01, .momentum = 0}, frugal::types<double>{}),
                  {.rho = rho});
  for (int t = 0; t < steps; ++t)
    opt.step(x, g, [&] {
      double const r = x[0] * x[1] - 1;
      g = {r * x[1], r * x[0]};
    });
  return x[0] * x[0] + x[1] * x[1];
}

claims::claim const registered("sam", [](claims::session& s) {
  int const steps = s.quick ? 100 : 20000;
  s.says("Foret et al. 2021:", "SAM seeks minima whose neighbourhood is low, too, that is, flat ones");
  double const plain = sharpness(0, steps), small = sharpness(0.02, steps), middle = sharpness(0.05, steps),
               large = sharpness(0.1, steps);
  s.tell("sharpness, gradient descent", plain, 8.974);
  s.at_most("sharpness, SAM, rho 0.02", plain, small, 7.61);
  s.at_most("sharpness, SAM, rho 0.05", small, middle, 3.63);
  s.at_most("sharpness, SAM, rho 0.1; the least is 2", 2.05, large, 2.006);
});

}  // namespace
