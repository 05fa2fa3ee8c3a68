// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/muon.hpp>

#include <frugal/optim/adamw.hpp>

#include <cmath>

#include "support/backends.hpp"
#include "support/driver.hpp"
#include "support/golden.hpp"
#include "support/narrow_moments.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::layout;
using frugal::muon_config;
const frugal::serial_backend cpu;

muon_config config_of(golden_case const& c) {
  return {.lr = c.config("lr"),
          .momentum = c.config("momentum"),
          .weight_decay = c.config("weight_decay"),
          .nesterov = c.config("nesterov") != 0,
          .scale = c.config("match_adamw") != 0 ? frugal::muon_scale::match_adamw : frugal::muon_scale::spectral,
          .iteration = {c.config("a"), c.config("b"), c.config("c"), int(c.config("iterations"))}};
}
layout golden_layout() { return {{"wide", {5, 8}}, {"tall", {8, 5}}, {"convolution", {3, 2, 2}}}; }

TEST(muon, defaults_are_the_authors) {
  const muon_config c;
  EXPECT_EQ(c.lr, 0.02);
  EXPECT_EQ(c.momentum, 0.95);
  EXPECT_EQ(c.weight_decay, 0);
  EXPECT_TRUE(c.nesterov);
  EXPECT_EQ(c.iteration.steps, 5);
}

TEST(muon, float_trajectories_to_the_bit) {
  for (golden_case const& c : read_golden("muon.txt"))
    same_on_every_backend([&](auto const& b) {
      const there x(b, c.numbers<float>("x0"), 1);
      there g(b, x.get());
      frugal::muon opt(b, golden_layout(), config_of(c));
      EXPECT_EQ(c.count("step"), 20u);
      for (std::size_t t = 0; t < c.count("step"); ++t) {
        g.set(c.numbers<float>("g", t));
        opt.step(x.all(), g.constant());
        EXPECT_TRUE(same_bits(c.numbers<float>("x32", t), x.get())) << c.name << ", step " << t + 1;
        if (testing::Test::HasFailure()) break;
      }
      const auto m = piece<float>(frugal::save_state(opt), "m"), want = c.numbers<float>("m32", 19);
      for (std::size_t k = 0; k < want.size(); ++k)  // matrices begin at multiples of 16 slots
        EXPECT_EQ(want[k], m[k < 40 ? k : k < 80 ? k + 8 : k + 16]) << k;
      return x.get();
    });
}

TEST(muon, double_trajectories) {
  for (golden_case const& c : read_golden("muon.txt")) {
    auto x = c.numbers<double>("x0");
    frugal::muon opt(cpu, golden_layout(), config_of(c), frugal::types<double>{});
    for (std::size_t t = 0; t < c.count("step"); ++t) {
      opt.step(x, c.numbers<double>("g", t));
      const auto want = c.numbers<double>("x64", t);
      // A rounding grows by 3.4445 in each iteration where a singular value is tiny: 485 in five.
      for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(want[i], x[i], 1e-12) << c.name << ", step " << t;
    }
  }
}

// ---- what it is -----------------------------------------------------------------------------------------------------
// -O of a gradient: a step of rate 1 from 0 without momentum, the scale taken out.
std::vector<double> orthogonal(std::vector<double> const& g, frugal::index_t rows, frugal::index_t cols,
                               frugal::newton_schulz it) {
  std::vector<double> x(g.size());
  frugal::muon opt(cpu, layout{{"w", {rows, cols}}}, {.lr = 1, .momentum = 0, .nesterov = false, .iteration = it},
                   frugal::types<double>{});
  opt.step(x, g);
  for (double& v : x) v /= -std::sqrt(std::max(1., double(rows) / double(cols)));
  return x;
}
// Squares of the singular values.
std::vector<double> squared_values(std::vector<double> const& m, frugal::index_t rows, frugal::index_t cols) {
  const frugal::linalg la(cpu);
  const frugal::index_t n = std::min(rows, cols);
  std::vector<double> gram(std::size_t(n * n)), vectors = gram, values(std::size_t(n), 0.);
  const frugal::mat_view<double const> a(m.data(), rows, cols);
  const frugal::mat_view<double> s(gram.data(), n, n), v(vectors.data(), n, n);
  if (rows <= cols) la.syrk(1, a, 0, s);
  else la.syrk(1, frugal::transposed(a), 0, s);
  auto eigen = la.eigen<double>(n);
  eigen(s, frugal::view<double>(values), v);
  return values;
}
std::vector<double> gaussian_matrix(frugal::index_t cells, std::uint64_t seed) {
  dice d(seed);
  std::vector<double> g(std::size_t(cells), 0.);
  for (double& v : g) v = d.normal();
  return g;
}

// The extremes of five steps' polynomial over [0.00151, 1] (muon.md), of singular values over the norm.
constexpr double least_of_band = 0.681831462, most_of_band = 1.202368606, least_that_reaches_it = 0.00151;
TEST(muon, singular_values_end_in_the_band) {
  for (auto [rows, cols] : {std::pair{20, 30}, {30, 20}, {24, 24}}) {
    const auto g = gaussian_matrix(rows * cols, 7);
    const auto before = squared_values(g, rows, cols),
               after = squared_values(orthogonal(g, rows, cols, frugal::to_about_one), rows, cols);
    double norm = 0;
    for (double v : before) norm += v;
    int seen = 0;
    for (std::size_t k = 0; k < after.size(); ++k) {
      if (std::sqrt(before[k] / norm) < least_that_reaches_it) continue;
      EXPECT_GE(std::sqrt(after[k]), least_of_band) << rows << " x " << cols;
      EXPECT_LE(std::sqrt(after[k]), most_of_band) << rows << " x " << cols;
      ++seen;
    }
    EXPECT_GE(seen, 19);
  }
}
// It is no wider than it must be: a diagonal whose entries go to its ends, and one that is a little too small.
TEST(muon, the_band_is_as_narrow_as_it_can_be) {
  const double at[] = {0.1281546394, 0.00411135159, 0.00151, 0.0015};
  double rest = 1;
  std::vector<double> g(25);
  for (std::size_t i = 0; i < 4; ++i) g[6 * i] = at[i], rest -= at[i] * at[i];
  g[24] = std::sqrt(rest);  // the norm is 1
  const auto o = orthogonal(g, 5, 5, frugal::to_about_one);
  EXPECT_NEAR(o[0], least_of_band, 1e-8);
  EXPECT_NEAR(o[6], most_of_band, 1e-6);  // the 1e-7 beside the norm
  EXPECT_GT(o[12], least_of_band);
  EXPECT_LT(o[18], least_of_band);
}

TEST(muon, the_convergent_iteration_gives_the_orthogonal_factor) {
  for (auto [rows, cols] : {std::pair{7, 12}, {12, 7}, {9, 9}}) {
    const auto g = gaussian_matrix(rows * cols, 8), o = orthogonal(g, rows, cols, frugal::to_one);
    for (double v : squared_values(o, rows, cols)) EXPECT_NEAR(v, 1, 1e-12);
    // o = U V^T if and only if o is orthogonal and g o^T is symmetric and positive (of the short side).
    const frugal::index_t n = std::min(rows, cols);
    std::vector<double> p(std::size_t(n * n));
    const frugal::mat_view<double const> G(g.data(), rows, cols), O(o.data(), rows, cols);
    const frugal::mat_view<double> s(p.data(), n, n);
    if (rows <= cols) frugal::linalg(cpu).gemm(1, G, frugal::transposed(O), 0, s);
    else frugal::linalg(cpu).gemm(1, frugal::transposed(G), O, 0, s);
    for (frugal::index_t i = 0; i < n; ++i)
      for (frugal::index_t j = 0; j < i; ++j) EXPECT_NEAR(s(i, j), s(j, i), 1e-11);
    EXPECT_TRUE([&] {
      auto factor = frugal::linalg(cpu).cholesky<double>(n);
      factor.factor(s);
      return factor.report().ok();
    }());
  }
}

TEST(muon, a_factor_on_all_gradients_changes_nothing_but_by_1e_7) {
  const layout l{{"w", {10, 12}}};
  const auto run = [&](double factor) {
    std::vector<double> x = gaussian_matrix(120, 1), g;
    frugal::muon opt(cpu, l, {}, frugal::types<double>{});
    for (int t = 0; t < 5; ++t) {
      g = gaussian_matrix(120, std::uint64_t(2 + t));
      for (double& v : g) v *= factor;
      opt.step(x, g);
    }
    return x;
  };
  const auto a = run(1), b = run(20);  // 1 / (1 - momentum): so both forms of the momentum are one
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-7);
}

TEST(muon, learns_a_matrix) {
  constexpr int n = 12;
  const auto target = gaussian_matrix(n * n, 3);
  std::vector<double> x(n * n), g(n * n);
  frugal::muon opt(cpu, layout{{"w", {n, n}}}, {}, frugal::types<double>{});
  for (int t = 0; t < 400; ++t) {
    opt.config().lr = 0.1 * (1 - t / 400.);
    for (std::size_t i = 0; i < x.size(); ++i) g[i] = x[i] - target[i];
    opt.step(x, g);
  }
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], target[i], 0.01);
}

// ---- bits, states, options ------------------------------------------------------------------------------------------
layout shapes() {
  return {{{"point", {1, 1}},
           {"row", {1, 257}},
           {"column", {257, 1}},
           {"wide", {3, 255}},
           {"tall", {257, 5}},
           {"odd", {17, 31}},
           {"none", {4, 0}},
           {"w", {33, 70}},
           {"kernel", {7, 3, 3, 3}, "slow"},
           {"bias", {70}, "frozen"}},
          {{.name = "slow", .lr = 0.5, .weight_decay = 0}, {.name = "frozen", .frozen = true}}};
}
template <class P, class B, class... Policies>
std::pair<std::vector<P>, frugal::snapshot> trained(B const& b, muon_config const& c, Policies const&... p) {
  const layout l = shapes();
  const there<P, B> x(b, numbers<P>(l.size(), 1), 3);
  there<P, B> g(b, x.get(), 1);
  frugal::muon opt(b, l, c, frugal::types<P>{}, p...);
  opt.options().clip_norm = 5;
  opt.options().gradient_scale = 0.5;
  frugal::snapshot middle;
  std::vector<P> there_then;
  for (int t = 0; t < 4; ++t) {
    if (t == 2) middle = frugal::save_state(opt), there_then = x.get();
    g.set(numbers<P>(l.size(), std::uint64_t(2 + t)));
    opt.step(x.all(), g.constant());
  }
  const auto end = frugal::save_state(opt);
  // Another object goes on from the middle.
  frugal::muon again(b, l, c, frugal::types<P>{}, p...);
  again.options() = opt.options();
  frugal::restore_state(again, middle);
  there<P, B> y(b, there_then);
  for (int t = 2; t < 4; ++t) {
    g.set(numbers<P>(l.size(), std::uint64_t(2 + t)));
    again.step(y.all(), g.constant());
  }
  EXPECT_TRUE(same_bits(x.get(), y.get()));
  EXPECT_TRUE(same_bits(end, frugal::save_state(again)));
  return {x.get(), end};
}

TEST(muon, shapes_on_every_backend) {
  const auto x =
      same_on_every_backend([](auto const& b) { return trained<float>(b, {.lr = 0.1, .weight_decay = 0.5}).first; });
  const layout l = shapes();
  const auto start = numbers(l.size(), 1);
  for (frugal::tensor const& t : l.tensors())
    EXPECT_EQ(t.name == "bias" || t.size == 0,
              std::equal(x.begin() + t.offset, x.begin() + t.offset + t.size, start.begin() + t.offset))
        << t.name;
}
TEST(muon, parameters_of_16_bits) {
  using frugal::bf16;
  const auto on = [](auto const& b) {
    std::vector<bf16> all;
    for (auto const& x :
         {trained<bf16>(b, {.lr = 0.01}).first, trained<bf16>(b, {.lr = 0.01}, frugal::stochastic{7}).first,
          trained<bf16>(b, {.lr = 0.01}, frugal::float_master{}).first})
      all.insert(all.end(), x.begin(), x.end());
    return all;
  };
  const auto x = on(cpu);
  EXPECT_TRUE(same_bits(x, on(frugal::emulated_backend({.seed = 1, .lanes = 5}))));
  const auto n = std::size_t(shapes().size());
  EXPECT_FALSE(same_bits(std::vector<bf16>(x.begin(), x.begin() + long(n)),
                         std::vector<bf16>(x.begin() + long(n), x.begin() + long(2 * n))));
}
// Steps too small for bf16 are kept by a master, and in the mean by rounding at random.
TEST(muon, small_steps_are_not_lost) {
  const layout l{{"w", {16, 16}}};
  const auto distance = [&](auto... rounding) {
    std::vector<frugal::bf16> x(256, frugal::to_bf16(100)), g;
    for (double v : gaussian_matrix(256, 5)) g.push_back(frugal::to_bf16(float(v)));
    frugal::muon opt(cpu, l, {.lr = 0.1}, frugal::types<frugal::bf16>{}, rounding...);
    for (int t = 0; t < 50; ++t) opt.step(x, g);
    double sum = 0;
    for (frugal::bf16 v : x) sum += std::abs(frugal::to_float(v) - 100);
    return sum / 256;
  };
  EXPECT_EQ(distance(), 0);
  EXPECT_GT(distance(frugal::float_master{}), 0.5);
  EXPECT_GT(distance(frugal::stochastic{.seed = 1}), 0.5);
}

TEST(muon, momentum_of_16_bits) {
  const auto on = [](auto const& b, auto storage) { return frugal::muon(b, shapes(), {.lr = 0.1}, storage); };
  expect_rounded_moments([&](auto storage) { return on(cpu, storage); });
}
TEST(muon, groups_move_as_matrices_of_their_own) {
  const layout l{{{"a", {6, 9}}, {"b", {9, 4}, "slow"}}, {{.name = "slow", .lr = 0.5, .weight_decay = 2}}};
  auto x = numbers(l.size(), 1);
  const auto g = numbers(l.size(), 2);
  std::vector<float> b(x.begin() + 54, x.end()), gb(g.begin() + 54, g.end());
  frugal::muon both(cpu, l, {.lr = 0.1, .weight_decay = 0.25});
  frugal::muon one(cpu, layout{{"b", {9, 4}}}, {.lr = 0.05, .weight_decay = 0.5});
  both.step(x, g);
  one.step(b, gb);
  both.set_group({"slow", 0.25, 1});
  one.config() = {.lr = 0.025, .weight_decay = 0.25};
  both.step(x, g);
  one.step(b, gb);
  EXPECT_TRUE(same_bits(b, {x.begin() + 54, x.end()}));
  EXPECT_TRUE(refused([&] { both.set_group({"fast"}); }, "a group", "one of the layout's groups", "'fast'"));
  EXPECT_TRUE(refused([&] { both.set_group({"slow", -1}); }, "lr factor", "[0, 1e+300]", "-1"));
}

// One model, two optimizers, each with the groups that are its own.
TEST(muon, with_adamw_for_the_rest) {
  const layout l{{{"w", {8, 8}, "matrices"}, {"bias", {8}}}, {{.name = "matrices"}}};
  frugal::muon matrices(cpu, l.only({"matrices"}), {.lr = 0.1});
  frugal::adamw rest(cpu, l.only({"default"}), {.lr = 0.1});
  auto x = numbers(l.size(), 1);
  const auto start = x, g = numbers(l.size(), 2);
  matrices.step(x, g);
  EXPECT_TRUE(same_bits(std::vector<float>(start.begin() + 64, start.end()), {x.begin() + 64, x.end()}));
  const auto middle = x;
  rest.step(x, g);
  EXPECT_TRUE(same_bits(std::vector<float>(middle.begin(), middle.begin() + 64), {x.begin(), x.begin() + 64}));
  EXPECT_FALSE(same_bits(middle, x));
  EXPECT_EQ(matrices.state_bytes(), 4u * 64);
  EXPECT_EQ(rest.state_bytes(), 8u * 8);
  EXPECT_TRUE(refused([&] { l.only({"nothing"}); }, "a group", "one of the layout's groups", "'nothing'"));
}

TEST(muon, options_of_a_step) {
  same_on_every_backend([](auto const& b) {
    using space = typename std::remove_cvref_t<decltype(b)>::space;
    const layout l{{"w", {6, 9}}};
    const there x(b, numbers(54, 1));
    const there g(b, numbers(54, 2));
    auto bad = numbers(54, 2);
    bad[7] = std::numeric_limits<float>::infinity();
    const there nan(b, bad);
    const there<float, std::remove_cvref_t<decltype(b)>> found(b, {1.f});
    const there<double, std::remove_cvref_t<decltype(b)>> rate(b, {0.25});
    frugal::muon opt(b, l, {.lr = 0.1}), twin(b, l, {.lr = 0.25});
    opt.options().skip_nonfinite = true;
    const auto before = x.get();
    opt.step(x.all(), nan.constant());
    EXPECT_TRUE(same_bits(before, x.get()));
    opt.options().found_inf = frugal::view<float const, space>(found.constant());
    opt.step(x.all(), g.constant());
    EXPECT_TRUE(same_bits(before, x.get()));
    EXPECT_EQ(opt.report().skipped, 2);
    EXPECT_EQ(opt.report().steps, 0);
    EXPECT_TRUE(same_bits(frugal::save_state(twin), frugal::save_state(opt)));
    opt.options().found_inf = {};
    opt.options().lr = rate.constant();
    opt.step(x.all(), g.constant());
    const there y(b, before);
    twin.step(y.all(), g.constant());
    EXPECT_TRUE(same_bits(y.get(), x.get()));
    EXPECT_NEAR(opt.report().gradient_norm, std::sqrt(frugal::sum_of_squares(b, g.all())), 1e-12);
    return x.get();
  });
}

TEST(muon, a_step_allocates_nothing) {
  const layout l{{"w", {40, 50}}, {"v", {20, 10}}};
  auto x = numbers(l.size(), 1), g = numbers(l.size(), 2);
  frugal::muon opt(cpu, l);
  opt.options().clip_norm = 1;
  const long before = allocations;
  opt.step(x, g);
  EXPECT_EQ(allocations - before, 0);
  EXPECT_EQ(opt.state_bytes(), 4u * 2200);
}

TEST(muon, mistakes_are_refused) {
  const auto make = [](muon_config const& c) { return [c] { frugal::muon(cpu, layout{{"w", {3, 4}}}, c); }; };
  EXPECT_TRUE(refused(make({.lr = -1}), "lr", "[0, 1e+30]", "-1"));
  EXPECT_TRUE(refused(make({.momentum = 1}), "momentum", "[0, 1)", "1"));
  EXPECT_TRUE(refused(make({.weight_decay = -1}), "weight_decay", "[0, 1e+30]", "-1"));
  EXPECT_TRUE(refused(make({.lr = 2, .weight_decay = 1}), "lr * weight_decay", "[0, 1]", "2"));
  EXPECT_TRUE(refused(make({.iteration = {.steps = 0}}), "the steps of the iteration", ">= 1", "0"));
  EXPECT_TRUE(refused(make({.iteration = {.b = std::nan("")}}), "the second coefficient", "[-1e+30, 1e+30]", "nan"));
  EXPECT_TRUE(refused(
      [] {
        frugal::muon(cpu, layout{{"bias", {5}}});
      },
      "tensor 'bias' under muon", "a matrix, or a frozen group (layout::only)", "1 axis"));
  frugal::muon opt(cpu, layout{{"w", {3, 4}}});
  std::vector<float> x(12, 1.f), g(12, 2.f), small(11);
  const auto before = frugal::save_state(opt);
  EXPECT_TRUE(refused([&] { opt.step(x, x); }, "parameters and gradients", "memory of their own each", "an overlap"));
  EXPECT_TRUE(refused([&] { opt.step(x, small); }, "gradient", "12 elements", "11"));
  EXPECT_TRUE(refused([&] { opt.step(small, g); }, "parameters", "12 elements", "11"));
  opt.options().clip_norm = 0;
  EXPECT_TRUE(refused([&] { opt.step(x, g); }, "clip_norm", "> 0", "0"));
  EXPECT_TRUE(same_bits(before, frugal::save_state(opt)));
  EXPECT_TRUE(same_bits(std::vector<float>(12, 1.f), x));
  frugal::muon other(cpu, layout{{"w", {4, 3}}});
  EXPECT_TRUE(
      refused([&] { frugal::restore_state(other, before); }, "a saved state's layout", "the tensors", "others"));
}

}  // namespace
