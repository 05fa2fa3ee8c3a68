// SPDX-License-Identifier: Apache-2.0
/// @file AdamW with 8-bit states over a model of several tensors, in groups with factors of their own; what the states
/// take, and what they cost in accuracy.
#include <frugal/backend/tbb.hpp>
#include <frugal/optim/adamw.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

namespace {

// Minimises |x - target|^2 / 2; returns the root mean square distance that is left from `first` on, and fails where a
// parameter before it has moved.
template <class Optimizer>
double distance_after(Optimizer opt, int steps, std::size_t first) {
  std::vector<float> x(std::size_t(opt.layout().size()), 0.f), g(x.size());
  const auto target = [](std::size_t i) { return std::sin(float(i)); };
  for (int t = 0; t < steps; ++t) {
    for (std::size_t i = 0; i < x.size(); ++i) g[i] = x[i] - target(i);
    opt.config().lr = 0.05 * (1 - double(t) / steps);
    opt.step(x, g);
  }
  double sum = 0;
  for (std::size_t i = first; i < x.size(); ++i) sum += double(x[i] - target(i)) * double(x[i] - target(i));
  for (std::size_t i = 0; i < first; ++i) sum += x[i] == 0 ? 0 : INFINITY;
  return std::sqrt(sum / double(x.size() - first));
}

}  // namespace

int main() {
  const frugal::layout model({{"embedding", {1000, 64}, "frozen"},
                              {"layer1.weight", {64, 256}},
                              {"layer1.bias", {256}, "no decay"},
                              {"layer2.weight", {256, 64}},
                              {"layer2.bias", {64}, "no decay"}},
                             {{.name = "no decay", .weight_decay = 0}, {.name = "frozen", .frozen = true}});
  const frugal::tbb_backend cpu;
  const frugal::adamw_config config{.weight_decay = 1e-4};
  frugal::adamw full(cpu, model, config);
  frugal::adamw packed(cpu, model, config, frugal::blockwise8{});

  const std::size_t bytes = full.state_bytes(), bytes8 = packed.state_bytes();
  const std::size_t trained = std::size_t(model.size()) - 64000;
  const double error = distance_after(std::move(full), 200, 64000),
               error8 = distance_after(std::move(packed), 200, 64000);
  std::printf("%zu parameters are trained; states: full %zu bytes, 8-bit %zu bytes\n", trained, bytes, bytes8);
  std::printf("distance from the minimum after 200 steps: full %.1e, 8-bit %.1e\n", error, error8);
  return double(bytes8) < 0.3 * double(bytes) && error8 < 0.01 ? 0 : 1;
}
