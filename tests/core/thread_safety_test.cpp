// SPDX-License-Identifier: Apache-2.0
// Several threads, each with objects of its own, share a backend, a layout and the data that they read; what they get
// is what one thread gets. Run under ThreadSanitizer as well.
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/tbb.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/frugal.hpp>

#include <thread>

#include "support/backends.hpp"

namespace {
using namespace frugal_test;

constexpr frugal::index_t n = 4500;

// Everything that all threads read.
template <class Backend>
struct shared {
  Backend backend;
  frugal::layout model;
  there<float, Backend> gradient;
  explicit shared(Backend const& b) : backend(b), model{{"a", {n - 100}}, {"b", {100}}}, gradient(b, numbers(n, 2)) {}
};

// The work of one thread: objects of every shape, made, used and destroyed.
template <class Backend>
std::vector<float> work(shared<Backend> const& s, std::uint64_t seed) {
  const Backend b = s.backend;  // a copy of the handle is the same backend
  const there<float, Backend> x(b, numbers(n, seed));
  frugal::adamw opt(b, s.model, {.lr = 0.01}, frugal::blockwise8{});
  frugal::ef21 feedback(b, s.model, frugal::top_k{.ratio = 0.01});
  frugal::mezo zo(b, s.model, {.lr = 1e-3, .seed = seed}, frugal::gaussian{});
  for (int t = 0; t < 2; ++t) {
    opt.step(x.all(), s.gradient.constant());
    frugal::message const& m = feedback.compress(s.gradient.constant());
    feedback.add_to(x.all(), {m.data(), m.size()}, -0.1, {0, std::uint64_t(t)});
  }
  zo.step(x.all(), [&] { return frugal::sum_of_squares(b, x.all()); });
  auto out = x.get();
  out.push_back(float(frugal::sum(b, s.gradient.all())));
  out.push_back(float(s.model.tensors()[1].offset));
  return out;
}

template <class Backend>
void threads_agree_with_one(Backend const& b) {
  const shared<Backend> s(b);
  constexpr int threads = 4;
  std::vector<float> expected[threads], got[threads];
  {
    std::vector<std::jthread> all;
    for (int k = 0; k < threads; ++k) all.emplace_back([&, k] { got[k] = work(s, std::uint64_t(k)); });
  }
  for (int k = 0; k < threads; ++k) {
    expected[k] = work(s, std::uint64_t(k));
    EXPECT_TRUE(same_bits(expected[k], got[k])) << "thread " << k;
  }
}

TEST(thread_safety, serial) { threads_agree_with_one(frugal::serial_backend{}); }
TEST(thread_safety, tbb) { threads_agree_with_one(frugal::tbb_backend(2)); }
TEST(thread_safety, emulated) { threads_agree_with_one(frugal::emulated_backend({.seed = 1, .lanes = 4})); }

// Runs of a loopback are independent of each other.
TEST(thread_safety, loopback_runs_side_by_side) {
  std::vector<float> got[3];
  const auto run = [](int k) {
    std::vector<float> x;
    frugal::run_loopback(3, [&](frugal::loopback_comm& world) {
      std::vector<float> mine = numbers(1000, std::uint64_t(10 * k + world.rank()));
      frugal::gossip mix(frugal::serial_backend{}, world, frugal::topology::ring(3), 1000);
      mix.step(mine);
      world.all_reduce(frugal::serial_backend{}, mine);
      if (world.rank() == 0) x = mine;
    });
    return x;
  };
  {
    std::vector<std::jthread> all;
    for (int k = 0; k < 3; ++k) all.emplace_back([&, k] { got[k] = run(k); });
  }
  for (int k = 0; k < 3; ++k) EXPECT_TRUE(same_bits(got[k], run(k)));
}

}  // namespace
