// SPDX-License-Identifier: Apache-2.0
/// @file A network of one hidden layer and one output, and data for it.
#pragma once
#include <cmath>
#include <cstdint>
#include <frugal/core/layout.hpp>
#include <random>
#include <vector>

namespace claims {

/// y = w2 relu(w1 x + b1) + b2, parameters in that order of w1, b1, w2, b2.
struct relu_net {
  int inputs, hidden;

  frugal::layout layout() const {
    return {{"w1", {hidden, inputs}}, {"b1", {hidden}}, {"w2", {1, hidden}}, {"b2", {1}}};
  }
  std::vector<float> start(std::uint64_t seed) const {
    std::mt19937_64 bits(seed);
    std::vector<float> w(std::size_t(hidden * (inputs + 2) + 1), 0.f);
    for (int i = 0; i < hidden * inputs; ++i) w[std::size_t(i)] = float(normal(bits) / std::sqrt(inputs));
    for (int i = 0; i < hidden; ++i)
      w[std::size_t(hidden * (inputs + 1) + i)] = float(normal(bits) / std::sqrt(hidden));
    return w;
  }
  double output(std::vector<float> const& w, float const* x) const {
    float const *b1 = w.data() + hidden * inputs, *w2 = b1 + hidden;
    double y = w2[hidden];
    for (int k = 0; k < hidden; ++k) y += double(w2[k]) * std::max(0.0, before(w, x, k));
    return y;
  }
  /// Adds the gradient of (output - y)^2 / 2, times a weight.
  void add_gradient(std::vector<float> const& w, float const* x, double y, double weight, std::vector<float>& g) const {
    float const* w2 = w.data() + hidden * (inputs + 1);
    float *g1 = g.data(), *gb = g1 + hidden * inputs, *g2 = gb + hidden;
    double const error = weight * (output(w, x) - y);
    for (int k = 0; k < hidden; ++k) {
      double const h = before(w, x, k);
      if (h <= 0) continue;
      g2[k] += float(error * h);
      double const back = error * double(w2[k]);
      gb[k] += float(back);
      for (int i = 0; i < inputs; ++i) g1[k * inputs + i] += float(back * double(x[i]));
    }
    g2[hidden] += float(error);
  }
  /// The same on all platforms, unlike std::normal_distribution.
  static double normal(std::mt19937_64& bits) {
    double const u = (double(bits() >> 11) + 1) * 0x1p-53, v = double(bits() >> 11) * 0x1p-53;
    return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
  }

 private:
  double before(std::vector<float> const& w, float const* x, int k) const {
    double h = w[std::size_t(hidden * inputs + k)];
    for (int i = 0; i < inputs; ++i) h += double(w[std::size_t(k * inputs + i)]) * double(x[i]);
    return h;
  }
};

}  // namespace claims
