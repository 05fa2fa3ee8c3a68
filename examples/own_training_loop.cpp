// SPDX-License-Identifier: Apache-2.0
/// @file Logistic regression in a loop of one's own: a falling rate, and a run that is saved and taken up again.
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adamw.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

namespace {

constexpr int features = 20, samples = 400, steps = 300;

struct problem {
  std::vector<float> a, label;  // samples x features; 0 or 1
  problem() : a(samples * features), label(samples) {
    unsigned r = 1;
    for (float& e : a) e = float((r = r * 1664525u + 1013904223u) >> 8) / float(1 << 23) - 1;
    for (int i = 0; i < samples; ++i) label[i] = a[i * features] - 2 * a[i * features + 1] + 0.5f > 0 ? 1.f : 0.f;
  }
  // The mean loss at weights w (the last one is the bias), and its gradient.
  double gradient(std::vector<float> const& w, std::vector<float>& g) const {
    double loss = 0;
    g.assign(w.size(), 0);
    for (int i = 0; i < samples; ++i) {
      float const* row = a.data() + i * features;
      float z = w[features];
      for (int k = 0; k < features; ++k) z += w[k] * row[k];
      loss += std::log1p(std::exp(-std::abs(double(z)))) + (z > 0 ? (1 - label[i]) * z : -label[i] * z);
      const float d = (1 / (1 + std::exp(-z)) - label[i]) / samples;
      for (int k = 0; k <= features; ++k) g[k] += k < features ? d * row[k] : d;
    }
    return loss / samples;
  }
};

}  // namespace

int main() {
  const problem p;
  std::vector<float> w(features + 1, 0.f), g, w_saved;
  frugal::adamw opt(frugal::serial_backend(), w.size(), {.lr = 0.1, .weight_decay = 1e-3});
  frugal::snapshot saved;
  const auto train = [&](int from) {
    for (int t = from; t < steps; ++t) {
      if (t == steps / 2) saved = frugal::save_state(opt), w_saved = w;
      p.gradient(w, g);
      opt.config().lr = 0.1 * (1 - double(t) / steps);  // any schedule: the configuration is plain data
      opt.step(w, g);
    }
    return w;
  };
  const double first = p.gradient(w, g);
  const std::vector<float> end = train(0);
  restore_state(opt, saved), w = w_saved;
  const bool same = train(steps / 2) == end;
  const double last = p.gradient(w, g);
  std::printf("loss %.3f, after %d steps %.3f; resumed: %s\n", first, steps, last, same ? "same" : "OTHER");
  return same && last < 0.25 * first ? 0 : 1;
}
