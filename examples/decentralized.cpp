// SPDX-License-Identifier: Apache-2.0
// Eight ranks fit a linear model to data of their own and talk to two neighbours each: with whole vectors, and with a
// tenth of the elements of what changed. train() is a template of the communicator: main() runs it in one process;
// with frugal/comm/mpi.hpp, `return frugal::run_mpi(argc, argv, [](auto& world) { train(world, ...); })` runs it on a
// cluster.
#include <cmath>
#include <cstdio>
#include <frugal/backend/serial.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/compress/top_k.hpp>
#include <frugal/decentralized/choco.hpp>
#include <frugal/decentralized/d_psgd.hpp>
#include <frugal/decentralized/gossip.hpp>
#include <frugal/optim/momentum.hpp>

namespace {

constexpr int n = 200, samples = 40;

// Of the model that all data come from.
float truth(int i) { return std::sin(0.1f * float(i)); }

// A number in (-1, 1) for each (rank, step, element).
float noise(int rank, int step, int i) {
  return frugal::u11(
      frugal::random_stream{7}.word(frugal::direction_id(std::uint32_t(rank), std::uint32_t(step)), std::uint64_t(i)));
}

// Least squares on a rank's own batch.
void gradient(int rank, int step, std::vector<float> const& x, std::vector<float>& g) {
  std::fill(g.begin(), g.end(), 0.f);
  for (int k = 0; k < samples; ++k) {
    float error = 0.1f * noise(rank, step, samples * n + k);
    const auto feature = [&](int i) { return noise(rank, step, k * n + i); };
    for (int i = 0; i < n; ++i) error += feature(i) * (x[std::size_t(i)] - truth(i));
    for (int i = 0; i < n; ++i) g[std::size_t(i)] += error * feature(i) / samples;
  }
}

// Returns the distance from the truth; prints it, and what was sent for it.
template <class Comm, class Mixing>
float train(Comm& world, char const* name, Mixing mixing) {
  const frugal::serial_backend cpu;
  std::vector<float> x(n), g(n);
  world.broadcast(cpu, x);  // all begin alike
  frugal::d_psgd opt(frugal::momentum(cpu, n, {.lr = 0.02, .momentum = 0.5}), std::move(mixing),
                     {.order = frugal::mixing_order::adapt_then_combine});
  for (int step = 0; step < 300; ++step) {
    gradient(world.rank(), step, x, g);
    opt.step(x, g);
  }
  world.all_reduce(cpu, x, frugal::op::mean{});
  float distance = 0;
  for (int i = 0; i < n; ++i) distance += (x[std::size_t(i)] - truth(i)) * (x[std::size_t(i)] - truth(i));
  if (world.rank() == 0)
    std::printf("%-28s distance %.4f, %lld bytes sent by a rank\n", name, double(std::sqrt(distance)),
                static_cast<long long>(opt.mixing().bytes_sent()));
  return std::sqrt(distance);
}

}  // namespace

int main() {
  bool good = true;
  frugal::run_loopback(8, [&](frugal::loopback_comm& world) {
    const frugal::serial_backend cpu;
    const auto ring = frugal::topology::ring(world.size());
    good = train(world, "gossip", frugal::gossip(cpu, world, ring, n)) < 1 && good;
    good = train(world, "choco, a tenth",
                 frugal::choco(cpu, world, ring, n, frugal::top_k{.ratio = 0.1}, {.gamma = 0.3})) < 1 &&
           good;
  });
  return good ? 0 : 1;
}
