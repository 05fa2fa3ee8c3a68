// SPDX-License-Identifier: Apache-2.0
/// @file ZeRO on four ranks of a loopback: AdamW's steps, for a quarter of its memory and the bytes of an all-reduce.
#include <frugal/backend/serial.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/distributed/sharded.hpp>
#include <frugal/distributed/sharded_gradients.hpp>
#include <frugal/optim/adamw.hpp>

#include "claims/claims.hpp"
#include "claims/relu_net.hpp"

namespace {

claims::claim const registered("sharded", [](claims::session& s) {
  constexpr int ranks = 4, batch = 4;
  claims::relu_net const net{128, 1024};
  int const steps = s.quick ? 2 : 100;
  double different = 0, loss = 0, states = 0, gradients = 0, sent = 0;
  auto const n = net.layout().size();
  frugal::run_loopback(ranks, [&](frugal::loopback_comm& world) {
    frugal::serial_backend const cpu;
    auto const model = net.layout();
    frugal::adamw_config const c{.lr = 1e-3};
    frugal::adamw alone(cpu, model, c);
    frugal::sharded one(frugal::adamw(cpu, model, c, frugal::shard(model, world)), world);
    frugal::sharded_gradients two(frugal::adamw(cpu, frugal::shard_layout(model, world), c), model, world);
    alone.options().clip_norm = one.options().clip_norm = two.options().clip_norm = 1;
    auto x = net.start(1), y = x, z = x;
    std::mt19937_64 bits(std::uint64_t(world.rank()) + 5);
    std::int64_t bytes = 0;
    for (int t = 0; t < steps; ++t) {
      std::vector<float> g(x.size(), 0.f);
      double error = 0;
      for (int b = 0; b < batch; ++b) {
        std::vector<float> in(std::size_t(net.inputs));
        for (float& v : in) v = float(claims::relu_net::normal(bits));
        double const wanted = std::abs(double(in[0])) - double(in[1]) * 0.5;
        error += std::pow(net.output(x, in.data()) - wanted, 2) / batch;
        net.add_gradient(x, in.data(), wanted, 1.0 / batch, g);
      }
      auto mean = g, again = g;
      world.all_reduce(cpu, mean, frugal::op::mean{});
      alone.step(x, mean);
      auto const before = world.bytes_sent();
      one.step(y, g);
      bytes += world.bytes_sent() - before;
      two.accumulate(again);
      two.step(z);
      if (world.rank() == 0 && t == steps - 1) loss = error;
    }
    for (std::size_t i = 0; i < x.size(); ++i) different += x[i] != y[i] || x[i] != z[i];
    states = std::max(states, double(one.state_bytes()));
    gradients = std::max(gradients, double(two.gradient_bytes()));
    sent += double(bytes) / steps / ranks;
  });
  s.says("Rajbhandari et al. 2020:", "states and gradients by the count of ranks, for the bytes of an all-reduce");
  s.tell("loss of the last batch", loss);
  s.at_most("weights that differ from the unsharded run's", 0, different);
  s.at_most("states, of AdamW's 8 bytes", 0.25 + 2. * 16384 / double(n), states / (8 * double(n)));
  s.at_most("stage 2: gradients, of 4 bytes", 0.25 + 2. * 16384 / double(n), gradients / (4 * double(n)));
  s.at_most("sent by a rank, of an all-reduce of n", 1.001, sent / (2. * 3 / 4 * 4 * double(n)));
});

}  // namespace
