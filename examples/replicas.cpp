// SPDX-License-Identifier: Apache-2.0
// Four ranks fit a model by forward passes alone. What they exchange is a number a step, and their weights stay the
// same to the bit; somebody who comes later gets the weights from the log of those numbers.
#include <cmath>
#include <cstdio>
#include <frugal/backend/serial.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/zeroth_order/replicas.hpp>

namespace {

constexpr int n = 1000, samples = 32;

// Logistic loss on a rank's own samples: the label is the sign of the first 20 features' sum.
double loss(int rank, std::vector<float> const& x) {
  const frugal::random_stream data{7};
  double sum = 0;
  for (int k = 0; k < samples; ++k) {
    float label = 0, score = 0;
    for (int i = 0; i < 20; ++i) {
      const float feature = data.sign(std::uint64_t(rank), std::uint64_t(128 * k + i));
      label += feature, score += feature * x[std::size_t(i)];
    }
    sum += std::log1p(std::exp(label > 0 ? -score : score));
  }
  return sum / samples;
}

auto optimizer() {
  return frugal::mezo(frugal::serial_backend(), n, {.lr = 0.01, .seed = 42}, frugal::rademacher{},
                      frugal::restored_from_copy{});
}

}  // namespace

int main() {
  double first = 0, last = 0;
  std::vector<float> final;
  frugal::message log;
  frugal::run_loopback(4, [&](frugal::loopback_comm& world) {
    std::vector<float> x(n);
    frugal::replicas together(optimizer(), world);
    if (world.rank() == 0) first = loss(0, x);
    for (int step = 0; step < 800; ++step) together.step(x, [&] { return loss(world.rank(), x); });
    if (world.rank() > 0) return;
    last = loss(0, x), final = x, log = together.log().bytes();
    std::printf("rank 0: loss %.3f to %.3f, %lld bytes sent\n", first, last,
                static_cast<long long>(together.bytes_sent()));
  });

  std::vector<float> late(n);
  auto zo = optimizer();
  frugal::update_log::replay(zo, late, log);
  std::printf("a fifth: the same weights from a log of %lld bytes: %s\n", static_cast<long long>(log.size()),
              late == final ? "yes" : "no");
  return last < 0.5 * first && late == final ? 0 : 1;
}
