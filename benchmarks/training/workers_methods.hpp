// SPDX-License-Identifier: Apache-2.0
/// @file What workers may tell each other: ways to make a step together. World is a communicator.
#pragma once
#include "training/workers.hpp"

#include <frugal/compress/ef14.hpp>
#include <frugal/compress/ef21.hpp>
#include <frugal/compress/ef21_sgdm.hpp>
#include <frugal/compress/scaled_sign.hpp>
#include <frugal/compress/top_k.hpp>
#include <frugal/decentralized/choco.hpp>
#include <frugal/decentralized/d_psgd.hpp>
#include <frugal/decentralized/gossip.hpp>
#include <frugal/optim/momentum.hpp>

namespace bench {

inline frugal::serial_backend const cpu;

/// x = x - rate g
inline auto descent(frugal::layout const& n) { return frugal::momentum(cpu, n, {.momentum = 0}); }

/// The mean of all gradients.
template <class World>
update reduced(World world, frugal::layout const& n) {
  return make_update([world, sgd = descent(n)](vector& x, vector& g, double rate) mutable {
    world.all_reduce(cpu, g, frugal::op::mean{});
    sgd.config().lr = rate;
    sgd.step(x, g);
  });
}

/// EF14: every worker's step, compressed.
template <class World, class C>
update fed_back(World world, frugal::ef14<C, frugal::serial_backend> feedback) {
  return make_update([world, ef = std::move(feedback)](vector& x, vector& g, double rate) mutable {
    ef.compress(g, rate);
    ef.add_mean(world, x, -1);
  });
}

/// EF21, EF21-SGDM: what changes in a vector h that follows the gradients; h is the mean of all workers'.
template <class World, class Feedback>
update followed(World world, Feedback feedback) {
  auto const n = feedback.layout();
  return make_update([world, ef = std::move(feedback), h = vector(std::size_t(n.size())), sgd = descent(n)](
                         vector& x, vector& g, double rate) mutable {
    ef.compress(g);
    ef.add_mean(world, h);
    sgd.config().lr = rate;
    sgd.step(x, h);
  });
}

/// Steps of one's own, after which the weights are mixed with the neighbours'.
template <class Mixing>
update mixed(frugal::layout const& n, Mixing mixing, int local_steps) {
  frugal::d_psgd decentralized(descent(n), std::move(mixing),
                               {.order = frugal::mixing_order::adapt_then_combine, .local_steps = local_steps});
  return make_update([sgd = std::move(decentralized)](vector& x, vector& g, double rate) mutable {
    sgd.optimizer().config().lr = rate;
    sgd.step(x, g);
  });
}

/// The rates are the best of 0.05, 0.1, 0.2, 0.3 and 0.4 with seed 100, which is not among those that are reported;
/// CHOCO's gamma is the best of 0.02, 0.05, 0.1 and 0.2.
template <class World>
std::vector<method<World>> methods() {
  static constexpr frugal::top_k largest{.ratio = 0.01};
  static constexpr frugal::scaled_sign signs{.block = 256};
  std::vector<method<World>> all;
  using layout = frugal::layout const&;
  auto const add = [&all](std::string name, report::look style, double rate, bool equal, auto start) {
    all.push_back({std::move(name), style, rate, equal, start});
  };
  add("All-reduce", {0, 0}, 0.4, true, [](World w, layout n, vector const&) { return reduced(w, n); });
  add("EF14, signs", {1, 1}, 0.2, true,
      [](World w, layout n, vector const&) { return fed_back(w, frugal::ef14(cpu, n, signs, w.rank())); });
  add("EF14, top-k", {1, 0}, 0.4, true,
      [](World w, layout n, vector const&) { return fed_back(w, frugal::ef14(cpu, n, largest, w.rank())); });
  add("EF21-SGDM, top-k", {2, 0}, 0.3, true, [](World w, layout n, vector const&) {
    return followed(w, frugal::ef21_sgdm(cpu, n, largest, {.b = 0.1}, w.rank()));
  });
  add("EF21, top-k", {2, 1}, 0.2, true,
      [](World w, layout n, vector const&) { return followed(w, frugal::ef21(cpu, n, largest, w.rank())); });
  add("Gossip", {3, 1}, 0.2, false, [](World w, layout n, vector const&) {
    return mixed(n, frugal::gossip(cpu, w, frugal::topology::ring(w.size()), n), 40);
  });
  add("CHOCO, top-k", {3, 0}, 0.2, false, [](World w, layout n, vector const& x) {
    frugal::choco choco(cpu, w, frugal::topology::ring(w.size()), n, largest, {.gamma = 0.05});
    choco.start_from(x);
    return mixed(n, std::move(choco), 1);
  });
  return all;
}

}  // namespace bench
