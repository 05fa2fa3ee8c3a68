// SPDX-License-Identifier: Apache-2.0
// Everything is allocated in constructors: the calls that training repeats allocate nothing. One row for each class
// that has such a call. On other backends than serial, and with all options, the classes' own tests count, too.
#include <gtest/gtest.h>

#include <frugal/comm/loopback.hpp>
#include <frugal/core/primitives.hpp>
#include <frugal/frugal.hpp>

#include "support/driver.hpp"

namespace {
using namespace frugal;
using frugal_test::allocations;
using floats = std::vector<float>;
const serial_backend cpu;
constexpr index_t n = 10000;
const layout two({{"a", {300}, "slow"}, {"b", {n - 300}}}, {{.name = "slow", .lr = 0.5}});

floats numbers(std::size_t size = n) {
  floats x(size);
  for (std::size_t i = 0; i < size; ++i) x[i] = u11(random_stream{1}.word(0, i));
  return x;
}
// What f allocates when it is called for the first time, or after some calls.
template <class F>
long allocated(F const& f, int calls_before = 0) {
  for (int k = 0; k < calls_before; ++k) f();
  const long before = allocations;
  f();
  return allocations - before;
}

TEST(allocations, are_counted) {
  EXPECT_EQ(allocated([] { std::vector<int>(1000).at(999) = 1; }), 1);
}

TEST(allocations, optimizers) {
  floats x = numbers(), g = numbers();
  const auto step = [&](auto opt, auto& parameters) {
    opt.options().clip_norm = 1;
    EXPECT_EQ(allocated([&] { opt.step(parameters, g); }), 0) << opt.algorithm();
  };
  step(momentum(cpu, two), x);
  step(adam(cpu, two, {}, bf16_state{}), x);
  step(adamw(cpu, two, {}, blockwise8{}), x);
  step(lion(cpu, two, {}, indices{{1, 5, 9000}}), x);
  std::vector<bf16> narrow(n);
  step(lion(cpu, two, {}, types<bf16, float>{}, stochastic{.seed = 1}), narrow);
  step(nadamw(cpu, two), x);
  step(adagrad(cpu, two), x);
  step(rmsprop(cpu, two), x);
  step(lamb(cpu, two), x);
  step(lars(cpu, two), x);
  step(adamr(cpu, two), x);
  const layout small{{"w", {20, 30}}, {"t", {2, 3, 4}}, {"b", {n - 624}}};
  step(soap(cpu, small, {.frequency = 1}), x);
  step(shampoo(cpu, small, {.max_dim = 16}), x);
  step(adamw(cpu, two, {}, types<bf16, float>{}, float_master{}, blockwise8{}), narrow);
}

TEST(allocations, optimizers_with_calls_of_their_own) {
  floats x = numbers(), g = numbers(), other = numbers();
  schedule_free_adamw free(cpu, two);
  EXPECT_EQ(allocated([&] { free.step(x, g); }), 0);
  EXPECT_EQ(allocated([&] { free.average(x, other); }), 0);
  zero_one_adam local(cpu, two, {.freeze_step = 1});
  for (int t = 0; t < 2; ++t) EXPECT_EQ(allocated([&] { local.step(x, g); }), 0);
  EXPECT_EQ(allocated([&] { local.difference(x, other); }), 0);
  EXPECT_EQ(allocated([&] { local.meet(x, other); }), 0);
  EXPECT_EQ(allocated([&] {
              free.evaluation_mode(x, g);
              free.training_mode(x, g);
            }),
            0);
  muon orthogonal(cpu, layout{{"w", {80, 100}}, {"v", {2000, 1}}});
  orthogonal.options().clip_norm = 1;
  EXPECT_EQ(allocated([&] { orthogonal.step(x, g); }), 0);
  sam around(lion(cpu, two), {.rho = 0.1, .adaptive = true});
  EXPECT_EQ(allocated([&] { around.step(x, g, [] {}); }), 0);
  adafactor factors(cpu, two);
  EXPECT_EQ(allocated([&] { factors.step(x, g); }), 0);
  const std::vector<group_set> groups{{{{"a"}}}};
  hesso prunes(momentum(cpu, two), groups, {.pruning_steps = 3});  // chooses at once
  for (int t = 0; t < 4; ++t) EXPECT_EQ(allocated([&] { prunes.step(x, g); }), 0) << t;
  hesso corrects(momentum(cpu, two), groups, {}, cric{.sampling_steps = 2, .max_cycles = 2});
  for (int t = 0; t < 13; ++t) EXPECT_EQ(allocated([&] { corrects.step(x, g, 1.); }), 0) << t;  // until they are gone
  EXPECT_EQ(corrects.removed(), 150);
}

TEST(allocations, matrices_of_layers) {
  const layout layer{{"w", {20, 30}}, {"b", {20}}};
  const floats a = numbers(9 * 30), d = numbers(9 * 20);
  floats g = numbers(620);
  const auto check = [&](auto opt) {
    EXPECT_EQ(allocated([&] {
                opt.observe(0, {a.data(), 9, 30}, {d.data(), 9, 20});
                opt.precondition(g);
              }),
              0)
        << opt.algorithm();
  };
  check(mkor(cpu, layer, {.refresh_every = 1}));
  check(kfac(cpu, layer, {.refresh_every = 1}));
}

TEST(allocations, compressors_and_feedback) {
  floats x = numbers();
  const floats g = numbers();
  const auto check = [&]<class C>(C how) {
    compressor<C, serial_backend> c(cpu, n, how);
    EXPECT_EQ(allocated([&] { c.encode(g); }), 0) << C::name;
    message const& m = c.last();
    EXPECT_EQ(allocated([&] { c.add_to(x, {m.data(), m.size()}); }), 0) << C::name;
    EXPECT_EQ(allocated([&] { c.decode(x, {m.data(), m.size()}); }), 0) << C::name;
    ef14 residual(cpu, n, how);
    EXPECT_EQ(allocated([&] { residual.compress(g, 0.1); }), 0) << C::name;
    ef21 difference(cpu, n, how);
    EXPECT_EQ(allocated([&] { difference.compress(g); }), 0) << C::name;
    ef21_sgdm momentum_of(cpu, n, how);
    EXPECT_EQ(allocated([&] { momentum_of.compress(g); }), 0) << C::name;
  };
  check(identity{});
  check(top_k{.ratio = 0.01});
  check(rand_k{.ratio = 0.01});
  check(scaled_sign{});
}

TEST(allocations, zeroth_order) {
  floats x = numbers(), g = numbers();
  long loss = 0;
  const auto check = [&](auto... policies) {
    mezo zo(cpu, two, {.momentum = 0.9, .directions = 9}, policies...);
    const auto step = [&] { zo.step(x, [&] { return double(++loss % 7); }); };
    EXPECT_EQ(allocated(step, 1), 0) << zo.algorithm();  // the first makes room for nine directions
  };
  check(gaussian{});
  check(rademacher{}, range{100, 7000});
  check(spherical{}, restored_from_copy{});
}

TEST(allocations, sharing_and_projections) {
  floats w(n), z(500), g = numbers();
  roast shared(cpu, two, {.slots = 500});
  shared.initialise(z);
  EXPECT_EQ(allocated([&] { shared.forward(z, w); }), 0);
  EXPECT_EQ(allocated([&] { shared.backward(g, z); }), 0);
  floats y(100);
  for (double s : {dense_signs, achlioptas, 100.}) {
    very_sparse r(cpu, n, 100, {.s = s});
    EXPECT_EQ(allocated([&] { r.apply(g, y); }), 0) << s;
    EXPECT_EQ(allocated([&] { r.apply_transpose(y, w); }), 0) << s;
    EXPECT_EQ(allocated([&] { r.add_transpose(y, w); }), 0) << s;
    EXPECT_EQ(allocated([&] { r.reseed(7); }), 0) << s;
  }
}

struct every_third {
  FRUGAL_FN bool operator()(index_t i) const { return i % 3 == 0; }
};
TEST(allocations, primitives) {
  std::vector<std::uint32_t> keys(n), values(n), counts(16);
  for (std::size_t i = 0; i < n; ++i) keys[i] = random_stream{1}.word(0, i) % 16;
  const floats x = numbers();
  floats largest(50);
  exclusive_scan<std::uint32_t, serial_backend> scan(cpu, n);
  EXPECT_EQ(allocated([&] { scan(keys, values); }), 0);
  ordered_select select(cpu, n);
  EXPECT_EQ(allocated([&] { select(n, every_third{}, values); }), 0);
  histogram count(cpu, n, 16);
  EXPECT_EQ(allocated([&] { count(keys, counts); }), 0);
  pair_sort sort(cpu, n);
  EXPECT_EQ(allocated([&] { sort(keys, values); }), 0);
  top_k_select top(cpu, n, 50);
  values.resize(50);
  EXPECT_EQ(allocated([&] { top(x, values, largest); }), 0);
}

// Of all four ranks together: they count while the others are at work. The runs differ in their number of steps.
template <class Make>
long of_ranks(int steps, Make const& make) {
  const long before = allocations;
  run_loopback(4, [&](loopback_comm& world) {
    floats x = numbers(), g = numbers();
    auto step = make(world);
    for (int t = 0; t < steps; ++t) step(x, g);
  });
  return allocations - before;
}
template <class Make>
double each_step(Make const& make) {
  of_ranks(10, make);
  return double(of_ranks(60, make) - of_ranks(20, make)) / 40;
}
// A communicator's calls allocate: the loopback some small blocks for each message. What calls it adds none that grow.
TEST(allocations, of_ranks_are_those_of_messages) {
  constexpr double most = 4 * 16;
  EXPECT_LE(each_step([](loopback_comm& w) { return [&w](floats& x, floats&) { w.all_reduce(cpu, x); }; }), most);
  EXPECT_LE(each_step([](loopback_comm& w) {
              return [m = gossip(cpu, w, topology::ring(4), n)](floats& x, floats&) mutable { m.step(x); };
            }),
            most);
  EXPECT_LE(each_step([](loopback_comm& w) {
              return [m = choco(cpu, w, topology::ring(4), n, top_k{.ratio = 0.01}, {.gamma = 0.1})](
                         floats& x, floats&) mutable { m.step(x); };
            }),
            most);
  EXPECT_LE(each_step([](loopback_comm& w) {
              return [m = replicas(mezo(cpu, n, {}, rademacher{}, restored_from_copy{}), w, {.check_every = 0})](
                         floats& x, floats&) mutable { m.step(x, [] { return 1.0; }); };
            }),
            most);
}

}  // namespace
