// SPDX-License-Identifier: Apache-2.0
/// @file Schedule-Free AdamW on a quadratic with noise, condition number 100, against AdamW whose rate falls along a
/// line that ends where it is evaluated, and against AdamW with a constant rate; each with the best of a grid of rates.
#include <frugal/backend/serial.hpp>
#include <frugal/core/normal.hpp>
#include <frugal/core/random.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/schedule_free_adamw.hpp>
#include <frugal/optim/schedules.hpp>

#include <algorithm>
#include <cmath>

#include "claims/claims.hpp"

namespace {

constexpr std::size_t n = 100;
constexpr double rates[] = {0.003, 0.01, 0.03, 0.1, 0.3};
using vector = std::vector<double>;

double curvature(std::size_t i) { return std::pow(10., -2. * double(i) / double(n - 1)); }
double loss(vector const& x) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += curvature(i) * x[i] * x[i] / 2;
  return sum;
}
void gradient(vector const& x, std::uint64_t t, vector& g) {
  for (std::size_t i = 0; i < n; ++i) g[i] = curvature(i) * x[i] + 0.3 * frugal::normal(frugal::random_stream{2}, t, i);
}

/// AdamW after `steps` steps; the rate follows a line to zero, or stays.
double adamw(double lr, std::int64_t steps, bool falls) {
  vector x(n, 1), g(n);
  frugal::adamw opt(frugal::serial_backend(), n, {.weight_decay = 0}, frugal::types<double>{});
  frugal::schedules::linear_decay const line{.steps = steps, .warmup = steps / 20};
  for (std::int64_t t = 0; t < steps; ++t) {
    opt.config().lr = falls ? lr * line(t + 1) : lr;
    gradient(x, std::uint64_t(t), g);
    opt.step(x, g);
  }
  return loss(x);
}
/// Losses of the average of one run, at each of the times.
vector schedule_free(double lr, std::vector<std::int64_t> const& times) {
  vector y(n, 1), g(n), x(n), out;
  frugal::schedule_free_adamw opt(frugal::serial_backend(), n, {.lr = lr, .warmup = times[0] / 20},
                                  frugal::types<double>{});
  for (std::int64_t t = 0; t < times.back(); ++t) {
    gradient(y, std::uint64_t(t), g);
    opt.step(y, g);
    if (std::find(times.begin(), times.end(), t + 1) == times.end()) continue;
    opt.average(y, x);
    out.push_back(loss(x));
  }
  return out;
}

claims::claim const registered("schedule_free_adamw", [](claims::session& s) {
  std::vector<std::int64_t> const times =
      s.quick ? std::vector<std::int64_t>{20, 40} : std::vector<std::int64_t>{500, 1000, 2000, 4000};
  s.says("Defazio et al. 2024:", "without a schedule about as good as with one that ends at that time");
  std::vector<vector> runs;
  for (double lr : rates) runs.push_back(schedule_free(lr, times));
  for (std::size_t k = 0; k < times.size(); ++k) {
    double line = INFINITY, constant = INFINITY, free = INFINITY;
    for (vector const& run : runs) free = std::min(free, run[k]);
    for (double lr : rates) {
      line = std::min(line, adamw(lr, times[k], true));
      constant = std::min(constant, adamw(lr, times[k], false));
    }
    std::string const at = std::to_string(times[k]) + " steps";
    s.tell("AdamW, a line to zero, " + at, line);
    s.tell("AdamW, a constant rate, " + at, constant);
    s.at_most("Schedule-Free AdamW, " + at, 1.5 * line, free);
  }
});

}  // namespace
