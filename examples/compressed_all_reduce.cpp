// SPDX-License-Identifier: Apache-2.0
// Ranks under mpirun fit one linear model to data of their own. Of each gradient a rank sends a fiftieth, the largest
// elements; error feedback keeps what was left out, and sends it later. Once more with whole gradients, to compare.
//
//     mpirun -n 2 example_compressed_all_reduce
#include <cmath>
#include <cstdio>
#include <frugal/backend/serial.hpp>
#include <frugal/comm/mpi.hpp>
#include <frugal/compress/ef14.hpp>
#include <frugal/compress/top_k.hpp>

namespace {

constexpr int n = 1000, samples = 64, steps = 400;

// A number in [-1, 1) for each (rank, step, element).
float noise(int rank, int step, int i) {
  return frugal::u11(
      frugal::random_stream{7}.word(frugal::direction_id(std::uint32_t(rank), std::uint32_t(step)), std::uint64_t(i)));
}
float truth(int i) { return std::sin(0.1f * float(i)) / (1 + 0.01f * float(i)); }

// Least squares on a rank's own batch.
void gradient(int rank, int step, std::vector<float> const& x, std::vector<float>& g) {
  std::fill(g.begin(), g.end(), 0.f);
  std::vector<float> a(n);
  for (int k = 0; k < samples; ++k) {
    float error = 0;
    for (int i = 0; i < n; ++i) {
      a[std::size_t(i)] = noise(rank, step, k * n + i);
      error += a[std::size_t(i)] * (x[std::size_t(i)] - truth(i));
    }
    for (int i = 0; i < n; ++i) g[std::size_t(i)] += error * a[std::size_t(i)] / samples;
  }
}

double distance(std::vector<float> const& x) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += std::pow(double(x[std::size_t(i)] - truth(i)), 2);
  return std::sqrt(sum);
}

int train(frugal::mpi_comm& world) {
  const frugal::serial_backend cpu;
  std::vector<float> x(n, 0.f), whole(n, 0.f), g(n);
  std::size_t bytes = 0;
  frugal::ef14 feedback(cpu, n, frugal::top_k{.ratio = 0.02}, world.rank());
  for (int step = 0; step < steps; ++step) {
    const double lr = 0.15 * (1 - double(step) / steps);
    gradient(world.rank(), step, x, g);
    bytes = feedback.compress(g, lr).size();  // the message: the largest of lr g and what was left out so far
    feedback.add_mean(world, x, -1);          // x -= the mean of what all ranks sent

    gradient(world.rank(), step, whole, g);
    world.all_reduce(cpu, g, frugal::op::mean{});
    for (int i = 0; i < n; ++i) whole[std::size_t(i)] -= float(lr) * g[std::size_t(i)];
  }
  const double start = distance(std::vector<float>(n, 0.f)), compressed = distance(x), all = distance(whole);
  if (world.rank() == 0)
    std::printf("distance %.3f at the start; compressed %.4f with %zu bytes a step, whole gradients %.4f with %d\n",
                start, compressed, bytes, all, 4 * n);
  return compressed < 0.1 * start ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  int rc = 1;
  const int mpi = frugal::run_mpi(argc, argv, [&](frugal::mpi_comm& world) { rc = train(world); });
  return mpi != 0 ? mpi : rc;
}
