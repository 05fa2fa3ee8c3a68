// SPDX-License-Identifier: Apache-2.0
// 2000 steps with a decaying rate: prints the digests of tests/golden/decay.py. decay.sh compiles it in many ways.
#include <cstdio>
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adamr.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lamb.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/optim/momentum.hpp>
#include <frugal/optim/schedule_free_adamw.hpp>
#include <frugal/optim/zero_one_adam.hpp>

namespace {
using frugal::index_t;
constexpr index_t n = 1000;
constexpr int steps = 2000;

float u(index_t i, int t) {
  const auto h = std::uint32_t(std::uint64_t(i + n * t) * 2654435761u) >> 8;
  return float(std::int32_t(h) - (1 << 23)) * 0x1p-23f;
}

template <class Optimizer>
void run(char const* name, char const* storage, Optimizer opt) {
  std::vector<float> x(n), g(n), z(n);
  std::vector<std::uint64_t> words(n);
  double rate = 0.01;  // as a schedule on a device would give it: in memory
  opt.options().lr = {&rate, 1};
  for (index_t i = 0; i < n; ++i) x[std::size_t(i)] = u(i, 0);
  for (int t = 1; t <= steps; ++t) {
    for (index_t i = 0; i < n; ++i) g[std::size_t(i)] = x[std::size_t(i)] + u(i, t);
    opt.step(x, g);
    if constexpr (requires { opt.meets(); })
      if (opt.meets()) opt.difference(x, z), opt.meet(x, z);  // one rank
    for (std::size_t i = 0; i < n; ++i)
      words[i] = words[i] * 0x100000001b3 ^ frugal::detail::bit_cast<std::uint32_t>(x[i]);
    rate *= 0.998;
  }
  std::uint64_t h = 0xcbf29ce484222325;
  for (std::uint64_t w : words)
    for (int b = 0; b < 8; ++b) h = (h ^ (w >> 8 * b & 255)) * 0x100000001b3;
  std::printf("digest %s %s %016llx\n", name, storage, static_cast<unsigned long long>(h));
}

template <class Make>
void all_storages(char const* name, Make const& make) {
  run(name, "full", make(frugal::full{}));
  run(name, "bf16", make(frugal::bf16_state{}));
  run(name, "blockwise8", make(frugal::blockwise8{.min_size = 1}));
}
}  // namespace

int main() {
  const frugal::serial_backend cpu;
  all_storages("momentum", [&](auto storage) {
    frugal::momentum opt(cpu, n, {.momentum = 0.9, .weight_decay = 0.05, .nesterov = true}, storage);
    opt.options().clip_norm = 10;
    return opt;
  });
  all_storages("adamw", [&](auto storage) { return frugal::adamw(cpu, n, {.weight_decay = 0.1}, storage); });
  all_storages("lion", [&](auto storage) { return frugal::lion(cpu, n, {.weight_decay = 0.1}, storage); });
  // Clocks and sums of their own.
  run("lamb", "full", frugal::lamb(cpu, n, {.weight_decay = 0.1}));
  run("adamr", "full", frugal::adamr(cpu, n, {.weight_decay = 0.5}));
  run("schedule_free_adamw", "full", frugal::schedule_free_adamw(cpu, n, {.weight_decay = 0.1, .warmup = 100}));
  run("zero_one_adam", "full",
      frugal::zero_one_adam(
          cpu, n,
          {.weight_decay = 0.1, .freeze_step = 1000, .variance_scaler = 16, .local_scaler = 200, .local_limit = 8}));
}
