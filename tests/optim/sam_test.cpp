// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/sam.hpp>

#include <frugal/optim/adamw.hpp>
#include <frugal/optim/momentum.hpp>

#include <cmath>

#include "support/backends.hpp"
#include "support/driver.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::layout;
using frugal::sam;
const frugal::serial_backend cpu;

// h x + b, each operation rounded: the barrier of the value types, for this file is compiled with any flags.
template <class T>
std::vector<T> linear(std::vector<T> const& h, std::vector<T> const& b, std::vector<T> const& x) {
  using one = frugal::lanes<T, 1>;
  std::vector<T> g(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) g[i] = (one(h[i]) * one(x[i]) + one(b[i])).v[0];
  return g;
}

TEST(sam, defaults) {
  const frugal::sam_config c;
  EXPECT_EQ(c.rho, 0.05);
  EXPECT_FALSE(c.adaptive);
}

template <class T>
void golden_trajectory(golden_case const& c, auto const& backend, std::string const& suffix, double tolerance) {
  const auto h = c.numbers<T>("h"), b = c.numbers<T>("b");
  const there x(backend, c.numbers<T>("x0"), 3);
  there g(backend, x.get(), 1);
  sam opt(frugal::momentum(backend, h.size(),
                           {.lr = c.config("lr"), .momentum = c.config("mu"), .weight_decay = c.config("weight_decay")},
                           frugal::types<T>{}),
          {.rho = c.config("rho"), .adaptive = c.config("adaptive") != 0});
  const auto close = [&](std::vector<T> const& want, std::vector<T> const& got, std::string const& what) {
    if (tolerance == 0) {
      ASSERT_TRUE(same_bits(want, got)) << what;
    }
    for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(want[i], got[i], tolerance) << what;
  };
  ASSERT_EQ(c.count("step"), 25u);
  for (std::size_t t = 0; t < c.count("step"); ++t) {
    int calls = 0;
    opt.step(x.all(), g.constant(), [&] {
      if (++calls == 2) close(c.numbers<T>("s" + suffix, t), x.get(), c.name + ", the edge");
      g.set(linear(h, b, x.get()));
    });
    EXPECT_EQ(calls, 2);
    close(c.numbers<T>("x" + suffix, t), x.get(), c.name + ", x");
    if (testing::Test::HasFailure()) return;
  }
}
TEST(sam, float_trajectories_to_the_bit) {
  for (golden_case const& c : read_golden("sam.txt"))
    same_on_every_backend([&](auto const& b) {
      golden_trajectory<float>(c, b, "32", 0);
      return std::vector<int>{};
    });
}
TEST(sam, double_trajectories) {
  for (golden_case const& c : read_golden("sam.txt")) golden_trajectory<double>(c, cpu, "64", 1e-13);
}

TEST(sam, climbs_to_the_edge_of_the_ball_and_returns_to_the_bit) {
  const layout l{{{"w", {130, 131}}, {"frozen", {50}, "frozen"}, {"none", {0}}, {"v", {5000}}},
                 {{.name = "frozen", .frozen = true}}};
  same_on_every_backend([&](auto const& backend) {
    const there x(backend, numbers(l.size(), 1), 1);
    there g(backend, numbers(l.size(), 2));
    sam opt(frugal::momentum(backend, l, {.lr = 0}), {.rho = 3});
    const auto start = x.get();
    std::vector<float> edge;
    opt.step(x.all(), g.constant(), [&] { edge = x.get(); });
    EXPECT_TRUE(same_bits(start, x.get()));  // the optimizer's rate is 0
    double distance = 0;
    for (std::size_t i = 0; i < start.size(); ++i)
      distance += (double(edge[i]) - start[i]) * (double(edge[i]) - start[i]);
    EXPECT_NEAR(std::sqrt(distance), 3, 1e-5);
    const auto f = l.tensors()[1];
    EXPECT_TRUE(std::equal(edge.begin() + f.offset, edge.begin() + f.offset + f.size, start.begin() + f.offset));
    return edge;
  });
}

TEST(sam, with_rho_0_it_is_the_optimizer_and_asks_once) {
  auto x = numbers(1000, 1), y = x;
  const auto g = numbers(1000, 2);
  sam opt(frugal::adamw(cpu, 1000, {.lr = 0.1}, frugal::blockwise8{.min_size = 1}), {.rho = 0});
  frugal::adamw plain(cpu, 1000, {.lr = 0.1}, frugal::blockwise8{.min_size = 1});
  int calls = 0;
  for (int t = 0; t < 3; ++t) {
    const double loss = opt.step(x, g, [&] { return double(++calls); });
    EXPECT_EQ(loss, t + 1);
    plain.step(y, g);
  }
  EXPECT_TRUE(same_bits(y, x));
  EXPECT_EQ(opt.state_bytes(), plain.state_bytes());
}

TEST(sam, of_a_linear_loss_it_is_the_optimizer) {
  auto x = numbers(300, 1), y = x;
  const auto g = numbers(300, 2);
  sam opt(frugal::momentum(cpu, 300), {.rho = 0.5});
  frugal::momentum plain(cpu, 300);
  for (int t = 0; t < 5; ++t) {
    EXPECT_EQ(opt.step(x, g, [&] { return t; }), t);
    plain.step(y, g);
  }
  EXPECT_TRUE(same_bits(y, x));
}

TEST(sam, cycles_around_a_minimum) {
  std::vector<double> x{1}, g{0};
  sam opt(frugal::momentum(cpu, 1, {.lr = 0.3, .momentum = 0}, frugal::types<double>{}), {.rho = 0.1});
  for (int t = 0; t < 200; ++t) opt.step(x, g, [&] { g[0] = 2 * x[0]; });
  EXPECT_NEAR(std::abs(x[0]), 0.3 * 2 * 0.1 / (2 - 0.3 * 2), 1e-12);
}

// f(a, b) = (a b - 1)^2 / 2: gradient descent stops at any point of the curve, SAM walks along it to where it is flat.
TEST(sam, finds_the_flat_minimum) {
  const auto sharpness = [](double rho) {
    std::vector<double> x{3, 0.5}, g(2);
    sam opt(frugal::momentum(cpu, 2, {.lr = 0.01, .momentum = 0}, frugal::types<double>{}), {.rho = rho});
    for (int t = 0; t < 20000; ++t)
      opt.step(x, g, [&] {
        const double r = x[0] * x[1] - 1;
        g = {r * x[1], r * x[0]};
      });
    return x[0] * x[0] + x[1] * x[1];
  };
  const double plain = sharpness(0), little = sharpness(0.02), more = sharpness(0.05), most = sharpness(0.1);
  EXPECT_NEAR(plain, 8.974, 0.01);
  EXPECT_LT(little, plain);
  EXPECT_LT(more, little);
  EXPECT_LT(most, more);
  EXPECT_NEAR(most, 2, 0.05);
}

TEST(sam, adaptive_is_indifferent_to_scale) {
  // x in other units: g by 1 / s, x by s; the ball is the same.
  for (double s : {1., 4., 0.125}) {
    std::vector<double> x{s * 3, s * -0.5}, g{2 / s, -1 / s}, edge;
    sam opt(frugal::momentum(cpu, 2, {.lr = 0}, frugal::types<double>{}), {.rho = 0.5, .adaptive = true});
    opt.step(x, g, [&] { edge = x; });
    const double n = std::hypot(6, 0.5);
    EXPECT_NEAR(edge[0] / s, 3 + 0.5 * 9 * 2 / n, 1e-11);
    EXPECT_NEAR(edge[1] / s, -0.5 - 0.5 * 0.25 * 1 / n, 1e-11);
  }
}

TEST(sam, a_gradient_may_be_another_vector_each_time) {
  const auto h = numbers(1000, 3), b = numbers(1000, 4);
  auto x = numbers(1000, 1), y = x, g = x, f = x;
  sam opt(frugal::momentum(cpu, 1000, {.lr = 1e-3})), twin(frugal::momentum(cpu, 1000, {.lr = 1e-3}));
  for (int t = 0; t < 3; ++t) {
    std::vector<float> held;  // so that no memory comes back at once
    opt.step(x, g, [&] { g.swap(held), g = linear(h, b, x); });
    twin.step(y, f, [&] {
      const auto now = linear(h, b, y);
      std::copy(now.begin(), now.end(), f.begin());
    });
  }
  EXPECT_TRUE(same_bits(y, x));
}

TEST(sam, no_gradient_no_move) {
  std::vector<float> x{1, -2}, g{0, 0};
  sam opt(frugal::momentum(cpu, 2));
  opt.step(x, g, [&] { EXPECT_TRUE(same_bits(std::vector<float>{1, -2}, x)); });
  EXPECT_TRUE(same_bits(std::vector<float>{1, -2}, x));
}

TEST(sam, parameters_of_16_bits_return) {
  using frugal::bf16;
  const auto start = numbers<bf16>(3000, 1);
  std::vector<bf16> x = start, g = numbers<bf16>(3000, 2), edge;
  sam opt(frugal::momentum(cpu, 3000, {.lr = 0}, frugal::types<bf16>{}, frugal::float_master{}), {.rho = 20});
  opt.step(x, g, [&] { edge = x; });
  EXPECT_TRUE(same_bits(start, x));
  EXPECT_FALSE(same_bits(start, edge));
}

TEST(sam, separate_tensors_save_and_restore) {
  const layout l{{"a", {300}}, {"b", {40, 50}}};
  const auto run = [&](bool separate, int stop) {
    auto x = numbers(l.size(), 1), g = x;
    const auto h = numbers(l.size(), 3), b = numbers(l.size(), 4);
    const auto gradient = [&] {
      const auto now = linear(h, b, x);
      std::copy(now.begin(), now.end(), g.begin());
    };
    std::vector<frugal::view<float>> xs{{x.data(), 300}, {x.data() + 300, 2000}};
    std::vector<frugal::view<float const>> gs{{g.data(), 300}, {g.data() + 300, 2000}};
    const frugal::sam_config c{.rho = 0.5};
    auto opt =
        std::make_unique<sam<frugal::momentum<frugal::serial_backend>>>(frugal::momentum(cpu, l, {.lr = 1e-3}), c);
    for (int t = 0; t < 6; ++t) {
      if (t == stop) {
        const auto s = frugal::save_state(*opt);
        opt =
            std::make_unique<sam<frugal::momentum<frugal::serial_backend>>>(frugal::momentum(cpu, l, {.lr = 1e-3}), c);
        frugal::restore_state(*opt, s);
      }
      if (separate) opt->step(xs, gs, gradient);
      else opt->step(x, g, gradient);
    }
    EXPECT_EQ(opt->algorithm(), "sam(momentum/full)");
    return x;
  };
  const auto want = run(false, -1);
  EXPECT_TRUE(same_bits(want, run(true, -1)));
  EXPECT_TRUE(same_bits(want, run(false, 3)));
}

TEST(sam, allocates_nothing) {
  auto x = numbers(3000, 1), g = numbers(3000, 2);
  sam opt(frugal::momentum(cpu, 3000));
  const long before = allocations;
  opt.step(x, g, [] {});
  EXPECT_EQ(allocations - before, 0);
  EXPECT_EQ(opt.workspace_bytes(), 4u * 3000);
}

TEST(sam, mistakes_are_refused) {
  EXPECT_TRUE(refused([] { sam(frugal::momentum(cpu, 2), {.rho = -1}); }, "rho", "[0, 1e+30]", "-1"));
  EXPECT_TRUE(refused([] { sam(frugal::momentum(cpu, 2), {.rho = std::nan("")}); }, "rho", "[0, 1e+30]", "nan"));
  const std::vector<float> start{1, 2};
  std::vector<float> x = start, g{1, 1}, small{1};
  sam opt(frugal::momentum(cpu, 2));
  const auto never = [] { ADD_FAILURE() << "called"; };
  EXPECT_TRUE(refused([&] { opt.step(small, g, never); }, "parameters", "2 elements", "1"));
  EXPECT_TRUE(refused([&] { opt.step(x, small, never); }, "gradient", "2 elements", "1"));
  EXPECT_TRUE(
      refused([&] { opt.step(x, x, never); }, "parameters and gradients", "memory of their own each", "an overlap"));
  opt.optimizer().config().lr = -1;
  EXPECT_TRUE(refused([&] { opt.step(x, g, never); }, "lr", "[0, 1e+30]", "-1"));
  opt.optimizer().config().lr = 0.1;
  // A gradient that throws on the edge leaves x where it was, and the optimizer as it was.
  const auto before = frugal::save_state(opt);
  int calls = 0;
  EXPECT_THROW(opt.step(x, g,
                        [&] {
                          if (++calls == 2) throw std::runtime_error("no more batches");
                        }),
               std::runtime_error);
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(same_bits(start, x));
  EXPECT_TRUE(same_bits(before, frugal::save_state(opt)));
}

}  // namespace
