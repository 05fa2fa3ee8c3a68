// SPDX-License-Identifier: Apache-2.0
/// @file 1-bit Adam (Tang et al. 2021) is 0/1 Adam whose ranks meet after every step: logistic regression on eight of
/// them, one after the other in this program.
#include <frugal/backend/serial.hpp>
#include <frugal/compress/ef14.hpp>
#include <frugal/compress/scaled_sign.hpp>
#include <frugal/optim/schedules.hpp>
#include <frugal/optim/zero_one_adam.hpp>

#include "claims/claims.hpp"
#include "claims/linear_model.hpp"

namespace {

using vector = std::vector<float>;
constexpr std::size_t workers = 8, features = 512;
frugal::serial_backend const cpu;

/// The mean of all workers' vectors by a bit an element: a worker sends its vector in as many parts as there are
/// workers, each of which forms the mean of a part and sends it to all. What messages leave out, both remember, or it
/// is lost.
class one_bit_mean {
 public:
  explicit one_bit_mean(bool remembers) : remembers_(remembers) {
    for (std::size_t r = 0; r < workers; ++r) {
      there_.emplace_back(cpu, features, frugal::scaled_sign{});
      back_.emplace_back(cpu, part, frugal::scaled_sign{});
    }
  }
  vector const& operator()(std::vector<vector> const& of) {
    vector sum(features);
    mean_.assign(features, 0);
    for (std::size_t r = 0; r < workers; ++r) send(there_[r], of[r].data(), sum.data(), 1. / workers);
    for (std::size_t r = 0; r < workers; ++r) send(back_[r], sum.data() + r * part, mean_.data() + r * part, 1);
    return mean_;
  }
  /// Of a message, of the bits of a vector of floats.
  double share() { return double(there_[0].compressor().last().payload_bits()) / (32. * features); }

 private:
  static constexpr std::size_t part = features / workers;
  using side = frugal::ef14<frugal::scaled_sign, frugal::serial_backend>;
  void send(side& s, float const* v, float* to, double scale) {
    frugal::index_t const n = s.layout().size();
    auto const& m = s.compress({v, n}, 1);
    s.add_to({to, n}, {m.data(), m.size()}, scale, {0, std::uint64_t(s.round() - 1)});
    if (!remembers_) s.reset();
  }
  bool remembers_;
  std::vector<side> there_, back_;
  vector mean_;
};

struct plan {
  bool momenta = false;    ///< compressed from the end of the warm-up on
  bool gradients = false;  ///< compressed from the first step on
  bool remembers = true;
};
struct outcome {
  double loss, sent;  // the latter of what a run without compression sends
};

outcome train(claims::linear_model const& m, plan p, int steps) {
  int const warmup = 3 * steps / 20;
  frugal::schedules::linear_decay const factor{.steps = steps, .warmup = steps / 20};
  // v follows every exact gradient; and all steps of their own end in a meeting.
  frugal::zero_one_adam_config const config{
      .beta2 = 0.99, .freeze_step = p.momenta ? warmup : steps, .variance_scaler = steps + 1, .local_limit = 1};
  using optimizer = frugal::zero_one_adam<frugal::serial_backend>;
  std::vector<optimizer> opt;
  for (std::size_t r = 0; r < workers; ++r) opt.emplace_back(cpu, features, config);
  std::vector<vector> x(workers, vector(features)), g = x;
  one_bit_mean mean(p.remembers);
  double sent = 0;
  for (int t = 0; t < steps; ++t) {
    std::size_t const share = m.samples() / workers;
    for (std::size_t r = 0; r < workers; ++r)
      m.gradient(x[r], r * share, (r + 1) * share, 8, std::uint64_t(t) * workers + r, g[r]);
    bool const exact = p.momenta ? t < warmup : !p.gradients;
    if (exact) {
      for (std::size_t j = 0; j < features; ++j) {
        double sum = 0;
        for (vector const& each : g) sum += double(each[j]);
        for (vector& each : g) each[j] = float(sum / workers);
      }
    } else if (p.gradients) {
      std::fill(g.begin(), g.end(), mean(g));
    }
    for (std::size_t r = 0; r < workers; ++r) {
      opt[r].config().lr = 0.02 * factor(t);
      opt[r].step(x[r], g[r]);
      if (opt[r].meets()) opt[r].difference(x[r], g[r]);
    }
    if (opt[0].meets()) {
      vector const& c = mean(g);
      for (std::size_t r = 0; r < workers; ++r) opt[r].meet(x[r], c);
    }
    sent += exact ? 1 : mean.share();
  }
  return {m.loss(x[0], 0, m.samples()), sent / steps};
}

claims::claim const registered("zero_one_adam", [](claims::session& s) {
  using claims::median;
  int const steps = s.quick ? 20 : 1000;
  s.says("Tang et al. 2021:",
         "with v frozen, momenta by one bit with error feedback end where Adam ends, for a fifth of");
  s.says("                 ", "the bytes. Here: losses of logistic regressions, medians of three");
  std::vector<double> adam, one_bit, ratio, forgets, gradients;
  double sent = 0;
  for (std::uint64_t seed = 1; seed <= (s.quick ? 1u : 3u); ++seed) {
    claims::linear_model const m(claims::linear_model::falling(features), s.quick ? 64 : 4096, claims::fit::draws, 0,
                                 seed);
    adam.push_back(train(m, {}, steps).loss);
    outcome const o = train(m, {.momenta = true}, steps);
    sent = o.sent;
    one_bit.push_back(o.loss);
    ratio.push_back(o.loss / adam.back());
    forgets.push_back(train(m, {.momenta = true, .remembers = false}, steps).loss / adam.back());
    gradients.push_back(train(m, {.gradients = true}, steps).loss / adam.back());
  }
  s.tell("Adam without bias correction", median(adam), 0.0990);
  s.tell("1-bit Adam", median(one_bit), 0.1043);
  s.at_most("1-bit Adam over Adam", 1.10, median(ratio), 1.05);
  s.at_least("without error feedback, over Adam", 10, median(forgets), 454);
  // Their scales are by the 2-norm, which is larger where magnitudes differ; those of scaled_sign are their means.
  s.tell("gradients by one bit, over Adam", median(gradients), 1.29);
  s.at_least("the same; no less than by momenta", median(ratio), median(gradients));
  // A warm-up of 0.15; then a bit in place of 32, and a scale a message.
  s.at_most("sent, of what Adam sends", 0.15 + 0.85 * (1. / 32 + 1. / features) + 1e-12, sent, 0.1766);
});

}  // namespace
