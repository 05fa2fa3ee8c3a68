// SPDX-License-Identifier: Apache-2.0
// Kernels of each shape on the emulated GPU with lanes as threads, two teams at a time, under ThreadSanitizer: sums,
// blocks of 8-bit states, drawn directions, scans, sorts, selections. Only races are looked for that fibers cannot
// show; what comes out must be what the serial backend gives, as everywhere.
#include <frugal/backend/emulated.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/zeroth_order/mezo.hpp>

#include "core/primitives_bits.hpp"
#include "support/bits.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using frugal::serial_backend;

static_assert(FRUGAL_EMULATED_THREADS, "this is for -fsanitize=thread");

template <class Run>
void same_in_threads(Run const& run) {
  const auto expected = run(serial_backend{});
  for (unsigned lanes : {2u, 5u})
    EXPECT_TRUE(same_bits(expected, run(frugal::emulated_backend({.seed = lanes, .lanes = lanes})))) << lanes;
}

TEST(lanes_as_threads, optimizer) {
  const frugal::layout l{{"w", {30, 20}}, {"b", {20}}};
  const auto run = [&](auto storage) {
    same_in_threads([&](auto b) {
      using backend = decltype(b);
      frugal::buffer<float, backend> x(b, numbers(l.size(), 1)), g(b, l.size());
      frugal::lion opt(b, l, {.lr = 0.01, .weight_decay = 0.1}, storage);
      opt.options().clip_norm = 1;
      for (std::uint64_t t = 0; t < 2; ++t) {
        frugal::to_backend(b, g.view(), numbers(l.size(), t));
        opt.step(x.view(), g.view());
      }
      return frugal::to_host(b, x.view());
    });
  };
  run(frugal::full{}), run(frugal::blockwise8{.min_size = 1});
}

TEST(lanes_as_threads, directions) {
  same_in_threads([](auto b) {
    frugal::buffer<float, decltype(b)> x(b, numbers(900, 3));
    frugal::mezo zo(b, 900, {.lr = 0.1, .epsilon = 0.5, .momentum = 0.5, .directions = 2, .seed = 3},
                    frugal::rademacher{});  // signs: a lane draws 128, and all of them read those
    zo.step(x.view(), [k = 0]() mutable { return double(++k % 3); });
    return frugal::to_host(b, x.view());
  });
}

TEST(lanes_as_threads, primitives) {
  for (index_t n : {600, 17000})
    for (auto const& x : primitive_inputs(n)) same_in_threads([&](auto b) { return primitives_of(b, x, 50); });
}

}  // namespace
