// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/stable_embedding.hpp>

#include <frugal/optim/adamw.hpp>

#include <cmath>
#include <limits>

#include "stable_embedding_on_device.hpp"
#include "support/allocations.hpp"
#include "support/backends.hpp"
#include "support/golden.hpp"
#include "support/numbers.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t, frugal::layer_norm, frugal::view;
const frugal::serial_backend cpu;

template <class T>
struct gradients {
  std::vector<T> y, dx, dscale, dshift;
};
template <class T>
gradients<T> both_ways(index_t columns, double epsilon, std::vector<T> const& x, std::vector<T> const& scale,
                       std::vector<T> const& shift, std::vector<T> const& dy) {
  const auto rows = index_t(x.size()) / columns;
  gradients<T> out{x, x, scale, scale};
  layer_norm norm(cpu, rows + 2, columns, epsilon, frugal::types<T>{});  // fewer rows than there may be
  norm.forward(x, scale, shift, out.y);
  norm.backward(x, scale, dy, out.dx, out.dscale, out.dshift);
  return out;
}

TEST(stable_embedding, first_weights_of_the_golden_script) {
  for (golden_case const& c : read_golden("stable_embedding.txt")) {
    if (c.count("w64") == 0) continue;
    const auto rows = index_t(c.config("rows")), columns = index_t(c.config("columns"));
    const auto seed = c.number<std::uint64_t>("seed");
    const double bound = c.number<double>("bound");
    EXPECT_EQ(frugal::xavier_bound(rows, columns), bound);
    std::vector<double> w(std::size_t(rows * columns));
    std::vector<float> narrow(w.size());
    frugal::xavier_uniform(cpu, view<double>(w), rows, columns, seed);
    frugal::xavier_uniform(cpu, view<float>(narrow), rows, columns, seed);
    const auto want = c.numbers<double>("w64");
    for (std::size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(w[i], want[i]) << c.name;
      EXPECT_EQ(narrow[i], float(bound) * float(want[i] / bound)) << c.name;
    }
    if (w.size() < 1000) continue;
    double sum = 0, squares = 0, most = 0;
    for (double v : w) sum += v, squares += v * v, most = std::max(most, std::abs(v));
    const double n = double(w.size());  // a mean of n numbers is off by a few times bound / sqrt(n)
    EXPECT_LT(most, bound);
    EXPECT_NEAR(sum / n, 0, 3 * bound / std::sqrt(n));
    EXPECT_NEAR(squares / n, 2 / double(rows + columns), 2 * bound * bound / std::sqrt(n));
  }
}

template <class T>
void follow_golden(double tolerance) {
  int cases = 0;
  for (golden_case const& c : read_golden("stable_embedding.txt")) {
    if (c.count("y64") == 0) continue;
    ++cases;
    const auto got = both_ways<T>(index_t(c.config("columns")), c.config("eps"), c.numbers<T>("x"),
                                  c.numbers<T>("scale"), c.numbers<T>("shift"), c.numbers<T>("dy"));
    const auto near = [&](std::vector<T> const& values, char const* key) {
      const auto want = c.numbers<double>(key);
      ASSERT_EQ(values.size(), want.size());
      for (std::size_t i = 0; i < want.size(); ++i)
        ASSERT_NEAR(double(values[i]), want[i], tolerance) << c.name << key << i;
    };
    near(got.y, "y64"), near(got.dx, "dx64"), near(got.dscale, "dscale64"), near(got.dshift, "dshift64");
  }
  EXPECT_EQ(cases, 4);
}
// Numbers are below ten, and sums have some tens of terms.
TEST(stable_embedding, doubles_of_the_golden_script) { follow_golden<double>(2e-14); }
TEST(stable_embedding, floats_of_the_golden_script) { follow_golden<float>(1e-5); }

TEST(stable_embedding, digests) {
  EXPECT_EQ(embedded<float>(cpu), embedding_digest);
  EXPECT_EQ(embedded<frugal::bf16>(cpu), embedding_digest_of_bf16);
}
TEST(stable_embedding, every_backend_gives_the_same_bits) {
  same_on_every_backend([](auto const& b) { return std::vector<std::uint64_t>{embedded<float>(b)}; });
  same_on_every_backend([](auto const& b) {
    std::vector<float> all;
    for (index_t n : {1, 255, 256, 257, 4097}) {
      const there x(b, numbers(5 * n, 1), 3), dy(b, numbers(5 * n, 2)), scale(b, numbers(n, 3), 1),
          shift(b, numbers(n, 4));
      const there y(b, x.get(), 1), dx(b, x.get()), dscale(b, scale.get()), dshift(b, scale.get());
      layer_norm norm(b, 5, n);
      norm.forward(x.constant(), scale.constant(), shift.constant(), y.all());
      norm.backward(x.constant(), scale.constant(), dy.constant(), dx.all(), dscale.all(), dshift.all());
      for (auto const* v : {&y, &dx, &dscale, &dshift}) {
        const auto here = v->get();
        all.insert(all.end(), here.begin(), here.end());
      }
    }
    return all;
  });
}

// Rows have mean 0 and variance 1; a gradient moves neither of them.
TEST(stable_embedding, what_a_norm_is) {
  const index_t n = 20000;  // more than a tile
  const std::vector<double> one(std::size_t(n), 1), zero(std::size_t(n), 0);
  const auto x = numbers<double>(2 * n, 1), dy = numbers<double>(2 * n, 2);
  const auto got = both_ways<double>(n, 0, x, one, zero, dy);
  for (std::size_t r = 0; r < 2; ++r) {
    double mean = 0, square = 0, of_dx = 0, along = 0;
    for (std::size_t i = r * std::size_t(n); i < (r + 1) * std::size_t(n); ++i) {
      mean += got.y[i], square += got.y[i] * got.y[i];
      of_dx += got.dx[i], along += got.dx[i] * got.y[i];
    }
    EXPECT_NEAR(mean / double(n), 0, 1e-13);
    EXPECT_NEAR(square / double(n), 1, 1e-13);
    EXPECT_NEAR(of_dx, 0, 1e-11);
    EXPECT_NEAR(along, 0, 1e-11);
  }
  std::vector<double> none, dscale(3, 7), dshift(3, 7);
  layer_norm(cpu, 4, 3, 1e-5, frugal::types<double>{})
      .backward(none, std::vector<double>(3), none, none, dscale, dshift);
  EXPECT_EQ(dscale, std::vector<double>(3));
  EXPECT_EQ(dshift, std::vector<double>(3));
}

// The layer with an optimizer around it: 8-bit states, but for the embedding.
TEST(stable_embedding, learns) {
  const index_t words = 20, n = 16;
  const frugal::layout model({{"embedding", {words, n}, "in full"}, {"scale", {n}}, {"shift", {n}}},
                             {{.name = "in full", .full_states = true}});
  std::vector<float> x(std::size_t(model.size())), g(x.size()), y(std::size_t(words * n)), dy(y.size());
  view<float> w(x.data(), words * n), scale(w.data() + w.size(), n), shift(scale.data() + n, n);
  frugal::xavier_uniform(cpu, w, words, n, 3);
  std::fill(scale.data(), scale.data() + n, 1.f);
  frugal::adamw opt(cpu, model, {.lr = 0.02, .weight_decay = 0}, frugal::blockwise8{.min_size = 1});
  layer_norm norm(cpu, words, n);
  const auto loss = [&] {  // to rows of which each has one coordinate, and the others alike
    double sum = 0;
    norm.forward(w, scale, shift, y);
    for (std::size_t i = 0; i < y.size(); ++i) {
      dy[i] = y[i] - (index_t(i) % n == index_t(i) / n % n ? 2.f : 0.f);
      sum += double(dy[i]) * double(dy[i]);
    }
    return sum;
  };
  const double before = loss();
  const long allocated = allocations;
  for (int t = 0; t < 300; ++t) {
    loss();
    norm.backward(w, scale, dy, view<float>(g.data(), words * n), view<float>(g.data() + words * n, n),
                  view<float>(g.data() + words * n + n, n));
    opt.step(x, g);
  }
  EXPECT_EQ(allocations, allocated);
  EXPECT_LT(loss(), 0.01 * before);
}

TEST(stable_embedding, mistakes_are_refused) {
  EXPECT_TRUE(refused([] { frugal::xavier_bound(0, 3); }, "the rows of a matrix", ">= 1", "0"));
  EXPECT_TRUE(refused([] { frugal::xavier_bound(3, -1); }, "the columns of a matrix", ">= 1", "-1"));
  std::vector<float> x(12, 1.f), y(12), dx(12), s(4, 1.f), t(4), dscale(4), dshift(4), small(11);
  EXPECT_TRUE(refused([&] { frugal::xavier_uniform(cpu, view<float>(small), 3, 4, 1); }, "the weights", "12", "11"));
  EXPECT_TRUE(refused([&] { frugal::xavier_uniform(cpu, view<float>(nullptr, 12), 3, 4, 1); }, "the weights",
                      "a pointer", "null"));
  const index_t large = index_t(1) << 32, most = std::numeric_limits<index_t>::max();  // their products wrap around
  EXPECT_TRUE(refused([&] { frugal::xavier_uniform(cpu, view<float>(), large, large, 1); }, "a matrix",
                      "at most 2^60 elements", "more"));
  for (auto [rows, columns] : {std::pair{large << 30, index_t(1) << 10}, {most, index_t(1)}, {index_t(1), most}})
    EXPECT_TRUE(refused([&, r = rows, c = columns] { layer_norm(cpu, r, c); }, "the matrix of a layer norm",
                        "at most 2^60 elements", "more"));
  EXPECT_TRUE(refused([] { layer_norm(cpu, -1, 4); }, "the rows of a layer norm", ">= 0", "-1"));
  EXPECT_TRUE(refused([] { layer_norm(cpu, 3, 0); }, "the columns of a layer norm", ">= 1", "0"));
  EXPECT_TRUE(refused([] { layer_norm(cpu, 3, 4, -1); }, "epsilon", "[0, 1e+30]", "-1"));
  layer_norm norm(cpu, 3, 4);
  const std::vector<float> more(16);
  EXPECT_TRUE(refused([&] { norm.forward(more, s, t, y); }, "x", "up to 3 rows of 4", "16"));
  EXPECT_TRUE(refused([&] { norm.forward(small, s, t, y); }, "x", "up to 3 rows of 4", "11"));
  EXPECT_TRUE(refused([&] { norm.forward(x, small, t, y); }, "scale", "4", "11"));
  EXPECT_TRUE(refused([&] { norm.forward(x, s, small, y); }, "shift", "4", "11"));
  EXPECT_TRUE(refused([&] { norm.forward(x, s, t, small); }, "y", "12", "11"));
  EXPECT_TRUE(refused([&] { norm.forward(x, s, t, x); }, "the arguments of a layer norm", "memory of their own each",
                      "an overlap"));
  EXPECT_TRUE(refused([&] { norm.backward(x, s, small, dx, dscale, dshift); }, "dy", "12", "11"));
  EXPECT_TRUE(refused([&] { norm.backward(x, s, y, small, dscale, dshift); }, "dx", "12", "11"));
  EXPECT_TRUE(refused([&] { norm.backward(x, s, y, dx, small, dshift); }, "dscale", "4", "11"));
  EXPECT_TRUE(refused([&] { norm.backward(x, s, y, dx, dscale, small); }, "dshift", "4", "11"));
  EXPECT_TRUE(
      refused([&] { norm.backward(x, s, y, view<float>(nullptr, 12), dscale, dshift); }, "dx", "a pointer", "null"));
  EXPECT_TRUE(refused([&] { norm.backward(x, s, y, dx, dscale, dscale); }, "the arguments", "memory of their own each",
                      "an overlap"));
  EXPECT_EQ(y, std::vector<float>(12));
  EXPECT_EQ(dx, std::vector<float>(12));
}

}  // namespace
