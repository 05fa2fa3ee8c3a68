// SPDX-License-Identifier: Apache-2.0
/// @file Muon's iteration: singular values of a step.
#include <frugal/backend/serial.hpp>
#include <frugal/core/normal.hpp>
#include <frugal/core/random.hpp>
#include <frugal/optim/muon.hpp>

#include <cmath>

#include "claims/claims.hpp"

namespace {

using frugal::index_t;

// The least and the largest singular value of a step from 0 along a Gaussian matrix.
std::pair<double, double> singular_values(index_t rows, index_t cols, frugal::newton_schulz it) {
  frugal::serial_backend const cpu;
  frugal::linalg const la(cpu);
  auto const n = std::size_t(rows * cols);
  std::vector<double> x(n), g(n), gram(std::size_t(rows * rows)), vectors(gram), values(std::size_t(rows), 0.);
  for (std::size_t i = 0; i < n; ++i) g[i] = frugal::normal(frugal::random_stream{1}, 0, i);
  frugal::muon opt(cpu, frugal::layout{{"w", {rows, cols}}},
                   {.lr = 1, .momentum = 0, .nesterov = false, .iteration = it}, frugal::types<double>{});
  opt.step(x, g);
  frugal::mat_view<double> const s(gram.data(), rows, rows), v(vectors.data(), rows, rows);
  la.syrk(1, frugal::mat_view<double const>(x.data(), rows, cols), 0, s);
  auto eigen = la.eigen<double>(rows);
  eigen(s, frugal::view<double>(values), v);
  return {std::sqrt(values.front()), std::sqrt(values.back())};
}

claims::claim const registered("muon", [](claims::session& s) {
  index_t const rows = s.quick ? 8 : 96, cols = s.quick ? 12 : 128;
  s.says("Jordan et al. 2024:", "five steps bring singular values into [0.6818, 1.2024], if not to 1");
  auto const [least, most] = singular_values(rows, cols, frugal::to_about_one);
  s.at_least("least singular value of a step", 0.6818, least);
  s.at_most("largest singular value of a step", 1.2024, most);
  s.says("Bjorck, Bowie 1971:", "with (15, -10, 3) / 8 they tend to 1");
  auto const [below, above] = singular_values(rows, cols, frugal::to_one);
  s.at_most("largest distance from 1", 1e-12, std::max(1 - below, above - 1));
});

}  // namespace
