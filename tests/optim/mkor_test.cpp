// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/mkor.hpp>

#include <cmath>
#include <limits>

#include "optim/linear_layers.hpp"

namespace {
using namespace frugal_test;
using frugal::half_state;
using frugal::linear_layer;
using frugal::linear_layers;
using frugal::mkor;
using frugal::mkor_config;
using frugal::mkor_update;
const frugal::serial_backend cpu;
const double never = 1e300;  // the stabiliser's threshold

mkor_update update_of(golden_case const& c) {
  auto const& name = c.words("update")[0];
  if (name == "printed") return mkor_update::printed;
  return name == "released" ? mkor_update::released : mkor_update::sherman_morrison;
}
mkor_config config_of(golden_case const& c) {
  mkor_config to{
      .update = update_of(c), .clip = c.config("clip"), .threshold = c.config("threshold"), .zeta = c.config("zeta")};
  read_golden_config(to, c);
  return to;
}

// A rounding of J comes back divided by gamma at each refresh, 25 of them: by 14 for 0.9; a direction is a product with
// two such matrices. In double 2^-53, in float 2^-24, times a few hundred.
TEST(mkor, golden) {
  for (golden_case const& c : read_golden("mkor.txt")) {
    mkor wide(cpu, golden_layers, config_of(c), frugal::types<double>{});
    follows_golden<double>(wide, c, 1e-13);
    mkor narrow(cpu, golden_layers, config_of(c));
    follows_golden<float>(narrow, c, 5e-5);
  }
}

// One layer of 2 inputs and 1 output without a bias, one row: v = (1, 2) from J = I, by hand.
TEST(mkor, worked_numbers) {
  const auto inverse = [](mkor_update u, double gamma, std::int64_t refreshes) {
    mkor pre(cpu, frugal::layout{{"w", {1, 2}}}, {.gamma = gamma, .refresh_every = 1, .update = u},
             frugal::types<double>{});
    std::vector<double> a{1, 2}, zero{0, 0}, g{1, 1};
    for (std::int64_t k = 0; k < refreshes; ++k) {
      double* const rows = k + 1 == refreshes ? a.data() : zero.data();
      pre.observe(0, frugal::mat_view<double>(rows, 1, 2), frugal::mat_view<double>(zero.data(), 1, 1));
      pre.precondition(g);
    }
    return numbers_of<double>(cpu, pre.input_factor(0));
  };
  EXPECT_TRUE(close_to(inverse(mkor_update::sherman_morrison, 0.9, 1),
                       {1.0317460317, -0.1587301587, -0.1587301587, 0.7936507937}, 1e-9));
  EXPECT_TRUE(close_to(inverse(mkor_update::released, 0.95, 2),
                       {0.8333333333, -0.3333333333, -0.3333333333, 0.3333333333}, 1e-9));
  EXPECT_TRUE(
      close_to(inverse(mkor_update::printed, 0.9, 1), {0.9851426139, 0.1702852278, 0.1702852278, 1.2405704555}, 1e-9));
}

// J against the inverse of the running F, factored and inverted at once.
TEST(mkor, is_the_inverse) {
  const index_t n = 19, out = 6;
  mkor pre(cpu, frugal::layout{{"fc.weight", {out, n - 1}}, {"fc.bias", {out}}},
           {.gamma = 0.9, .refresh_every = 1, .threshold = never}, frugal::types<double>{});
  const frugal::linalg la(cpu);
  std::vector<double> f(std::size_t(n * n), 0.), inverse(f.size()), v(static_cast<std::size_t>(n));
  const frugal::mat_view<double> all(f.data(), n, n), to(inverse.data(), n, n);
  for (index_t i = 0; i < n; ++i) all(i, i) = 1;
  auto factorization = la.cholesky<double>(n);
  for (int t = 0; t < 30; ++t) {
    const auto a = rows_of<double>(cpu, 8, n - 1, std::uint32_t(t), 1, 0.1),
               dy = rows_of<double>(cpu, 8, out, std::uint32_t(100 + t));
    std::vector<double> g(std::size_t(out * n), 1.);
    pre.observe(0, a(), dy());
    pre.precondition(g);
    for (index_t j = 0; j < n; ++j) {
      v[std::size_t(j)] = j + 1 == n ? 1 : 0;
      for (index_t i = 0; i < 8 && j + 1 < n; ++i) v[std::size_t(j)] += a()(i, j) / 8;
    }
    la.rank_1(0.1, frugal::view<double const>(v), frugal::view<double const>(v), 0.9, all);
    factorization.factor(all);
    factorization.inverse(to);
    EXPECT_TRUE(close_to(numbers_of<double>(cpu, pre.input_factor(0)), inverse, 1e-12)) << t;
  }
}

// In all storages: exactly symmetric and positive definite; the released one at most the identity.
template <class Storage>
void positive(mkor_update update, Storage s) {
  mkor pre(cpu, golden_layers, {.refresh_every = 1, .update = update, .threshold = 10}, s);
  for (int t = 0; t < 60; ++t) golden_step<float>(pre, t);
  for (index_t side = 0; side < 4; ++side) {
    const auto j = side % 2 ? pre.output_factor(side / 2) : pre.input_factor(side / 2);
    for (index_t i = 0; i < j.rows(); ++i)
      for (index_t k = 0; k < i; ++k) ASSERT_EQ(j(i, k), j(k, i));
    std::vector<float> values(std::size_t(j.rows()), 0.f), vectors(std::size_t(j.rows() * j.rows()), 0.f);
    const frugal::linalg la(cpu);
    auto eigen = la.template eigen<float>(j.rows());
    eigen(j, frugal::view<float>(values), frugal::mat_view<float>(vectors.data(), j.rows(), j.rows()));
    EXPECT_GT(values.front(), 0) << pre.algorithm() << ", rule " << int(update);
    if (update == mkor_update::released) {
      EXPECT_LE(values.back(), 1 + 1e-3);
    }
  }
}
TEST(mkor, stays_symmetric_and_positive) {
  for (auto u : {mkor_update::sherman_morrison, mkor_update::released}) {
    positive(u, frugal::full{});
    positive(u, half_state{});
    positive(u, frugal::bf16_state{});
  }
}

// What 16 bits round away from an eigenvalue of 1e-5 beside 1: the diagonal gets it back.
template <class Storage>
void narrow_and_positive(Storage s) {
  const index_t n = 16;
  mkor pre(cpu, frugal::layout{{"w", {1, n}}}, {.refresh_every = 1}, s);
  const frugal::linalg la(cpu);
  auto eigen = la.template eigen<float>(n);
  for (int t = 0; t < 40; ++t) {
    const auto a = rows_of<float>(cpu, 1, n, std::uint32_t(t % 3), 30, 60), dy = rows_of<float>(cpu, 1, 1, 7);
    std::vector<float> g(n, 1.f), values(n), vectors(n * n);
    pre.observe(0, a(), dy());
    pre.precondition(g);
    eigen(pre.input_factor(0), frugal::view<float>(values), frugal::mat_view<float>(vectors.data(), n, n));
    EXPECT_GT(values.front(), 0) << pre.algorithm() << ", step " << t;
  }
}
TEST(mkor, narrow_factors_stay_positive) {
  narrow_and_positive(half_state{});
  narrow_and_positive(frugal::bf16_state{});
}

// Along what it meets again and again, the rule as printed grows without end, where the inverse gets smaller.
TEST(mkor, the_printed_rule_amplifies) {
  const auto along = [](mkor_update u) {
    mkor pre(cpu, frugal::layout{{"w", {1, 2}}}, {.gamma = 0.9, .refresh_every = 1, .update = u, .threshold = never});
    std::vector<float> a{3, 4}, zero{0}, g{1, 1};
    for (int t = 0; t < 20; ++t) {
      pre.observe(0, frugal::mat_view<float>(a.data(), 1, 2), frugal::mat_view<float>(zero.data(), 1, 1));
      pre.precondition(g);
    }
    const auto j = pre.input_factor(0);
    return (9 * j(0, 0) + 24 * j(0, 1) + 16 * j(1, 1)) / 25;  // v^T J v / v^T v
  };
  EXPECT_GT(along(mkor_update::printed), std::pow(2., 20 / 2));
  EXPECT_LT(along(mkor_update::sherman_morrison), 0.06);  // 1 / 25 in the end
}

// Means that no longer fit a J that roundings have made indefinite: it begins anew.
TEST(mkor, an_indefinite_factor_begins_anew) {
  const frugal::layout l{{"w", {1, 2}}};
  mkor pre(cpu, l, {.refresh_every = 1, .fall_back = {}}, frugal::types<double>{});
  auto saved = frugal::save_state(pre);
  for (auto& p : saved.pieces)
    if (p.name == "inputs.0") {
      const double broken[] = {1, 2, 2, 1};
      std::memcpy(p.bytes.data(), broken, sizeof broken);
    }
  frugal::restore_state(pre, saved);
  std::vector<double> a{1, -1}, zero{0}, g{1, 1};
  pre.observe(0, frugal::mat_view<double>(a.data(), 1, 2), frugal::mat_view<double>(zero.data(), 1, 1));
  pre.precondition(g);
  EXPECT_TRUE(same_bits(numbers_of<double>(cpu, pre.input_factor(0)), {1, 0, 0, 1}));
}

// Nothing is excited: J grows by 1 / gamma a refresh until the stabiliser holds it; the released rule stays at I.
TEST(mkor, stabiliser) {
  const auto largest = [](mkor_config c, int steps) {
    c.refresh_every = 1;
    mkor pre(cpu, frugal::layout{{"w", {3, 5}}}, c);
    const placed<float, frugal::serial_backend> a(cpu, 2, 5, std::vector<float>(10)),
        dy(cpu, 2, 3, std::vector<float>(6));
    std::vector<float> most;
    for (int t = 0; t < steps; ++t) {
      std::vector<float> g = even_numbers<float>(15, std::uint32_t(t));
      const auto before = g;
      pre.observe(0, a(), dy());
      pre.precondition(g);
      EXPECT_TRUE(close_to(g, widened(before), 1e-5)) << "a multiple of the identity, rescaled";
      most.push_back(pre.input_factor(0)(4, 4));
    }
    return most;
  };
  EXPECT_NEAR(largest({.gamma = 0.5, .threshold = never}, 20).back(), std::ldexp(1., 20), 1);
  const auto held = largest({.gamma = 0.5, .threshold = 10, .zeta = 0.375}, 50);
  for (std::size_t t = 1; t < held.size(); ++t)
    EXPECT_NEAR(held[t], 2 * (held[t - 1] > 10 ? 0.375 * held[t - 1] + 0.625 : held[t - 1]), 1e-5) << t;
  EXPECT_LE(*std::max_element(held.begin(), held.end()), 20);
  EXPECT_NEAR(largest({.update = mkor_update::released}, 100).back(), 1, 1e-5);
}

// Where nothing is met any more, the released rule forgets what was: J - I falls by gamma a refresh.
TEST(mkor, the_released_rule_goes_back_to_the_identity) {
  const double gamma = 0.9;
  mkor pre(cpu, frugal::layout{{"w", {3, 5}}}, {.gamma = gamma, .refresh_every = 1, .update = mkor_update::released},
           frugal::types<double>{});
  std::vector<double> g(15, 1.);
  for (std::uint32_t t = 0; t < 10; ++t) {
    pre.observe(0, rows_of<double>(cpu, 2, 5, t, 1, 1)(), rows_of<double>(cpu, 2, 3, 50 + t, 1, 1)());
    pre.precondition(g);
  }
  const placed<double, frugal::serial_backend> a(cpu, 2, 5, std::vector<double>(10)),
      dy(cpu, 2, 3, std::vector<double>(6));
  auto inputs = numbers_of<double>(cpu, pre.input_factor(0)), outputs = numbers_of<double>(cpu, pre.output_factor(0));
  for (auto* j : {&inputs, &outputs}) EXPECT_LT(*std::min_element(j->begin(), j->end()), -0.1) << "not I";
  for (int t = 0; t < 200; ++t) {
    pre.observe(0, a(), dy());
    pre.precondition(g);
    for (std::size_t i = 0; i < inputs.size(); ++i) inputs[i] = gamma * inputs[i] + (i % 6 == 0 ? 1 - gamma : 0);
    for (std::size_t i = 0; i < outputs.size(); ++i) outputs[i] = gamma * outputs[i] + (i % 4 == 0 ? 1 - gamma : 0);
    EXPECT_TRUE(close_to(numbers_of<double>(cpu, pre.input_factor(0)), inputs, 1e-13)) << t;
    EXPECT_TRUE(close_to(numbers_of<double>(cpu, pre.output_factor(0)), outputs, 1e-13)) << t;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) EXPECT_NEAR(pre.input_factor(0).data()[i], i % 6 == 0, 1e-9);
}

TEST(mkor, rescales_the_sum_of_the_norms) {
  const auto norm = [](std::vector<float> const& v, std::size_t from, std::size_t to) {
    double s = 0;
    for (std::size_t i = from; i < to; ++i) s += double(v[i]) * double(v[i]);
    return std::sqrt(s);
  };
  mkor pre(cpu, golden_layers, {.refresh_every = 3});
  for (int t = 0; t < 20; ++t) {
    const auto g = even_numbers<float>(29, std::uint32_t(10000 + 100 * t)), d = golden_step<float>(pre, t);
    EXPECT_NEAR(norm(d, 0, 12) + norm(d, 12, 16), norm(g, 0, 12) + norm(g, 12, 16), 1e-5) << t;
    EXPECT_NEAR(norm(d, 16, 24), norm(g, 16, 24), 1e-5) << t;
    for (std::size_t i = 24; i < 29; ++i) EXPECT_EQ(d[i], g[i]) << "of no layer";
  }
}

// Of J = 4 I, as nothing was excited: the squares of a gradient of 1.5e19 are floats, those of its direction are not.
TEST(mkor, rescales_no_norm_that_overflows) {
  mkor pre(cpu, frugal::layout{{"w", {1, 1}}}, {.gamma = 0.25, .refresh_every = 1});
  std::vector<float> zero{0}, g{1.5e19f};
  pre.observe(0, frugal::mat_view<float>(zero.data(), 1, 1), frugal::mat_view<float>(zero.data(), 1, 1));
  pre.precondition(g);
  EXPECT_EQ(numbers_of<float>(cpu, pre.output_factor(0))[0], 4);
  EXPECT_EQ(g[0], 1.5e19f);
}

TEST(mkor, zeros_and_nans) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  mkor pre(cpu, golden_layers, {.refresh_every = 1});
  golden_step<float>(pre, 0);
  observe_golden<float>(pre, 1);
  std::vector<float> g(29, 0.f);
  g[20] = nan;
  pre.precondition(g);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(g[i], 0) << "a zero gradient of a layer";
  EXPECT_NE(g[20], g[20]);
  // A mean that is not a number leaves its matrix as it was.
  const auto before = numbers_of<float>(cpu, pre.input_factor(0)), other = numbers_of<float>(cpu, pre.output_factor(0));
  observe_golden<float>(pre, 2);
  pre.statistics()[1] = nan;
  pre.precondition(g);
  EXPECT_TRUE(same_bits(before, numbers_of<float>(cpu, pre.input_factor(0))));
  EXPECT_FALSE(same_bits(other, numbers_of<float>(cpu, pre.output_factor(0))));
}

// Two workers with half of the rows each, whose means are averaged, are one with all of them: gradients of means over
// half as many rows are twice as large.
TEST(mkor, workers_average_the_means) {
  const frugal::layout l{{"fc.weight", {3, 4}}, {"fc.bias", {3}}};
  const mkor_config how{.refresh_every = 1};
  mkor one(cpu, l, how), two(cpu, l, how), alone(cpu, l, how);
  for (int t = 0; t < 10; ++t) {
    const auto a = rows_of<float>(cpu, 8, 4, std::uint32_t(t), 1, 0.5),
               dy = rows_of<float>(cpu, 8, 3, std::uint32_t(50 + t));
    auto twice = dy.get();
    for (float& x : twice) x *= 2;
    alone.observe(0, a(), dy());
    one.observe(0, a().block(0, 0, 4, 4), frugal::mat_view<float>(twice.data(), 4, 3));
    two.observe(0, a().block(4, 0, 4, 4), frugal::mat_view<float>(twice.data() + 12, 4, 3));
    const auto x = one.statistics(), y = two.statistics();
    ASSERT_EQ(x.size(), 5 + 3);
    for (index_t i = 0; i < x.size(); ++i) x[i] = y[i] = (x[i] + y[i]) / 2;
    std::vector<float> g = even_numbers<float>(15, std::uint32_t(t)), h = g, k = g;
    one.precondition(g);
    two.precondition(h);
    alone.precondition(k);
    EXPECT_TRUE(same_bits(g, h));
    EXPECT_TRUE(close_to(g, widened(k), 1e-5));
  }
}

TEST(mkor, a_convolution_of_one_position_is_a_linear_layer) {
  std::vector<float> results[2];
  int k = 0;
  for (frugal::layout const& l : {frugal::layout{{"c.weight", {4, 3, 1, 1}}, {"c.bias", {4}}},
                                  frugal::layout{{"c.weight", {4, 3}}, {"c.bias", {4}}}}) {
    mkor pre(cpu, l, {.refresh_every = 1});
    for (int t = 0; t < 3; ++t) {
      pre.observe(pre.layer("c.weight"), rows_of<float>(cpu, 5, 3, 1)(), rows_of<float>(cpu, 5, 4, 2)());
      std::vector<float> g = even_numbers<float>(16, 3);
      pre.precondition(g);
      append(results[k], g);
    }
    ++k;
  }
  EXPECT_TRUE(same_bits(results[0], results[1]));
}

TEST(mkor, every_backend_gives_the_same_bits) {
  for (auto u : {mkor_update::sherman_morrison, mkor_update::released})
    same_on_every_backend([&](auto const& b) {
      return directions(mkor(b, many_layers, {.refresh_every = 2, .update = u, .threshold = 1.2}));
    });
  same_on_every_backend(
      [&](auto const& b) { return directions(mkor(b, many_layers, {.refresh_every = 1}, half_state{})); });
}
TEST(mkor, a_device_gives_the_bits_of_serial) {  // which are these
  const mkor_config how{.refresh_every = 2};
  EXPECT_EQ(digest_of(directions(mkor(cpu, device_layers, how))), mkor_digest);
  EXPECT_EQ(digest_of(directions(mkor(cpu, device_layers, how, half_state{}))), mkor_digest_of_half);
}

TEST(mkor, narrow_factors) {
  mkor full(cpu, golden_layers, {});
  mkor narrow(cpu, golden_layers, {}, half_state{});
  mkor brain(cpu, golden_layers, {}, frugal::bf16_state{});
  for (int t = 0; t < 40; ++t) {
    const auto d = widened(golden_step<float>(full, t));
    EXPECT_TRUE(close_to(golden_step<float>(narrow, t), d, 5e-3)) << t;  // 4 refreshes, 2^-11 of the largest each
    EXPECT_TRUE(close_to(golden_step<float>(brain, t), d, 4e-2)) << t;   // 2^-8
  }
  for (float x : numbers_of<float>(cpu, narrow.input_factor(0)))
    EXPECT_EQ(x, frugal::to_float(frugal::to_half(x))) << "what is computed with is what is stored";
  EXPECT_EQ(narrow.algorithm(), "mkor/half");
  // s ((i + 1)^2 + o^2) a layer, here of multiples of 32, and 4 (i + 1 + o) of means
  const frugal::layout l{{"fc.weight", {32, 63}}, {"fc.bias", {32}}};
  EXPECT_EQ(mkor(cpu, l).state_bytes(), 4u * (64 * 64 + 32 * 32) + 4 * (64 + 32));
  EXPECT_EQ(mkor(cpu, l, {}, half_state{}).state_bytes(), 2u * (64 * 64 + 32 * 32) + 4 * (64 + 32));
}

TEST(mkor, refreshes_when_they_are_due) {
  mkor pre(cpu, golden_layers, {.refresh_every = 5, .warmup_steps = 3});
  for (int t = 0; t < 16; ++t) {
    EXPECT_EQ(pre.due(), t < 3 || t % 5 == 0) << t;
    const auto before = numbers_of<float>(cpu, pre.input_factor(1));
    if (pre.due()) golden_step<float>(pre, t);
    else {
      std::vector<float> g = even_numbers<float>(29, 1);
      pre.precondition(g);  // needs no observations
    }
    EXPECT_EQ(same_bits(before, numbers_of<float>(cpu, pre.input_factor(1))), !(t < 3 || t % 5 == 0)) << t;
  }
  EXPECT_EQ(pre.steps(), 16);
}

// What was observed for a step that is due no longer is not in the way of the next one.
TEST(mkor, an_interval_may_change_after_an_observation) {
  mkor pre(cpu, golden_layers, {.refresh_every = 1}), other(cpu, golden_layers, {.refresh_every = 1});
  golden_step<float>(pre, 0), golden_step<float>(other, 0);
  std::vector<float> g(29, 1.f);
  observe_golden<float>(pre, 1);
  for (auto* p : {&pre, &other}) {
    p->config().refresh_every = 7;
    p->precondition(g);
    p->config().refresh_every = 1;
    golden_step<float>(*p, 2);
  }
  EXPECT_TRUE(same_bits(frugal::save_state(pre), frugal::save_state(other)));
}

TEST(mkor, a_state_between_observation_and_step) {
  mkor a(cpu, golden_layers, {.refresh_every = 1}), b(cpu, golden_layers, {.refresh_every = 1});
  for (int t = 0; t < 3; ++t) golden_step<float>(a, t);
  observe_golden<float>(a, 3);
  frugal::restore_state(b, frugal::save_state(a));
  std::vector<float> g = even_numbers<float>(29, 1), h = g;
  a.precondition(g);
  b.precondition(h);
  EXPECT_TRUE(same_bits(g, h));
  EXPECT_TRUE(same_bits(frugal::save_state(a), frugal::save_state(b)));
}

// MKOR-H. Means of two losses: 8, 4 (half of it), 3.999, 4: the third and the fourth reduction are poor.
TEST(mkor, falls_back) {
  mkor pre(cpu, golden_layers, {.refresh_every = 1, .fall_back = {.window = 2, .tolerance = 1e-3, .patience = 2}});
  golden_step<float>(pre, 0);
  for (double loss : {7., 9., 5., 3., 3.999, 3.999, 4., 3.}) pre.observe_loss(loss);  // 8, 4, 3.999, 3.5
  EXPECT_FALSE(pre.has_fallen_back());
  pre.observe_loss(3.5);
  pre.observe_loss(3.5);
  const auto saved = frugal::save_state(pre);
  for (double loss : {3.5, 3.499}) {
    EXPECT_FALSE(pre.has_fallen_back());
    pre.observe_loss(loss);
  }
  EXPECT_TRUE(pre.has_fallen_back());
  EXPECT_FALSE(pre.due());
  std::vector<float> g = even_numbers<float>(29, 1);
  const auto before = g;
  observe_golden<float>(pre, 1);
  pre.precondition(g);
  EXPECT_TRUE(same_bits(g, before));
  frugal::restore_state(pre, saved);
  EXPECT_FALSE(pre.has_fallen_back());
  const double inf = std::numeric_limits<double>::infinity();
  for (double loss : {std::nan(""), inf, -inf, 1e300, std::nan("")})
    EXPECT_TRUE(refused([&] { pre.observe_loss(loss); }, "the loss of a step", "[-1e+290, 1e+290]", ""));
  EXPECT_TRUE(same_bits(saved, frugal::save_state(pre)));

  mkor later(cpu, golden_layers, {.fall_back = {.window = 1, .patience = 1, .min_steps = 1}});
  for (int k = 0; k < 5; ++k) later.observe_loss(1);
  EXPECT_FALSE(later.has_fallen_back());
  golden_step<float>(later, 0);
  later.observe_loss(1);
  EXPECT_TRUE(later.has_fallen_back());
  mkor asked(cpu, golden_layers);
  asked.fall_back();
  EXPECT_TRUE(asked.has_fallen_back());
}

TEST(mkor, layers) {
  const frugal::layout l({{"a.weight", {3, 4}},
                          {"a.bias", {3}},
                          {"b.weight", {5, 2}},
                          {"b.bias", {4}},
                          {"c", {2, 2}},
                          {"frozen.weight", {2, 2}, "still"},
                          {"table", {9000, 2}},
                          {"empty", {0, 2}}},
                         {{.name = "still", .frozen = true}});
  mkor found(cpu, l);
  EXPECT_EQ(found.layers(), 3);  // a with its bias, b without one of another size, c
  EXPECT_EQ(found.input_factor(0).rows(), 5);
  EXPECT_EQ(found.input_factor(1).rows(), 2);
  EXPECT_EQ(found.layer("c"), 2);
  // A bias of two axes is one, also of a weight that is left out; a frozen one is left out.
  const frugal::layout rows({{"a.bias", {1, 3}},
                             {"a.weight", {3, 4}},
                             {"b.weight", {5, 2}},
                             {"b.bias", {5}, "still"},
                             {"c.weight", {2, 9000}},
                             {"c.bias", {1, 2}}},
                            {{.name = "still", .frozen = true}});
  mkor two(cpu, rows);
  ASSERT_EQ(two.layers(), 2);
  EXPECT_EQ(two.input_factor(two.layer("a.weight")).rows(), 5);
  EXPECT_EQ(two.input_factor(two.layer("b.weight")).rows(), 2);
  mkor named(cpu, l, {}, linear_layers{{linear_layer{"c"}, {"b.weight"}, {"a.weight", "a.bias"}}});
  EXPECT_EQ(named.layer("c"), 0);
  EXPECT_EQ(named.input_factor(2).rows(), 5);
  const auto with = [&](std::vector<linear_layer> which) {
    return [&l, which] { mkor(cpu, l, {}, linear_layers{which}); };
  };
  EXPECT_TRUE(refused(with({{"x"}}), "a layer's tensor", "one of the layout's", "x"));
  EXPECT_TRUE(refused(with({{"c", "x"}}), "a layer's tensor", "one of the layout's", "x"));
  EXPECT_TRUE(refused(with({{"a.bias"}}), "the weight of a layer", "two axes", "a.bias"));
  EXPECT_TRUE(refused(with({{"empty"}}), "the weight of a layer", "two axes", "empty"));
  EXPECT_TRUE(refused(with({{"b.weight", "b.bias"}}), "the size of a layer's bias", "5", "4"));
  EXPECT_TRUE(refused(with({{"c"}, {"c"}}), "a tensor of the layers", "one layer's", "c"));
  EXPECT_TRUE(refused([] { mkor(cpu, frugal::layout(5)); }, "the layers", "at least one", "none"));
  EXPECT_TRUE(refused([&] { found.layer("x"); }, "a layer", "the weight of one", "'x'"));
}

TEST(mkor, refusals) {
  const auto made = [](mkor_config c) { return [c] { mkor(cpu, golden_layers, c); }; };
  EXPECT_TRUE(refused(made({.gamma = 0}), "gamma", "(0, 1)", "0"));
  EXPECT_TRUE(refused(made({.gamma = 1}), "gamma", "(0, 1)", "1"));
  EXPECT_TRUE(refused(made({.gamma = std::nan("")}), "gamma", "(0, 1)", ""));
  EXPECT_TRUE(refused(made({.refresh_every = 0}), "refresh_every", ">= 1", "0"));
  EXPECT_TRUE(refused(made({.warmup_steps = -1}), "warmup_steps", ">= 0", "-1"));
  EXPECT_TRUE(refused(made({.clip = 0}), "clip", "(0, 1e30]", "0"));
  EXPECT_TRUE(refused(made({.threshold = 1}), "threshold", "(1, 1e300]", "1"));
  mkor_config high{.gamma = 0.5, .threshold = 16376};  // of half's 65504 a quarter
  mkor held(cpu, golden_layers, high, half_state{});
  high.threshold = 16377;
  EXPECT_TRUE(refused([&] { mkor(cpu, golden_layers, high, half_state{}); }, "threshold, with factors in half",
                      "(1, 16376]", "16377"));
  held.config() = high;
  EXPECT_TRUE(refused([&] { held.due(); }, "threshold, with factors in half", "(1, 16376]", "16377"));
  high.threshold = 1e38;
  EXPECT_TRUE(refused([&] { mkor(cpu, golden_layers, high, frugal::bf16_state{}); }, "threshold, with factors in bf16",
                      "(1, 8.47383e+37]", "1e+38"));
  EXPECT_TRUE(refused(made({.zeta = 1.5}), "zeta", "[0, 1]", "1.5"));
  EXPECT_TRUE(refused(made({.micro_batches = 0}), "micro_batches", ">= 1", "0"));
  EXPECT_TRUE(refused(made({.gradient_scale = 0}), "gradient_scale", "(0, 1e300]", "0"));
  EXPECT_TRUE(refused(made({.fall_back = {.window = 0}}), "fall_back.window", ">= 1", "0"));
  EXPECT_TRUE(refused(made({.fall_back = {.patience = 0}}), "fall_back.patience", ">= 1", "0"));
  EXPECT_TRUE(refused(made({.fall_back = {.tolerance = std::nan("")}}), "fall_back.tolerance", "", ""));
  EXPECT_TRUE(refused(made({.fall_back = {.min_steps = -1}}), "fall_back.min_steps", ">= 0", "-1"));

  mkor pre(cpu, golden_layers, {.refresh_every = 1});
  golden_step<float>(pre, 0);
  const auto before = frugal::save_state(pre);
  const auto a = rows_of<float>(cpu, 6, 3, 1), dy = rows_of<float>(cpu, 6, 4, 2);
  std::vector<float> g(29, 1.f);
  const auto g0 = g;
  EXPECT_TRUE(refused([&] { pre.observe(2, a(), dy()); }, "a layer", "0 to 1", "2"));
  EXPECT_TRUE(refused([&] { pre.observe(0, dy(), dy()); }, "activations", "6 x 3", "6 x 4"));
  EXPECT_TRUE(refused([&] { pre.observe(0, a(), dy().block(0, 0, 5, 4)); }, "the output gradients of a layer", "6 x 4",
                      "5 x 4"));
  EXPECT_TRUE(refused([&] { pre.observe(0, a().block(0, 0, 0, 3), dy().block(0, 0, 0, 4)); }, "the rows of activations",
                      ">= 1", "0"));
  EXPECT_TRUE(
      refused([&] { pre.precondition(g); }, "the observations of layer 'fc1.weight' before this step", "1", "0"));
  std::vector<float> shorter(28);
  EXPECT_TRUE(refused([&] { pre.precondition(shorter); }, "the gradient", "29 elements", "28"));
  pre.config().zeta = 2;
  EXPECT_TRUE(refused([&] { pre.precondition(g); }, "zeta", "[0, 1]", "2"));
  EXPECT_TRUE(refused([&] { pre.observe(0, a(), dy()); }, "zeta", "[0, 1]", "2"));
  EXPECT_TRUE(refused([&] { pre.observe_loss(1); }, "zeta", "[0, 1]", "2"));
  EXPECT_TRUE(refused([&] { pre.due(); }, "zeta", "[0, 1]", "2"));
  pre.config().zeta = 0.9;
  pre.config().refresh_every = 0;
  EXPECT_TRUE(refused([&] { pre.due(); }, "refresh_every", ">= 1", "0"));
  pre.config().refresh_every = 1;
  EXPECT_TRUE(same_bits(before, frugal::save_state(pre)));
  pre.observe(0, a(), dy());
  const auto seen = frugal::save_state(pre);
  EXPECT_TRUE(
      refused([&] { pre.observe(0, a(), dy()); }, "the observations of a layer before a step", "1", "one more"));
  EXPECT_TRUE(refused([&] { pre.precondition(g); }, "'fc2.weight'", "1", "0"));
  EXPECT_TRUE(same_bits(seen, frugal::save_state(pre)));
  EXPECT_TRUE(same_bits(g, g0));
  mkor narrow(cpu, golden_layers, {}, half_state{});
  mkor other(cpu, frugal::layout{{"fc1.weight", {4, 3}}});
  EXPECT_TRUE(refused([&] { frugal::restore_state(narrow, before); }, "algorithm", "mkor/half", "mkor/full"));
  EXPECT_TRUE(refused([&] { frugal::restore_state(other, before); }, "layout", "", ""));
}

TEST(mkor, allocates_nothing) {
  mkor pre(cpu, golden_layers, {.refresh_every = 1});
  mkor narrow(cpu, golden_layers, {.refresh_every = 1}, half_state{});
  const auto a1 = rows_of<float>(cpu, 6, 3, 1), d1 = rows_of<float>(cpu, 6, 4, 2), a2 = rows_of<float>(cpu, 6, 4, 3),
             d2 = rows_of<float>(cpu, 6, 2, 4);
  std::vector<float> g(29, 1.f);
  const long before = allocations;
  for (int t = 0; t < 3; ++t) {
    for (auto step : {0, 1}) {
      const auto go = [&](auto& p) {
        p.observe(0, a1(), d1());
        p.observe(1, a2(), d2());
        p.observe_loss(1);
        p.precondition(g);
      };
      if (step) go(pre);
      else go(narrow);
    }
  }
  EXPECT_EQ(allocations, before);
}

// Least squares with inputs of three decades and a mean: MKOR's directions around the same momentum, at the best of a
// few rates each.
TEST(mkor, converges_where_momentum_crawls) {
  const index_t in = 12, out = 3, rows = 64;
  auto a = rows_of<double>(cpu, rows, in, 5);
  for (index_t i = 0; i < rows; ++i)
    for (index_t j = 0; j < in; ++j) a()(i, j) = (a()(i, j) + 2) * std::pow(10., -1.5 * double(j) / double(in - 1));
  const auto truth = rows_of<double>(cpu, out, in, 6);
  const frugal::linalg la(cpu);
  const auto best = [&](bool preconditioned) {
    double least = 1e9;
    for (double lr : {0.01, 0.03, 0.1, 0.3, 1.}) {
      const frugal::layout l{{"w", {out, in}}};
      mkor pre(cpu, l,
               {
                   .gamma = 0.9,
                   .refresh_every = 1,
               },
               frugal::types<double>{});
      std::vector<double> w(std::size_t(out * in), 0.), g(w.size()), m(w.size()), r(std::size_t(rows * out));
      const frugal::mat_view<double> wm(w.data(), out, in), gm(g.data(), out, in), rm(r.data(), rows, out);
      double loss = 0;
      for (int t = 0; t < 150; ++t) {
        la.gemm(1, a(), transposed(truth()), 0, rm);
        la.gemm(1. / double(rows), a(), transposed(wm), -1. / double(rows), rm);  // the output gradients
        la.gemm(1, transposed(rm), a(), 0, gm);
        loss = 0;
        for (double x : r) loss += x * x * double(rows) / 2;
        if (preconditioned) {
          pre.observe(0, a(), rm);
          pre.precondition(g);
        }
        for (std::size_t i = 0; i < w.size(); ++i) w[i] -= lr * (1 - t / 150.) * (m[i] = 0.9 * m[i] + g[i]);
      }
      if (loss < least) least = loss;
    }
    return least;
  };
  const double with = best(true), without = best(false);
  RecordProperty("losses", std::to_string(with) + " and " + std::to_string(without));
  EXPECT_LT(with, without / 3) << with << " and " << without;
}

}  // namespace
