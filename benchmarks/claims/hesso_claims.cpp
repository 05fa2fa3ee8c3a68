// SPDX-License-Identifier: Apache-2.0
/// @file HESSO and HESSO-CRIC on a network of 16 hidden units that learns one of 4, against removing the units of least
/// norm at the end.
#include <algorithm>
#include <frugal/backend/serial.hpp>
#include <frugal/optim/cric.hpp>
#include <frugal/optim/momentum.hpp>
#include <numeric>

#include "claims/claims.hpp"
#include "claims/relu_net.hpp"

namespace {

constexpr int inputs = 10, units = 16, samples = 1000, batch = 64;

struct task {
  claims::relu_net student{inputs, units};
  std::vector<float> x;
  std::vector<double> y;
  explicit task(std::uint64_t seed) {
    std::mt19937_64 bits(seed);
    claims::relu_net const teacher{inputs, 4};
    auto const w = teacher.start(seed + 1);
    for (int i = 0; i < samples * inputs; ++i) x.push_back(float(claims::relu_net::normal(bits)));
    for (int s = 0; s < samples; ++s) y.push_back(teacher.output(w, x.data() + s * inputs));
  }
  /// The mean squared error over the variance.
  double error(claims::relu_net const& net, std::vector<float> const& w) const {
    double const mean = std::accumulate(y.begin(), y.end(), 0.0) / samples;
    double square = 0, all = 0;
    for (int s = 0; s < samples; ++s) {
      double const d = net.output(w, x.data() + s * inputs) - y[std::size_t(s)], m = y[std::size_t(s)] - mean;
      square += d * d, all += m * m;
    }
    return square / all;
  }
};

struct result {
  double error, extracted;
  frugal::index_t removed;
  std::vector<float> w;
};
frugal::hesso_config schedule(double sparsity, int steps, int periods = 10) {
  return {.sparsity = sparsity, .start = steps / 8, .pruning_steps = steps / 4, .periods = periods};
}
template <class Identification = frugal::saliency>
result train(task const& t, frugal::hesso_config c, int steps, Identification how = {}) {
  frugal::hesso opt(frugal::momentum(frugal::serial_backend(), t.student.layout(), {.lr = 0.05, .momentum = 0.9}),
                    {{{{"w1"}, {"b1"}, {"w2", 1}}}}, c, how);
  auto w = t.student.start(7);
  std::vector<float> g(w.size());
  std::mt19937_64 bits(8);
  for (int n = 0; n < steps; ++n) {
    std::fill(g.begin(), g.end(), 0.f);
    double loss = 0;
    for (int b = 0; b < batch; ++b) {
      auto const s = int(bits() % samples);
      double const d = t.student.output(w, t.x.data() + s * inputs) - t.y[std::size_t(s)];
      loss += d * d / batch;
      t.student.add_gradient(w, t.x.data() + s * inputs, t.y[std::size_t(s)], 2.0 / batch, g);
    }
    opt.optimizer().config().lr = 0.05 * (1 - double(n) / steps);
    if constexpr (Identification::losses > 0) opt.step(w, g, loss);
    else opt.step(w, g);
  }
  auto const small = opt.extract(w);
  claims::relu_net const net{inputs, int(small.kept[0].size())};
  return {t.error(t.student, w), t.error(net, small.x), opt.removed(), w};
}
/// Of the units of a trained network, the `count` of least norm to zero.
double at_the_end(task const& t, std::vector<float> w, int count) {
  std::vector<std::pair<double, int>> norms;
  auto const of_unit = [&](int k, auto const& f) {
    for (int i = 0; i < inputs; ++i) f(w[std::size_t(k * inputs + i)]);
    f(w[std::size_t(units * inputs + k)]), f(w[std::size_t(units * (inputs + 1) + k)]);
  };
  for (int k = 0; k < units; ++k) {
    double s = 0;
    of_unit(k, [&](float& v) { s += double(v) * double(v); });
    norms.emplace_back(s, k);
  }
  std::sort(norms.begin(), norms.end());
  for (int i = 0; i < count; ++i) of_unit(norms[std::size_t(i)].second, [](float& v) { v = 0; });
  return t.error(t.student, w);
}

using claims::median;

// Seven teachers: what a network of 16 makes of one differs by decades.
claims::claim const registered("hesso", [](claims::session& s) {
  int const steps = s.quick ? 80 : 4000, teachers = s.quick ? 1 : 7;
  s.says("Chen et al. 2024:", "one run trains and prunes to an exact sparsity, better than pruning at the end");
  std::vector<double> dense, half, quarter, half_cut, quarter_cut, half_gain, quarter_gain;
  double wrong = 0, cut = 0;
  for (int k = 1; k <= teachers; ++k) {
    task const t{std::uint64_t(k)};
    auto const all = train(t, schedule(0, steps), steps), eight = train(t, schedule(0.5, steps), steps),
               four = train(t, schedule(0.75, steps), steps);
    dense.push_back(all.error), half.push_back(eight.error), quarter.push_back(four.error);
    half_cut.push_back(at_the_end(t, all.w, 8)), quarter_cut.push_back(at_the_end(t, all.w, 12));
    half_gain.push_back(half_cut.back() / eight.error), quarter_gain.push_back(quarter_cut.back() / four.error);
    wrong += double((eight.removed != 8) + (four.removed != 12));
    cut = std::max(cut, std::abs(four.error - four.extracted));
  }
  s.at_most("runs with other than 8 or 12 units removed", 0, wrong);
  s.tell("median of relative errors, all 16 units", median(dense), {2e-6, 4e-5});
  s.tell("sparsity 0.5", median(half), {1.1e-3, 1.6e-3});
  s.tell("sparsity 0.75", median(quarter), 1.75e-3);
  s.tell("pruning at the end, 0.5", median(half_cut), {0.006, 0.024});
  s.tell("pruning at the end, 0.75", median(quarter_cut), {0.17, 0.65});
  s.at_least("error of pruning at the end, over it, at 0.5", 3, median(half_gain));
  s.at_least("the same at 0.75", 50, median(quarter_gain));
  s.at_most("difference of the network that is cut out", 1e-9, cut);
});

// Twenty-five teachers: on most of them both do the same, and what matters is how often it goes wrong.
claims::claim const corrected("cric", [](claims::session& s) {
  int const steps = s.quick ? 200 : 4000, teachers = s.quick ? 1 : 25;
  s.says("Chen et al. 2024:", "corrective cycles keep what saliency alone would take for redundant");
  frugal::cric gradual{.sampling_steps = s.quick ? 4 : 40, .max_cycles = 5}, released = gradual;
  released.schedule = frugal::cric_schedule::released;
  std::vector<double> once, cycles, as_released;
  double wrong = 0;
  for (int k = 1; k <= teachers; ++k) {
    task const t{std::uint64_t(k)};
    frugal::hesso_config const c = schedule(0.75, steps, 1);
    auto const a = train(t, c, steps), b = train(t, c, steps, gradual), r = train(t, c, steps, released);
    once.push_back(a.error), cycles.push_back(b.error), as_released.push_back(r.error);
    wrong += double((b.removed != 12) + (r.removed != 12));
  }
  auto const failures = [](std::vector<double> const& errors) {
    return double(std::count_if(errors.begin(), errors.end(), [](double e) { return e > 0.01; }));
  };
  s.at_most("runs with other than 12 of 16 units removed", 0, wrong);
  s.tell("median of relative errors, saliency", median(once));
  s.tell("cric", median(cycles));
  s.tell("cric, the released schedule", median(as_released));
  s.at_least("error of saliency over that of cric, of medians", 2, median(once) / median(cycles));
  s.tell("errors above 0.01, saliency", failures(once));
  s.tell("cric, the released schedule", failures(as_released));
  s.at_most("cric", 3, failures(cycles));
});

}  // namespace
