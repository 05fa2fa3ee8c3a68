// SPDX-License-Identifier: Apache-2.0
// Layers, what they are given and gradients, for the tests of what works on layers (golden/mkor.py describes them).
#pragma once
#include <frugal/core/layout.hpp>

#include "linalg/linalg_bits.hpp"
#include "optim/layers_on_device.hpp"
#include "support/backends.hpp"
#include "support/dense_suite.hpp"
#include "support/driver.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace frugal_test {

using frugal::index_t;

inline const frugal::layout golden_layers{
    {"fc1.weight", {4, 3}}, {"fc1.bias", {4}}, {"fc2.weight", {2, 4}}, {"rest", {5}}};

// Rows of numbers in a backend's memory: scale x + offset.
template <class T, class Backend>
placed<T, Backend> rows_of(Backend const& b, index_t rows, index_t cols, std::uint32_t stream, double scale = 1,
                           double offset = 0) {
  auto v = even_numbers<T>(rows * cols, stream);
  for (T& x : v) x = T(scale * double(x) + offset);
  return {b, rows, cols, v};
}
template <class T, class Pre>
void observe_golden(Pre& pre, int t, int m = 0) {
  auto const& b = pre.backend();
  const auto s = std::uint32_t(10000 + 100 * t + 10 * m);
  const double large = t == 7 ? 512 : 1;
  pre.observe(0, rows_of<T>(b, 6, 3, s + 1, 2 * large, 0.5 * large)(), rows_of<T>(b, 6, 4, s + 2, 0.25)());
  pre.observe(1, rows_of<T>(b, 6, 4, s + 3, 1, 0.25)(), rows_of<T>(b, 6, 2, s + 4, 0.5)());
}
// The directions of step t.
template <class T, class Pre>
std::vector<T> golden_step(Pre& pre, int t) {
  const there<T, typename Pre::backend_type> g(pre.backend(), even_numbers<T>(29, std::uint32_t(10000 + 100 * t)));
  for (int m = 0; m < pre.config().micro_batches; ++m) observe_golden<T>(pre, t, m);
  pre.precondition(g.all());
  return g.get();
}
template <class Config>
void read_golden_config(Config& to, golden_case const& c) {
  to.gamma = c.config("gamma");
  to.refresh_every = std::int64_t(c.config("refresh_every"));
  to.warmup_steps = std::int64_t(c.config("warmup_steps"));
  to.rescale = c.config("rescale") != 0;
  to.micro_batches = int(c.config("micro_batches"));
  to.gradient_scale = c.config("gradient_scale");
}
// A matrix, rows one after the other.
template <class T, class Backend, class M>
std::vector<T> numbers_of(Backend const& b, M m) {
  return frugal::to_host(b, frugal::view<T const, typename Backend::space>(m.data(), m.rows() * m.cols()));
}
// |a - b| at most `tolerance` times the largest |b|.
template <class T>
testing::AssertionResult close_to(std::vector<T> const& a, std::vector<double> const& b, double tolerance) {
  if (a.size() != b.size()) return testing::AssertionFailure() << a.size() << " elements and " << b.size();
  double most = 0;
  for (double x : b) most = std::max(most, std::abs(x));
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(double(a[i]) - b[i]) <= tolerance * most))
      return testing::AssertionFailure() << "element " << i << ": " << a[i] << " and " << b[i] << ", of " << most;
  return testing::AssertionSuccess();
}
// All steps, and the matrices after them.
template <class T, class Pre>
void follows_golden(Pre& pre, golden_case const& c, double tolerance) {
  for (int t = 0; t < int(c.count("step")); ++t)
    ASSERT_TRUE(close_to(golden_step<T>(pre, t), c.numbers<double>("d64", std::size_t(t)), tolerance))
        << c.name << ", step " << t;
  for (index_t l = 0; l < 2; ++l) {
    const std::string number = std::to_string(l + 1);
    EXPECT_TRUE(
        close_to(numbers_of<T>(pre.backend(), pre.input_factor(l)), c.numbers<double>("a" + number), tolerance));
    EXPECT_TRUE(
        close_to(numbers_of<T>(pre.backend(), pre.output_factor(l)), c.numbers<double>("g" + number), tolerance));
  }
}
inline std::vector<double> widened(std::vector<float> const& v) { return {v.begin(), v.end()}; }

// Layers of all kinds of sizes, for directions().
inline const frugal::layout many_layers{{"a.weight", {1, 1}}, {"b.weight", {33, 65}},   {"b.bias", {33}},
                                        {"c", {300}},         {"d.weight", {70, 5, 2}}, {"d.bias", {70}}};

}  // namespace frugal_test
