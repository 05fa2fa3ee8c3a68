// SPDX-License-Identifier: Apache-2.0
// In files: a run that is saved in its middle and taken up by a fresh object goes on to the bit, on the backend it was
// saved from and, for some, on another. Each algorithm's own test has it in memory.
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/backend/tbb.hpp>
#include <frugal/compress/ef14.hpp>
#include <frugal/compress/ef21.hpp>
#include <frugal/compress/ef21_sgdm.hpp>
#include <frugal/compress/rand_k.hpp>
#include <frugal/compress/scaled_sign.hpp>
#include <frugal/compress/top_k.hpp>
#include <frugal/decentralized/choco.hpp>
#include <frugal/decentralized/d_psgd.hpp>
#include <frugal/interop/safetensors.hpp>
#include <frugal/optim/adam.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/optim/momentum.hpp>
#include <frugal/zeroth_order/mezo.hpp>

#include "decentralized/ranks.hpp"
#include "support/backends.hpp"

namespace {
using namespace frugal_test;
using frugal::checkpoint, frugal::layout;
using bytes = std::vector<std::uint8_t>;

layout model() { return {{{"w", {20, 15}}, {"b", {7}, "frozen"}, {"v", {61}}}, {{.name = "frozen", .frozen = true}}}; }

// A vector of a model and what changes it, on some backend.
template <class T, class Backend, class Object>
struct run {
  Backend b;
  Object object;
  there<T, Backend> x;
  checkpoint file;

  run(Backend backend, Object o) : b(backend), object(std::move(o)), x(b, numbers<T>(model().size(), 1)) {
    file.add("object", object).add("x", b, model(), x.all());
  }
  // step(object, x, a vector of step t)
  template <class Step>
  void go(int from, int to, Step const& step) {
    for (int t = from; t < to; ++t) {
      const there<float, Backend> g(b, numbers(model().size(), 100 + std::uint64_t(t)));
      step(object, x.all(), g.constant());
    }
  }
};

// make(backend): an object.
template <class T = float, class From, class To, class Make, class Step>
void goes_on(From const& from, To const& to, Make const& make, Step const& step) {
  run<T, From, decltype(make(from))> first(from, make(from));
  first.go(0, 3, step);
  const bytes saved = first.file.to_bytes();
  first.go(3, 6, step);

  run<T, To, decltype(make(to))> second(to, make(to));
  second.go(7, 9, step);  // of another state
  second.file.from_bytes(saved);
  EXPECT_EQ(saved, second.file.to_bytes());
  second.go(3, 6, step);
  EXPECT_TRUE(same_bits(first.x.get(), second.x.get())) << first.object.algorithm();
  EXPECT_TRUE(same_bits(save_state(first.object), save_state(second.object)));
  EXPECT_NE(saved, second.file.to_bytes());
}

const auto gradient_step = [](auto& o, auto x, auto g) { o.step(x, g); };
const frugal::serial_backend cpu;
const frugal::emulated_backend gpu({.lanes = 5});

TEST(checkpoints_of, momentum) {
  const auto make = [](auto... p) {
    return [=](auto b) { return frugal::momentum(b, model(), {.nesterov = true}, p...); };
  };
  goes_on(cpu, cpu, make(), gradient_step);
  goes_on(cpu, cpu, make(frugal::bf16_state{}), gradient_step);
  goes_on(cpu, cpu, make(frugal::blockwise8{.min_size = 100}), gradient_step);
}
TEST(checkpoints_of, adam) {
  const auto make = [](auto... p) { return [=](auto b) { return frugal::adam(b, model(), {}, p...); }; };
  goes_on(cpu, cpu, make(), gradient_step);
  goes_on(cpu, cpu, make(frugal::bf16_state{}), gradient_step);
  goes_on(cpu, cpu, make(frugal::blockwise8{.min_size = 100}), gradient_step);
}
TEST(checkpoints_of, lion) {
  const auto make = [](auto... p) { return [=](auto b) { return frugal::lion(b, model(), {}, p...); }; };
  goes_on(cpu, cpu, make(), gradient_step);
  goes_on(cpu, cpu, make(frugal::bf16_state{}), gradient_step);
  goes_on(cpu, cpu, make(frugal::blockwise8{.min_size = 100}), gradient_step);
}
TEST(checkpoints_of, adamw) {
  const auto make = [](auto... p) { return [=](auto b) { return frugal::adamw(b, model(), {}, p...); }; };
  goes_on(cpu, frugal::tbb_backend(2), make(), gradient_step);
  goes_on(cpu, cpu, make(frugal::bf16_state{}), gradient_step);
  const auto coded = make(frugal::blockwise8{.min_size = 100});
  goes_on(cpu, gpu, coded, gradient_step);
  goes_on(gpu, cpu, coded, gradient_step);
  goes_on<double>(cpu, cpu, make(frugal::types<double, float>{}), gradient_step);
  goes_on<frugal::bf16>(cpu, cpu, make(frugal::types<frugal::bf16, float>{}), gradient_step);
  goes_on<frugal::half>(cpu, cpu, make(frugal::types<frugal::half, float>{}, frugal::float_master{}), gradient_step);
  goes_on<frugal::half>(cpu, cpu, make(frugal::types<frugal::half, float>{}, frugal::stochastic{5}), gradient_step);
  goes_on(cpu, cpu, make(frugal::indices{{3, 5, 200, 310, 366}}), gradient_step);
}

TEST(checkpoints_of, error_feedback) {
  const auto feedback_step = [](auto const& compress) {
    return [=](auto& o, auto x, auto g) {
      const auto t = std::uint64_t(o.round());
      auto const& m = compress(o, g);
      o.add_to(x, {m.data(), m.size()}, -0.1, {0, t});
    };
  };
  const auto compress = feedback_step([](auto& o, auto g) -> auto& { return o.compress(g); });
  const auto ef14 = [](auto b) { return frugal::ef14(b, model(), frugal::scaled_sign{.block = 256}); };
  const auto at_rate = feedback_step([](auto& o, auto g) -> auto& { return o.compress(g, 0.5); });
  goes_on(cpu, cpu, ef14, at_rate);
  const auto ef21 = [](auto b) { return frugal::ef21(b, model(), frugal::rand_k{.k = 30, .seed = 5}); };
  goes_on(cpu, cpu, ef21, compress);
  const auto sgdm = [](auto b) { return frugal::ef21_sgdm(b, model(), frugal::top_k{.k = 30}); };
  goes_on(cpu, gpu, sgdm, compress);
}

TEST(checkpoints_of, mezo) {
  const auto make = [](auto b) { return frugal::mezo(b, model(), {.lr = 1e-3, .momentum = 0.9, .seed = 5}); };
  const auto step = [](auto& o, auto x, auto g) {
    o.step(x, [&] {
      double loss = 0;
      for (frugal::index_t i = 0; i < x.size(); ++i) loss += double(x[i] - g[i]) * double(x[i] - g[i]);
      return loss;
    });
  };
  goes_on(cpu, cpu, make, step);
}

// Each rank has a file of its own.
TEST(checkpoints_of, decentralized_methods) {
  const auto topology = frugal::topology::ring(3);
  const auto mix = [](auto& o, auto x, auto) { o.step(x); };
  frugal::run_loopback(3, [&](frugal::loopback_comm& world) {
    const frugal::serial_backend b;
    goes_on(
        b, b, [&](auto on) { return frugal::gossip(on, world, topology, model(), {.rounds = 2}); }, mix);
    const auto choco = [&](auto on) {
      return frugal::choco(on, world, topology, model(), frugal::top_k{.ratio = 0.1}, {0.2});
    };
    goes_on(b, b, choco, mix);
    goes_on(
        b, b,
        [&](auto on) {
          return frugal::d_psgd(frugal::adamw(on, model(), {}, frugal::blockwise8{.min_size = 100}), choco(on),
                                {.local_steps = 2});
        },
        gradient_step);
  });
}

}  // namespace
