// SPDX-License-Identifier: Apache-2.0
/// @file Lion with decoupled decay minimises f over the box |x| <= 1 / weight_decay: Chen, Liu, Liang, Liu, "Lion
/// Secretly Solves Constrained Optimization", ICLR 2024. And its two betas: how long it remembers.
#include <algorithm>
#include <cmath>
#include <frugal/backend/serial.hpp>
#include <frugal/core/normal.hpp>
#include <frugal/optim/lion.hpp>

#include "claims/claims.hpp"

namespace {

constexpr std::size_t n = 50;

/// |x - c|^2 / 2 with noise of 0.1, c uniform in [-3, 3]: the largest distance from the minimum in the box of 1, and
/// the largest |x|.
std::pair<double, double> in_the_box(int steps) {
  frugal::random_stream const stream{11};
  std::vector<double> c(n), x(n), g(n);
  for (std::size_t i = 0; i < n; ++i) c[i] = 3 * double(frugal::u11(stream.word(0, i)));
  frugal::lion opt(frugal::serial_backend(), n, {.weight_decay = 1}, frugal::types<double>{});
  for (int t = 1; t <= steps; ++t) {
    for (std::size_t i = 0; i < n; ++i)
      g[i] = x[i] - c[i] + 0.1 * double(frugal::normal(stream, std::uint64_t(t), std::uint32_t(i)));
    opt.config().lr = 0.05 / std::sqrt(t);
    opt.step(x, g);
  }
  double away = 0, largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    away = std::max(away, std::abs(x[i] - std::clamp(c[i], -1., 1.)));
    largest = std::max(largest, std::abs(x[i]));
  }
  return {away, largest};
}

/// Steps in the old direction after gradients that were 1 for long have turned to -1.
int remembered() {
  std::vector<double> x{0}, g{1};
  frugal::lion opt(frugal::serial_backend(), 1, {.lr = 1}, frugal::types<double>{});
  for (int t = 0; t < 10000; ++t) opt.step(x, g);
  double const turned = x[0];
  g[0] = -1;
  for (double before = turned + 1; x[0] < before;) before = x[0], opt.step(x, g);
  return int(turned - x[0]) + 1;
}

claims::claim const registered("lion", [](claims::session& s) {
  s.says("Chen et al. 2024:", "with decay Lion minimises the loss over the box |x| <= 1 / weight_decay");
  auto const [away, largest] = in_the_box(s.quick ? 100 : 4000);
  s.at_most("largest distance from that minimum", 0.1, away, 0.044);
  s.at_most("largest |x|", 1, largest, 0.998);
  s.says("Chen et al. 2023:", "m remembers ten times longer than a momentum of 0.9, yet the present gradient has 0.1");
  // After k steps m = 2 0.99^k - 1 decides against 0.1: the direction stays while 0.9 m > 0.1.
  double const by_formula = std::floor(std::log(0.5 * (1 + 0.1 / 0.9)) / std::log(0.99)) + 1;
  s.exactly("steps on after the gradient has turned", by_formula, remembered());
});

}  // namespace
