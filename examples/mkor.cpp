// SPDX-License-Identifier: Apache-2.0
// Two ranks train a small network with MKOR around momentum, and once without. Beside the gradient they average the
// means of what layers saw, 67 numbers a refresh; the factors then are the same on both, and so are the weights.
#include <cmath>
#include <cstdio>
#include <frugal/backend/serial.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/optim/mkor.hpp>
#include <frugal/optim/momentum.hpp>

namespace {

using frugal::index_t;
using matrix = frugal::mat_view<float>;
constexpr index_t in = 16, hidden = 24, rows = 32;
const frugal::layout network{
    {"1.weight", {hidden, in}}, {"1.bias", {hidden}}, {"2.weight", {1, hidden}}, {"2.bias", {1}}};

// y = w2 tanh(w1 x + b1) + b2 on a rank's own samples: half of the mean square error, gradients, what layers see.
struct pass {
  std::vector<float> x = std::vector<float>(rows * in), h = std::vector<float>(rows * hidden), dh = h,
                     dy = std::vector<float>(rows);
  double operator()(int rank, std::vector<float> const& w, std::vector<float>& g) {
    const frugal::random_stream data{std::uint64_t(rank) + 1};
    const auto offset = [](std::size_t k) { return network.tensors()[k].offset; };
    float const *w1 = w.data(), *b1 = w1 + offset(1), *w2 = w1 + offset(2), b2 = w1[offset(3)];
    float *g1 = g.data(), *gb1 = g1 + offset(1), *g2 = g1 + offset(2), *gb2 = g1 + offset(3);
    std::fill(g.begin(), g.end(), 0.f);
    double loss = 0;
    for (index_t r = 0; r < rows; ++r) {
      float *xr = &x[std::size_t(r * in)], *hr = &h[std::size_t(r * hidden)], *dr = &dh[std::size_t(r * hidden)];
      for (index_t i = 0; i < in; ++i)  // inputs of very different sizes
        xr[i] = (frugal::u01(data.word(std::uint64_t(r), std::uint64_t(i))) + 1) * std::pow(10.f, -0.1f * float(i));
      float y = b2;
      for (index_t k = 0; k < hidden; ++k) {
        hr[k] = b1[k];
        for (index_t i = 0; i < in; ++i) hr[k] += w1[k * in + i] * xr[i];
        hr[k] = std::tanh(hr[k]);
        y += w2[k] * hr[k];
      }
      const float error = y - std::sin(3 * xr[0]) - 2 * xr[8];
      loss += double(error) * double(error) / 2 / rows;
      dy[std::size_t(r)] = error / rows;
      gb2[0] += error / rows;
      for (index_t k = 0; k < hidden; ++k) {
        g2[k] += error / rows * hr[k];
        dr[k] = error / rows * w2[k] * (1 - hr[k] * hr[k]);
        gb1[k] += dr[k];
        for (index_t i = 0; i < in; ++i) g1[k * in + i] += dr[k] * xr[i];
      }
    }
    return loss;
  }
};

double train(frugal::loopback_comm& world, bool second_order, std::vector<float>& w) {
  const frugal::serial_backend cpu;
  for (index_t i = 0; i < network.size(); ++i)
    w[std::size_t(i)] = 0.3f * frugal::u11(frugal::random_stream{9}.word(0, std::uint64_t(i)));
  std::vector<float> g(w.size());
  frugal::mkor pre(cpu, network, {.refresh_every = 5});
  frugal::momentum opt(cpu, network, {.lr = 0.2});
  pass network_on_batch;
  double loss = 0;
  for (int step = 0; step < 1500; ++step) {
    auto& p = network_on_batch;
    loss = p(world.rank(), w, g);
    world.all_reduce(cpu, g, frugal::op::mean{});
    if (second_order) {
      if (pre.due()) {
        pre.observe(0, matrix(p.x.data(), rows, in), matrix(p.dh.data(), rows, hidden));
        pre.observe(1, matrix(p.h.data(), rows, hidden), matrix(p.dy.data(), rows, 1));
        world.all_reduce(cpu, pre.statistics(), frugal::op::mean{});
      }
      pre.precondition(g);
    }
    opt.config().lr = 0.2 * (1 - step / 1500.);
    opt.step(w, g);
  }
  return loss;
}

}  // namespace

int main() {
  double with[2], without[2];
  std::vector<float> w[2];
  frugal::run_loopback(2, [&](frugal::loopback_comm& world) {
    const int r = world.rank();
    w[r].resize(std::size_t(network.size()));
    without[r] = train(world, false, w[r]);
    with[r] = train(world, true, w[r]);
  });
  std::printf("loss on rank 0: momentum %.5f, MKOR around it %.5f; the same weights on both: %s\n", without[0], with[0],
              w[0] == w[1] ? "yes" : "no");
  return with[0] < without[0] && w[0] == w[1] ? 0 : 1;
}
