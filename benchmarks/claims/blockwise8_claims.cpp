// SPDX-License-Identifier: Apache-2.0
/// @file 8-bit states: errors of the dynamic code against those of a linear one; and Adam with both.
#include <cmath>
#include <frugal/backend/serial.hpp>
#include <frugal/core/normal.hpp>
#include <frugal/optim/adam.hpp>
#include <frugal/optim/momentum.hpp>

#include "claims/claims.hpp"
#include "claims/linear_model.hpp"

namespace {

using vector = std::vector<float>;
frugal::serial_backend const cpu;

// ---- values and what is kept of them

/// 256 values at equal distances from -1 to 1, or from 0 to 1.
template <bool Signed>
float linear(float s, float largest) {
  float const y = largest > 0 ? s / largest : 0;
  return largest * (Signed ? std::round((y + 1) * 127.5f) / 127.5f - 1 : std::round(y * 255) / 255);
}
template <bool Signed>
float dynamic(float s, float largest) {
  using value = frugal::lanes<float, 1>;
  using book = frugal::dynamic_code<Signed>;
  return largest * book::template decode<value>(book::encode(value(s), value(1 / largest))).v[0];
}
/// @param code (value, the largest magnitude of its block) -> what is kept of the value
template <class Code>
void in_blocks(float* s, std::size_t n, std::size_t block, Code const& code) {
  for (std::size_t at = 0; at < n; at += block) {
    float* const end = s + std::min(at + block, n);
    float largest = 0;
    for (float* p = s + at; p < end; ++p) largest = std::max(largest, std::abs(*p));
    for (float* p = s + at; p < end; ++p) *p = code(*p, largest);
  }
}
template <class Code>
vector kept(vector s, std::size_t block, Code const& code) {
  in_blocks(s.data(), s.size(), block, code);
  return s;
}
/// What an optimizer keeps of them as its state: m = g in the first step, and in the second -x = m / 2.
template <class Storage>
vector kept_as_state(vector const& s) {
  vector x(s.size()), g(s.size());
  frugal::momentum opt(cpu, frugal::index_t(s.size()), {.lr = 1, .momentum = 0.5}, Storage{});
  opt.step(x, s);
  std::fill(x.begin(), x.end(), 0.f);
  opt.step(x, g);
  for (float& each : x) each *= -2;
  return x;
}
struct error {
  double absolute = 0, relative = 0;  // means
  error(vector const& s, vector const& of) {
    for (std::size_t i = 0; i < s.size(); ++i) {
      double const e = std::abs(double(of[i]) - double(s[i]));
      absolute += e / double(s.size());
      relative += e / std::abs(double(s[i])) / double(s.size());
    }
  }
};

void values(claims::session& s) {
  std::size_t const n = s.quick ? 4096 : 65536;
  vector x(n), squares(n);
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = float(frugal::normal(frugal::random_stream{1}, 0, std::uint32_t(i)));
    squares[i] = x[i] * x[i];
  }
  vector outlier = x;
  outlier[n / 2] = 1000;
  auto const tell = [&](std::string const& what, error e, double absolute, double relative) {
    s.tell(what + ": mean error", e.absolute, absolute);
    s.tell(what + ": mean relative error", e.relative, relative);
  };
  error const blocks(x, kept_as_state<frugal::blockwise8>(x));
  s.says("Dettmers et al. 2022:", "a dynamic code in blocks keeps small values, and confines outliers. Here: 65536");
  s.says("                     ", "normal numbers");
  s.tell("blocks of 256: mean error", blocks.absolute, 0.0085);
  s.at_most("blocks of 256: mean relative error", 0.02, blocks.relative, 0.0155);
  tell("blocks of 2048", {x, kept_as_state<frugal::blockwise8_2048>(x)}, 0.0097, 0.0167);
  tell("one block", {x, kept(x, n, dynamic<true>)}, 0.0118, 0.0188);
  tell("linear, blocks of 256", {x, kept(x, 256, linear<true>)}, 0.0061, 0.19);
  tell("one is 1000: blocks of 256", {outlier, kept_as_state<frugal::blockwise8>(outlier)}, 0.0087, 0.0157);
  tell("one is 1000: linear, one block", {outlier, kept(outlier, n, linear<true>)}, 3.9, 70);
  s.at_most("their squares, unsigned: mean relative error", 0.02,
            error(squares, kept(squares, 256, dynamic<false>)).relative);
}

// ---- Adam

using claims::linear_model;
using claims::median;

/// The loss after Adam whose rate falls along a line. `after(opt)` may change its states after each step.
template <class Storage, class After>
double adam(linear_model const& m, int steps, Storage storage, After const& after) {
  vector w(m.features()), g(w.size());
  frugal::adam opt(cpu, frugal::index_t(w.size()), {.beta2 = 0.99}, storage);
  for (int k = 0; k < steps; ++k) {
    opt.config().lr = 0.02 * (1 - double(k) / steps);
    m.gradient(w, 0, m.samples(), 64, std::uint64_t(k), g);
    opt.step(w, g);
    after(opt);
  }
  return m.loss(w, 0, m.samples());
}
template <class Storage>
double adam(linear_model const& m, int steps, Storage storage) {
  return adam(m, steps, storage, [](auto&) {});
}
/// With linear codes in blocks of 256 for its states.
double linear_adam(linear_model const& m, int steps) {
  return adam(m, steps, frugal::full{}, [](auto& opt) {
    opt.visit_state([](std::string_view name, frugal::role, auto state) {
      if constexpr (std::is_same_v<decltype(state), frugal::view<float>>)
        in_blocks(state.data(), std::size_t(state.size()), 256, name == "v" ? linear<false> : linear<true>);
    });
  });
}

void training(claims::session& s) {
  int const steps = s.quick ? 3 : 500;
  std::size_t const samples = s.quick ? 64 : 2048;
  constexpr std::size_t n = 4096;
  s.says("Dettmers et al. 2022:", "8-bit states train as 32-bit ones do. Here: Adam with 4096 weights, 500 steps;");
  s.says("                     ", "linear regression with lognormal scales of columns but 8 of 30, three problems");
  std::vector<double> full, eight, ratio, diverged;
  for (std::uint64_t seed = 1; seed <= (s.quick ? 1u : 3u); ++seed) {
    vector scales(n);
    for (std::size_t j = 0; j < n; ++j)
      scales[j] = j % (n / 8) == 0 ? 30.f : std::exp(float(frugal::normal(frugal::random_stream{100 + seed}, 0, j)));
    linear_model const m(scales, samples, claims::fit::squares, 1e-3, seed);
    full.push_back(adam(m, steps, frugal::full{}));
    eight.push_back(adam(m, steps, frugal::blockwise8{}));
    ratio.push_back(eight.back() / full.back());
    diverged.push_back(linear_adam(m, steps) / full.back());
  }
  s.tell("median loss with states of float", median(full), {0.088, 0.090});
  s.tell("8 bits", median(eight), {0.082, 0.085});
  s.at_most("8 bits over float, median", 1.15, median(ratio));
  s.at_least("the same", 0.85, median(ratio));
  s.tell("8 bits over float, the largest", *std::max_element(ratio.begin(), ratio.end()));
  s.at_least("linear 8 bits over float, the least", 100, *std::min_element(diverged.begin(), diverged.end()));

  linear_model const m(linear_model::falling(n), samples, claims::fit::signs, 1e-3, 1);
  double const all = adam(m, steps, frugal::full{}), few = adam(m, steps, frugal::blockwise8{});
  s.says("                     ", "logistic regression");
  s.tell("loss with states of float", all, 0.08736);
  s.tell("8 bits", few, 0.08754);
  s.at_most("8 bits over float", 1.15, few / all, 1.002);
  s.at_least("the same", 0.85, few / all);
}

claims::claim const registered("blockwise8", [](claims::session& s) {
  values(s);
  training(s);
});

}  // namespace
