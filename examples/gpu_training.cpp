// SPDX-License-Identifier: Apache-2.0
// A training loop on a GPU: least squares, AdamW with 8-bit states, gradients by two kernels of one's own. Weights stay
// on the device; half way the state is saved, and a CPU goes on from there to the same bits.
//
// The same text is CUDA (nvcc -x cu), HIP (hipcc, or clang++ -x hip), and a program for a machine without a GPU. What
// differs is one type.
#if defined(__HIP__)
#include <frugal/backend/hip.hpp>
using device = frugal::hip_backend;
#elif defined(__CUDACC__)
#include <frugal/backend/cuda.hpp>
using device = frugal::cuda_backend;
#else
#include <frugal/backend/emulated.hpp>
using device = frugal::emulated_backend;
#endif
#include <cstdio>
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adamw.hpp>
#include <vector>

namespace {

using frugal::index_t;
constexpr index_t samples = 512, features = 256;
constexpr int steps = 200;

// error = A x - y, a lane a sample; A is column-major, so that neighbours read neighbours.
struct errors_of {
  static constexpr unsigned team_threads = 128;
  static constexpr int scratch_bytes = 16;
  float const *a, *x, *y;
  float* error;
  index_t teams() const { return samples / team_threads; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    for (index_t i = team.lane(); i < index_t(team_threads); i += team.lanes()) {
      const index_t s = team.rank() * index_t(team_threads) + i;
      float sum = -y[s];
      for (index_t k = 0; k < features; ++k) sum += a[k * samples + s] * x[k];
      error[s] = sum;
    }
  }
};

// g = A^T error / samples, a team a feature: lanes add their samples, then half of them what the other half has. The
// order is always the same, and so is the sum.
struct gradient_of {
  static constexpr unsigned team_threads = 128;
  static constexpr int scratch_bytes = 4 * team_threads;
  float const *a, *error;
  float* g;
  index_t teams() const { return features; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    float* const sums = team.template scratch<float>();
    float const* const column = a + team.rank() * samples;
    for (index_t i = team.lane(); i < index_t(team_threads); i += team.lanes()) {
      sums[i] = 0;
      for (index_t s = i; s < samples; s += team_threads) sums[i] += column[s] * error[s];
    }
    for (index_t half = team_threads / 2; half > 0; half /= 2) {
      team.sync();
      for (index_t i = team.lane(); i < half; i += team.lanes()) sums[i] += sums[i + half];
    }
    if (team.lane() == 0) g[team.rank()] = sums[0] / float(samples);
  }
};

std::vector<float> numbers(index_t n, std::uint64_t seed) {
  std::vector<float> v;
  for (index_t i = 0; i < n; ++i) v.push_back(frugal::u11(frugal::random_stream{seed}.word(0, std::uint64_t(i))));
  return v;
}

int train() {
  const device gpu;  // or device gpu(stream): work goes there, in order with your own kernels
  const frugal::serial_backend cpu;
  const std::vector<float> samples_here = numbers(samples * features, 1), truth = numbers(features, 2);
  std::vector<float> labels(samples, 0.f);
  for (index_t k = 0; k < features; ++k)
    for (index_t s = 0; s < samples; ++s)
      labels[std::size_t(s)] += samples_here[std::size_t(k * samples + s)] * truth[std::size_t(k)];

  const std::vector<float> zeros(features, 0.f);
  frugal::buffer a(gpu, samples_here), y(gpu, labels), error(gpu, labels), x(gpu, zeros), g(gpu, zeros);
  frugal::adamw opt(gpu, features, {.weight_decay = 0}, frugal::blockwise8{});
  frugal::adamw on_cpu(cpu, features, {.weight_decay = 0}, frugal::blockwise8{});
  std::vector<float> x_on_cpu;
  for (int step = 0; step < steps; ++step) {
    gpu.for_teams(errors_of{a.data(), x.data(), y.data(), error.data()});
    gpu.for_teams(gradient_of{a.data(), error.data(), g.data()});
    if (step == steps / 2) {
      restore_state(on_cpu, save_state(opt));
      x_on_cpu = to_host(gpu, x.view());
    }
    opt.config().lr = on_cpu.config().lr = 0.05 * (1 - double(step) / steps);
    opt.step(x.view(), g.view());  // nothing waits
    if (step >= steps / 2) on_cpu.step(x_on_cpu, to_host(gpu, g.view()));
  }

  const std::vector<float> found = to_host(gpu, x.view());
  double distance = 0;
  for (std::size_t k = 0; k < found.size(); ++k)
    distance += double(found[k] - truth[k]) * double(found[k] - truth[k]) / features;
  const bool same = found == x_on_cpu, near_truth = distance < 1e-4;
  std::printf("%s: mean square distance from the truth %.1e; the CPU that went on from the saved state: %s\n",
              device::name, distance, same ? "the same weights" : "OTHER WEIGHTS");
  return same && near_truth ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return train();
  } catch (frugal::device_error const& e) {  // here: no GPU
    std::printf("skipped: %s\n", e.what());
    return 77;
  }
}
