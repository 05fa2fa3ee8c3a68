// SPDX-License-Identifier: Apache-2.0
/// @file AdamR: what was learned prunes well. Linear regression from a start near the solution; then all but a share of
/// the differences are dropped at random, and the rest is scaled up.
#include <cmath>

#include <frugal/backend/serial.hpp>
#include <frugal/core/normal.hpp>
#include <frugal/optim/adamr.hpp>

#include "claims/claims.hpp"

namespace {

constexpr std::size_t features = 1000, samples = 400, batch = 64;

struct outcome {
  double distance;         // from the start
  double dropped[2] = {};  // error after dropping 0.9 and 0.99 of the differences, times that of the start
};

outcome train(double decay, int steps) {
  frugal::random_stream const stream{7};
  auto const normal = [&](std::uint64_t dir, std::size_t i) { return double(frugal::normal(stream, dir, i)); };
  std::vector<double> start(features), target(features), a(samples * features), y(samples);
  for (std::size_t j = 0; j < features; ++j) {
    start[j] = normal(0, j);
    target[j] = start[j] + 0.3 * normal(1, j) + 0.1;
  }
  for (std::size_t i = 0; i < samples; ++i)
    for (std::size_t j = 0; j < features; ++j) {
      a[i * features + j] = normal(2, i * features + j) / std::sqrt(double(features));
      y[i] += a[i * features + j] * target[j];
    }
  std::vector<double> x = start, g(features);
  frugal::adamr opt(frugal::serial_backend(), features, {.weight_decay = decay}, frugal::types<double>{});
  for (int t = 0; t < steps; ++t) {
    g.assign(features, 0);
    for (std::size_t k = 0; k < batch; ++k) {
      auto const i = std::size_t(frugal::u01(stream.word(3, std::uint64_t(t) * batch + k)) * samples) % samples;
      double r = -y[i];
      for (std::size_t j = 0; j < features; ++j) r += a[i * features + j] * x[j];
      for (std::size_t j = 0; j < features; ++j) g[j] += r * a[i * features + j] / batch;
    }
    opt.config().lr = 0.02 * (1 - double(t) / steps);
    opt.step(x, g);
  }
  double moved = 0, left = 0, before = 0;
  for (std::size_t j = 0; j < features; ++j) {
    moved += (x[j] - start[j]) * (x[j] - start[j]);
    left += (x[j] - target[j]) * (x[j] - target[j]);
    before += (start[j] - target[j]) * (start[j] - target[j]);
  }
  outcome o{std::sqrt(moved)};
  // The mean over all masks: a kept difference is scaled by 1 / (1 - p), which has the variance p / (1 - p).
  o.dropped[0] = (left + 0.9 / 0.1 * moved) / before;
  o.dropped[1] = (left + 0.99 / 0.01 * moved) / before;
  return o;
}

claims::claim const registered("adamr", [](claims::session& s) {
  int const steps = s.quick ? 5 : 400;
  s.says("Deng et al. 2025:", "with AdamR, 99 % of what fine-tuning changed can be dropped at a small loss");
  outcome const plain = train(0, steps), weak = train(0.01, steps), middle = train(0.03, steps),
                strong = train(0.1, steps);
  s.tell("distance, without a pull", plain.distance, 6.36);
  s.at_most("distance, pull 0.01", plain.distance, weak.distance, 1.21);
  s.at_most("distance, pull 0.03", weak.distance, middle.distance, 0.49);
  s.at_most("distance, pull 0.1", middle.distance, strong.distance, 0.17);
  s.tell("error, 90 % dropped, without a pull", plain.dropped[0], 3.85);
  s.tell("error, 90 % dropped, pull 0.01", weak.dropped[0], 1.01);
  s.tell("error, 90 % dropped, pull 0.03", middle.dropped[0], 0.975);
  s.tell("error, 90 % dropped, pull 0.1", strong.dropped[0], 0.987);
  s.tell("error, 99 % dropped, without a pull", plain.dropped[1], 33);
  s.at_most("error, 99 % dropped, pull 0.01", plain.dropped[1] / 10, weak.dropped[1], 2.07);
  s.at_most("error, 99 % dropped, pull 0.03", weak.dropped[1], middle.dropped[1], 1.15);
  s.at_most("error, 99 % dropped, pull 0.1", middle.dropped[1], strong.dropped[1], 1.01);
});

}  // namespace
