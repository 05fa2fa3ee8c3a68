// SPDX-License-Identifier: Apache-2.0
#include "golden.hpp"
#include "support/allocations.hpp"
#include "support/refusal.hpp"
#include "training.hpp"

namespace {
using namespace frugal_test;
using frugal::gaussian;
using frugal::index_t;
using frugal::layout;
using frugal::mezo;
using frugal::mezo_config;
using frugal::rademacher;
using frugal::random_stream;
using frugal::restored_from_copy;
using frugal::restored_in_place;
using frugal::serial_backend;
using frugal::spherical;
using frugal::types;

const serial_backend cpu;

TEST(mezo, golden) {
  check_golden([](auto const& run) { return same_on_every_backend(run); });
}

// With a save and a restoration in the middle, which change nothing.
TEST(mezo, digests_of_a_few_steps) {
  const auto saved = [](auto& zo) { frugal::restore_state(zo, frugal::save_state(zo)); };
  mezo normals(cpu, few_tensors(), few_steps);
  EXPECT_EQ(trained(normals, saved), mezo_digest);
  mezo signs(cpu, few_tensors(), few_steps, rademacher{});
  EXPECT_EQ(trained(signs, saved), mezo_digest_of_signs);
  mezo narrow(cpu, few_tensors(), few_steps, rademacher{}, types<frugal::bf16>{});
  EXPECT_EQ(trained(narrow, saved), mezo_digest_of_signs_in_16_bits);
}

// f = 1/2 sum of the first ten x_i^2: the same values whatever the dimension.
TEST(mezo, does_not_see_the_dimension) {
  for (index_t d : {20, 200, 2000}) {
    mezo zo(cpu, d, {.lr = 1. / 12, .seed = 3}, types<double>{});
    std::vector<double> x(std::size_t(d), 1.);
    const auto f = [&] {
      double s = 0;
      for (std::size_t i = 0; i < 10; ++i) s += x[i] * x[i];
      return s / 2;
    };
    const auto expect = [&](std::int64_t t, double value) {
      while (zo.steps() < t) zo.step(x, f);
      EXPECT_NEAR(f() / value, 1, 1e-9) << d << " at " << t;
    };
    expect(1, 4.99941949697809);
    expect(10, 1.1750976173512);
    expect(50, 0.017459721638813);
    expect(100, 1.320386244457e-4);
    expect(200, 4.2453524767e-9);
  }
}

// Logistic regression on numbers of the random format.
TEST(mezo, logistic_regression) {
  constexpr std::size_t n = 256, d = 20;
  const random_stream data{100};
  std::vector<double> a(n * d), y(n);
  const auto z = [&](std::uint64_t dir, std::size_t j) { return double(frugal::normal(data, dir, j)); };
  for (std::size_t j = 0; j < n * d; ++j) a[j] = z(0, j);
  double labels = 0;
  for (std::size_t i = 0; i < n; ++i) {
    double s = 0.5 * z(2, i);
    for (std::size_t k = 0; k < d; ++k) s += a[i * d + k] * z(1, k);
    labels += y[i] = s > 0 ? 1 : -1;
  }
  EXPECT_EQ(labels, 26);
  const auto run = [&](auto kind, std::vector<double> const& pins) {
    mezo zo(cpu, index_t(d), {.lr = 0.2, .seed = 1}, kind, types<double>{});
    std::vector<double> x(d);
    const auto f = [&] {
      double s = 0, norm = 0;
      for (std::size_t i = 0; i < n; ++i) {
        double m = 0;
        for (std::size_t k = 0; k < d; ++k) m += a[i * d + k] * x[k];
        s += std::log1p(std::exp(-y[i] * m));
      }
      for (double v : x) norm += v * v;
      return s / double(n) + 0.005 * norm;
    };
    EXPECT_NEAR(f(), std::log(2), 1e-12);
    std::size_t k = 0;
    for (int t : {1, 10, 100, 500}) {
      while (zo.steps() < t) zo.step(x, f);
      EXPECT_NEAR(f(), pins[k++], 2e-9) << kind.name << " at " << t;
    }
  };
  run(gaussian{}, {0.676240647, 0.516154989, 0.248045238, 0.218659020});
  run(rademacher{}, {0.578998502, 0.505604887, 0.256751252, 0.218682602});
}

// E|G|^2 / |g|^2 = (d + kappa - 2 + n) / n, kappa = 3 for normal numbers, 1 for signs and on the sphere (all within one
// over d): at most five standard errors away. G itself is -x after a step of rate 1 from zero on a linear f.
TEST(mezo, second_moment) {
  constexpr std::size_t d = 64;
  const auto ratio = [&](auto kind, int n, int draws, double expected) {
    mezo zo(cpu, index_t(d), {.lr = 1, .epsilon = 1, .directions = n, .seed = 11}, kind, types<double>{});
    double sum = 0, squares = 0;
    for (int t = 0; t < draws; ++t) {
      std::vector<double> x(d);
      zo.step(x, [&] { return x[5]; });
      double r = 0;
      for (double v : x) r += v * v;
      sum += r, squares += r * r;
    }
    const double mean = sum / draws, error = std::sqrt((squares / draws - mean * mean) / draws);
    EXPECT_NEAR(mean, expected, 5 * error + 1e-9) << kind.name << " " << n;
  };
  ratio(gaussian{}, 1, 20000, 66), ratio(gaussian{}, 4, 10000, 17.25), ratio(gaussian{}, 16, 3000, 81. / 16);
  ratio(rademacher{}, 1, 1000, 64), ratio(rademacher{}, 4, 10000, 16.75), ratio(rademacher{}, 16, 3000, 79. / 16);
  ratio(spherical{}, 1, 10000, 64), ratio(spherical{}, 4, 5000, 16.75);
}

// Normal numbers times one factor, which takes them to length sqrt(d); over all tensors, also where only a range moves.
TEST(mezo, spherical_directions_have_one_length) {
  const layout l{{"a", {100}}, {"b", {211}}};
  mezo sphere(cpu, l, {.seed = 8}, spherical{});
  mezo ball(cpu, l, {.seed = 8}, gaussian{});
  mezo part(cpu, l, {.seed = 8}, spherical{}, frugal::range{50, 200});
  for (int t = 0; t < 3; ++t) {
    std::vector<float> z(311), y(311), few(311);
    sphere.gradient(z, {1}), ball.gradient(y, {1}), part.gradient(few, {1});
    double length = 0;
    const float factor = z[0] / y[0];
    EXPECT_NE(factor, 1);
    for (std::size_t j = 0; j < 311; ++j) {
      length += double(z[j]) * double(z[j]);
      EXPECT_NEAR(z[j], factor * y[j], 1e-6);
      EXPECT_EQ(few[j], j >= 50 && j < 200 ? z[j] : 0);
    }
    EXPECT_NEAR(length, 311, 1e-4);
    sphere.advance(), ball.advance(), part.advance();
  }
}

// The root mean square of what 1, 100 and 1000 times + e z, - 2 e z, + e z leave behind, over that of the weights.
TEST(mezo, drift_of_weights_restored_in_place) {
  constexpr index_t n = 1 << 14;
  const auto drift = [&]<class P>(P, std::vector<double> const& expected) {
    mezo zo(cpu, n, {.epsilon = 1e-3, .seed = 5}, types<P>{}, restored_in_place{});
    std::vector<P> start, x;
    double norm = 0;
    for (index_t j = 0; j < n; ++j) {
      const float w = 0.02f * frugal::normal(random_stream{6}, 1, std::uint64_t(j));
      start.push_back(frugal::detail::narrow<P>(w));
      norm += double(w) * double(w);
    }
    x = start;
    std::size_t k = 0;
    for (int t : {1, 100, 1000}) {
      for (; zo.steps() < t; zo.advance())
        for (int move : {1, -2, 1}) zo.shift(x, 0, move);
      double error = 0;
      for (std::size_t j = 0; j < x.size(); ++j) {
        const double e = double(frugal::detail::widen<float>(x[j])) - double(frugal::detail::widen<float>(start[j]));
        error += e * e;
      }
      const double relative = std::sqrt(error / norm);
      EXPECT_GT(relative, 0.7 * expected[k]) << t;
      EXPECT_LT(relative, 1.4 * expected[k]) << t;
      ++k;
    }
  };
  drift(0.f, {6e-8, 6e-7, 1.9e-6});
  drift(frugal::bf16{}, {4.0e-3, 3.9e-2, 0.12});
}

// Losses that differ at every call, and a look at x at each.
template <class Zo, class X>
struct watcher {
  X& x;
  std::vector<std::vector<float>> seen{};
  double operator()() {
    std::vector<float> now;
    for (auto v : x) now.push_back(frugal::detail::widen<float>(v));
    seen.push_back(now);
    return 0.1 * double(seen.size() * seen.size());
  }
};

TEST(mezo, a_copy_restores_exactly) {
  const auto run = [&]<class P>(P, auto... policies) {
    mezo zo(cpu, 1000, {.lr = 0.01, .seed = 5}, types<P>{}, policies...);
    static_assert(decltype(zo)::is_exact);
    const std::vector<P> start = numbers<P>(1000, 3);
    std::vector<P> x = start;
    watcher<decltype(zo), std::vector<P>> loss{x};
    const double p = zo.probe(x, 4, loss);
    EXPECT_DOUBLE_EQ(p, (0.1 - 0.4) / 2e-3);
    EXPECT_TRUE(same_bits(x, start));
    EXPECT_EQ(zo.steps(), 0);
    // Both points have one rounding, and so has the step.
    for (int sign : {1, -1}) {
      std::vector<P> y(1000);
      zo.shift(x, 4, sign, frugal::view<P>(y));
      std::vector<float> wide;
      for (P v : y) wide.push_back(frugal::detail::widen<float>(v));
      EXPECT_TRUE(same_bits(loss.seen[sign == 1 ? 0 : 1], wide));
    }
    mezo same(cpu, 1000, {.lr = 0.01, .seed = 5}, types<P>{}, policies...);
    std::vector<P> y = start;
    zo.step(x, loss);
    same.apply(y, zo.last());
    EXPECT_TRUE(same_bits(x, y));
  };
  run(0.f, restored_from_copy{});
  run(0., restored_from_copy{});
  run(frugal::bf16{});  // the default
}

// The three moves of the paper, as it rounds them.
TEST(mezo, in_place_moves) {
  mezo zo(cpu, 100, {.lr = 0.5, .epsilon = 0.25, .seed = 5}, rademacher{});
  static_assert(!decltype(zo)::is_exact);
  std::vector<float> x = numbers(100, 1), y = x;
  const random_stream s{5};
  std::vector<std::vector<float>> points;
  const frugal::mezo_report r = zo.step(x, [&] { return points.push_back(x), points.size() == 1 ? 3. : 1.; });
  EXPECT_EQ(r.loss, 3);
  EXPECT_EQ(r.scalar, 4);
  EXPECT_FALSE(r.skipped);
  ASSERT_EQ(points.size(), 2u);
  for (std::size_t j = 0; j < 100; ++j) {
    const float z = s.sign(frugal::direction_id(1, 0), j);
    EXPECT_EQ(points[0][j], y[j] + 0.25f * z);
    EXPECT_EQ(points[1][j], points[0][j] - 0.5f * z);
    EXPECT_EQ(x[j], (points[1][j] + 0.25f * z) - 2 * z);
  }
}

// Flat or a tensor each, aligned or not, whole or in shards, on every backend: the same bits.
TEST(mezo, arrangements) {
  const layout l{{"a", {300}}, {"empty", {0}}, {"b", {5, 13}}, {"c", {20000}}};
  const mezo_config c{.lr = 0.1, .epsilon = 1, .weight_decay = 0.2, .momentum = 0.5, .directions = 3, .seed = 9};
  const std::vector<float> start = numbers(l.size(), 2);
  const auto on = [&](auto kind) {
    const auto step = [&](auto& zo, auto x) {
      for (int t = 0; t < 3; ++t) {
        zo.shift(x, 2, 1), zo.shift(x, 1, -1);
        zo.apply(x, zo.update({1, -2, 0.5 + t}));
      }
    };
    const auto flat = same_on_every_backend([&](auto const& b) {
      mezo zo(b, l, c, kind);
      const there<float, std::remove_cvref_t<decltype(b)>> x(b, start, 1);
      step(zo, x.all());
      return x.get();
    });
    // A tensor each.
    std::vector<std::vector<float>> pieces;
    std::vector<frugal::view<float>> views;
    for (auto const& t : l.tensors()) {
      pieces.emplace_back(start.begin() + t.offset, start.begin() + t.offset + t.size);
      views.push_back(pieces.back());
    }
    mezo separate(cpu, l, c, kind);
    step(separate, frugal::tensor_list<float>(views));
    std::vector<float> joined;
    for (auto const& p : pieces) joined.insert(joined.end(), p.begin(), p.end());
    EXPECT_TRUE(same_bits(flat, joined));
    // Shards: each moves its own part of a copy.
    std::vector<float> together(start.size());
    for (auto [begin, end] : {std::pair<index_t, index_t>{0, 77}, {77, 310}, {310, 16999}, {16999, l.size()}}) {
      std::vector<float> x = start;
      mezo shard(cpu, l, c, kind, frugal::range{begin, end});
      EXPECT_EQ(shard.state_bytes(), std::size_t(end - begin) * 4);
      step(shard, frugal::view<float>(x));
      for (index_t j = 0; j < l.size(); ++j) {
        if (begin <= j && j < end) together[std::size_t(j)] = x[std::size_t(j)];
        else EXPECT_EQ(x[std::size_t(j)], start[std::size_t(j)]);
      }
    }
    EXPECT_TRUE(same_bits(flat, together));
  };
  on(rademacher{}), on(gaussian{});
}

TEST(mezo, sizes) {
  for (index_t n : {0, 1, 255, 256, 257, 4095, 4097, 100003})
    same_on_every_backend([&](auto const& b) {
      mezo zo(b, n, {.lr = 0.1, .epsilon = 0.5, .directions = 9, .seed = 2}, rademacher{}, restored_from_copy{});
      const there<float, std::remove_cvref_t<decltype(b)>> x(b, numbers(n, 4));
      double l = 1;
      zo.step(x.all(), [&] { return l *= -1.25; });
      return x.get();
    });
}

TEST(mezo, frozen_tensors_stay) {
  const layout l({{"a", {200}}, {"b", {100}, "fixed"}}, {{.name = "fixed", .frozen = true}});
  std::vector<float> x = numbers(300, 1);
  const std::vector<float> start = x;
  mezo zo(cpu, l, {.lr = 0.1, .weight_decay = 0.1});
  zo.step(x, [&, k = 0]() mutable { return ++k; });
  EXPECT_TRUE(std::equal(x.begin() + 200, x.end(), start.begin() + 200));
  for (std::size_t j = 0; j < 200; ++j) EXPECT_NE(x[j], start[j]);
}

// G as a vector, for any optimizer.
TEST(mezo, gradient_for_another_optimizer) {
  mezo zo(cpu, 5000, {.lr = 0.25, .epsilon = 0.5, .seed = 3}, rademacher{});
  std::vector<float> x = numbers(5000, 1), y = x, g(5000);
  for (int t = 0; t < 3; ++t) {
    const std::vector<double> p{2, -4};
    zo.gradient(g, p);
    for (std::size_t j = 0; j < y.size(); ++j) y[j] -= 0.25f * g[j];
    zo.apply(x, zo.update(p));
    EXPECT_TRUE(same_bits(x, y));
  }
}

TEST(mezo, continues_where_it_was_saved) {
  const auto make = [&] { return mezo(cpu, 700, {.lr = 0.01, .momentum = 0.9, .seed = 3}); };
  const auto loss = [](std::vector<float> const& x) {
    double s = 0;
    for (float v : x) s += double(v) * v;
    return s;
  };
  auto straight = make(), resumed = make();
  std::vector<float> x = numbers(700, 1), y;
  frugal::snapshot saved;
  for (int t = 0; t < 8; ++t) {
    if (t == 5) saved = frugal::save_state(straight), y = x;
    straight.step(x, [&] { return loss(x); });
  }
  frugal::restore_state(resumed, saved);
  EXPECT_EQ(resumed.steps(), 5);
  for (int t = 5; t < 8; ++t) resumed.step(y, [&] { return loss(y); });
  EXPECT_TRUE(same_bits(x, y));
  EXPECT_TRUE(same_bits(frugal::save_state(straight), frugal::save_state(resumed)));
  // Another seed makes other directions.
  mezo other(cpu, 700, {.momentum = 0.9, .seed = 4});
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { frugal::restore_state(other, saved); }, {"layout"}));
}

TEST(mezo, a_step_does_not_allocate) {
  const layout l{{"a", {300}}, {"b", {500}}};
  const auto count = [&](auto... policies) {
    mezo zo(cpu, l, {.lr = 0.01, .directions = 3}, policies...);
    std::vector<float> x(800, 1.f);
    long first = 0, calls = 0;
    for (int t = 0; t < 4; ++t) {
      zo.step(x, [&] { return double(++calls % 7); });
      if (t == 0) first = allocations;
    }
    EXPECT_EQ(allocations, first);
  };
  count(rademacher{}), count(gaussian{}, restored_from_copy{});
}

TEST(mezo, a_loss_that_is_not_finite) {
  const auto run = [&](auto restoration) {
    mezo zo(cpu, 100, {.lr = 0.1, .epsilon = 0.5, .momentum = 0.5, .directions = 2}, rademacher{}, restoration);
    const std::vector<float> start(100, 1.f);
    for (double bad : {std::numeric_limits<double>::infinity(), std::nan("")})
      for (int at : {0, 1, 3}) {
        std::vector<float> x = start;
        const auto before = piece<float>(frugal::save_state(zo), "m");
        const std::int64_t t = zo.steps();
        int call = 0;
        EXPECT_TRUE(zo.step(x, [&] { return call++ == at ? bad : 1.; }).skipped);
        EXPECT_TRUE(same_bits(x, start));  // halves: the moves in place are exact here
        EXPECT_TRUE(same_bits(before, piece<float>(frugal::save_state(zo), "m")));
        EXPECT_EQ(zo.steps(), t + 1);
      }
  };
  run(restored_in_place{}), run(restored_from_copy{});
}

TEST(mezo, a_batch_for_each_direction) {
  mezo zo(cpu, 10, {.directions = 3});
  std::vector<float> x(10);
  std::vector<int> batches;
  zo.step(x, [&](int direction) { return batches.push_back(direction), 1.; });
  EXPECT_EQ(batches, (std::vector{0, 0, 1, 1, 2, 2}));
}

TEST(mezo, refusals) {
  const auto make = [&](mezo_config c) { return mezo(cpu, 10, c); };
  EXPECT_TRUE(refused([&] { make({.epsilon = 0}); }, "epsilon", "> 0", "0"));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { make({.epsilon = std::nan("")}); }, {"epsilon"}));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { make({.lr = -1}); }, {"lr"}));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { make({.weight_decay = -1}); }, {"weight_decay"}));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { make({.lr = 2, .weight_decay = 1}); }, {"lr * weight_decay"}));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { make({.momentum = 1}); }, {"momentum"}));
  EXPECT_TRUE(refused([&] { make({.directions = 0}); }, "directions", ">= 1", "0"));
  auto zo = make({});
  std::vector<float> x(10, 1.f), same = x, y(11);
  const auto one = [] { return 1.; };
  EXPECT_TRUE(refused([&] { zo.step(y, one); }, "parameters", "10 elements", "11"));
  EXPECT_TRUE(refused([&] { zo.step(frugal::view<float>(nullptr, 10), one); }, "parameters", "a pointer", "null"));
  EXPECT_TRUE(refused([&] { zo.shift(x, 0, 1, frugal::view<float>(y)); }, "shifted parameters", "10 elements", "11"));
  EXPECT_TRUE(refused([&] { zo.shift(x, -1, 1); }, "a direction", ">= 0", "-1"));
  const std::vector<frugal::view<float>> list{{x.data(), 5}, {x.data() + 5, 5}};
  EXPECT_TRUE(
      refused([&] { zo.step(frugal::tensor_list<float>(list), one); }, "the count of tensors of parameters", "1", "2"));
  EXPECT_TRUE(refused([&] { zo.apply(x, zo.update({})); }, "the scalars of a step", "one at least", "none"));
  zo.config().momentum = 0.5;
  EXPECT_TRUE(refused([&] { zo.step(x, one); }, "momentum", "0, as at construction", "0.5"));
  zo.config() = {.lr = 0.1};
  frugal::mezo_update u = zo.update({1});
  u.step = 2;
  EXPECT_TRUE(refused([&] { zo.apply(x, u); }, "the step of an update", "1", "2"));
  u.step = 1, u.scalars[0] = std::nan("");
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { zo.apply(x, u); }, {"a scalar of an update"}));
  u.scalars[0] = 1, u.lr = std::nan("");
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { zo.apply(x, u); }, {"lr"}));
  u.scalars.clear(), u.lr = 0.1;  // a step that changes nothing is one of this model, too
  EXPECT_TRUE(refused([&] { zo.apply(y, u); }, "parameters", "10 elements", "11"));
  std::vector<float> g(10, 2.f), untouched = g;
  EXPECT_TRUE(refused([&] { zo.gradient(g, {}); }, "the scalars of a gradient", "one at least", "none"));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { zo.gradient(g, {1, std::nan("")}); }, {"a scalar of a gradient"}));
  zo.config().epsilon = std::nan("");
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { zo.shift(x, 0, 1); }, {"epsilon"}));
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { zo.shift(x, 0, 1, frugal::view<float>(g)); }, {"epsilon"}));
  EXPECT_TRUE(same_bits(g, untouched));
  // As each group has them.
  const layout fast{{{"a", {10}, "fast"}}, {{"fast", 1e20, 1e10}}};
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { mezo(cpu, fast, {.lr = 1e20}); }, {"lr"}));
  mezo of_fast(cpu, fast, {.lr = 1e-20});
  u.lr = 1e-20, u.weight_decay = 1e-9;
  EXPECT_TRUE(throws<frugal::invalid_argument>([&] { of_fast.apply(x, u); }, {"lr * weight_decay"}));
  EXPECT_TRUE(same_bits(x, same));
  EXPECT_EQ(zo.steps(), 0);
}

TEST(mezo, a_loss_that_throws) {
  const auto run = [&](auto restoration) {
    mezo zo(cpu, 100, {.epsilon = 0.5, .directions = 2}, rademacher{}, restoration);
    const std::vector<float> start(100, 1.f);
    for (int at : {0, 1, 2, 3}) {
      std::vector<float> x = start;
      int call = 0;
      EXPECT_THROW(zo.step(x, [&] { return call++ == at ? throw std::runtime_error("no data") : 1.; }),
                   std::runtime_error);
      EXPECT_TRUE(same_bits(x, start));
      EXPECT_EQ(zo.steps(), 0);
    }
  };
  run(restored_in_place{}), run(restored_from_copy{});
}

}  // namespace
