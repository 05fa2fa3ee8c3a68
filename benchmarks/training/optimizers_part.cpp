// SPDX-License-Identifier: Apache-2.0
/// @file Momentum, AdamW and Lion, with full-precision, bf16 and 8-bit states, side by side.
#include "training/classification.hpp"

#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/optim/momentum.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <numeric>

#include "kernels/cpu.hpp"
#include "training/part.hpp"

namespace bench {
namespace {

using report::number;

constexpr int batch_size = 128;

/// Any optimizer, so that one loop trains them all.
class trainer {
 public:
  virtual ~trainer() = default;
  virtual void step(std::vector<float>& weights, std::vector<float> const& gradient, double rate) = 0;
  virtual std::size_t state_bytes() const = 0;
};
template <class Make>
std::unique_ptr<trainer> trained_by(Make make) {
  class holder : public trainer {
   public:
    explicit holder(Make& m) : optimizer_(m()) {}
    void step(std::vector<float>& weights, std::vector<float> const& gradient, double rate) override {
      optimizer_.config().lr = rate;
      optimizer_.step(weights, gradient);
    }
    std::size_t state_bytes() const override { return optimizer_.state_bytes(); }

   private:
    decltype(std::declval<Make&>()()) optimizer_;
  };
  return std::make_unique<holder>(make);
}

struct contender {
  std::string name;
  report::look style;
  std::string full;  ///< the one with the same rule and full-precision states; empty for itself
  double rate;       ///< the highest of the schedule
  int states;
  std::size_t bytes;  ///< of a state's element
  std::function<std::unique_ptr<trainer>(frugal::layout const&)> make;
};

std::vector<contender> contenders() {
  // The rates are the best of a coarse search with full-precision states; relatives with smaller states use the same.
  static constexpr double momentum_rate = 0.05, adamw_rate = 1e-3, lion_rate = 4e-4;
  static frugal::serial_backend const cpu;
  static frugal::momentum_config const momentum{.lr = momentum_rate, .momentum = 0.9, .weight_decay = 5e-4};
  static frugal::adamw_config const adamw{.lr = adamw_rate, .weight_decay = 0.01};
  static frugal::lion_config const lion{.lr = lion_rate, .weight_decay = 0.1};
  using layout = frugal::layout const&;
  return {
      {"Momentum",
       {0, 0},
       "",
       momentum_rate,
       1,
       4,
       [](layout l) { return trained_by([&] { return frugal::momentum(cpu, l, momentum); }); }},
      {"AdamW",
       {1, 0},
       "",
       adamw_rate,
       2,
       4,
       [](layout l) { return trained_by([&] { return frugal::adamw(cpu, l, adamw); }); }},
      {"AdamW, bf16",
       {1, 2},
       "AdamW",
       adamw_rate,
       2,
       2,
       [](layout l) { return trained_by([&] { return frugal::adamw(cpu, l, adamw, frugal::bf16_state{}); }); }},
      {"AdamW, 8-bit",
       {1, 1},
       "AdamW",
       adamw_rate,
       2,
       1,
       [](layout l) { return trained_by([&] { return frugal::adamw(cpu, l, adamw, frugal::blockwise8{}); }); }},
      {"Lion",
       {2, 0},
       "",
       lion_rate,
       1,
       4,
       [](layout l) { return trained_by([&] { return frugal::lion(cpu, l, lion); }); }},
      {"Lion, 8-bit",
       {2, 1},
       "Lion",
       lion_rate,
       1,
       1,
       [](layout l) { return trained_by([&] { return frugal::lion(cpu, l, lion, frugal::blockwise8{}); }); }},
  };
}

/// One run's figures at every evaluation.
struct curve {
  std::vector<double> step, accuracy, loss;
};

/// What is trained and when it is looked at; shared by all threads.
struct task : classification {
  int steps_each_epoch, steps, evaluate_every;

  task(fashion_mnist const& s, context const& c)
      : classification(s, c.quick ? 1000 : s.test.size()),
        steps_each_epoch(int(s.train.size()) / batch_size),
        steps(c.quick ? 24 : c.epochs * steps_each_epoch),
        evaluate_every(c.quick ? 8 : steps_each_epoch / 6) {}
};

curve train(contender const& who, std::uint64_t seed, task const& t, progress& bar) {
  mlp<float> net = t.net();
  std::unique_ptr<trainer> const optimizer = who.make(net.layout());
  std::vector<float> weights = net.initial(seed), gradient(weights.size());
  training_batch batch(batch_size);
  std::vector<std::uint32_t> order(t.set.train.size());
  std::iota(order.begin(), order.end(), 0u);
  generator random(1000 + seed);

  curve c;
  double loss = 0;
  for (int step = 0; step < t.steps; ++step) {
    int const b = step % t.steps_each_epoch;
    if (b == 0) random.shuffle(order);
    for (int j = 0; j < batch_size; ++j) batch.take(t.set, j, order[std::size_t(b * batch_size + j)]);
    loss += double(net.loss(weights, batch.x, batch.label.data(), gradient));
    optimizer->step(weights, gradient, who.rate * schedule(step, t.steps));
    if ((step + 1) % t.evaluate_every == 0) {
      c.step.push_back(step + 1);
      c.accuracy.push_back(t.accuracy(net, weights));
      c.loss.push_back(loss / t.evaluate_every);
      loss = 0;
      bar.advance(t.evaluate_every);
    }
  }
  return c;
}

/// Runs [contender][seed], one to a thread at a time.
std::vector<std::vector<curve>> train_all(std::vector<contender> const& all, int seeds, task const& t,
                                          context const& c) {
  std::vector<std::vector<curve>> curves(all.size(), std::vector<curve>(std::size_t(seeds)));
  int const runs = int(all.size()) * seeds;
  c.bar.start("Training, " + std::to_string(runs) + " runs",
              double(runs) * double(t.steps / t.evaluate_every * t.evaluate_every));
  run_all(c.threads, runs, [&](int run) {
    auto const who = std::size_t(run / seeds), seed = std::size_t(run % seeds);
    curves[who][seed] = train(all[who], seed + 1, t, c.bar);
  });
  return curves;
}

/// One of a curve's columns, over the seeds.
report::series over_seeds(contender const& who, std::vector<curve> const& runs, std::vector<double> curve::*column) {
  std::vector<std::vector<double>> columns;
  for (curve const& c : runs) columns.push_back(c.*column);
  return report::over_runs(who.name, who.style, runs[0].step, columns);
}

/// Weights and states far larger than the caches.
std::size_t timed_elements(context const& c) { return std::size_t(1) << (c.quick ? 14 : 23); }

/// One thread: a step's time, and that of a pass over memory that moves the same bytes, in ns for a parameter.
struct speed {
  double step, limit, ratio;
};
std::vector<speed> time_steps(std::vector<contender> const& all, context const& c) {
  std::size_t const n = timed_elements(c);
  c.bar.start("Timing steps", 1);
  model data(n);
  crew alone(1);
  table t(n, 1);
  std::vector<std::unique_ptr<trainer>> optimizers;
  auto const limit_of = [](contender const& who) {
    return std::to_string(who.states) + " states of " + std::to_string(who.bytes) + " bytes";
  };
  for (contender const& who : all) {
    std::string const limit = limit_of(who);
    if (std::none_of(t.cases().begin(), t.cases().end(), [&](timing const& k) { return k.name == limit; }))
      add_stream(t, alone, data, limit, who.states, who.bytes);
    optimizers.push_back(who.make(frugal::layout(n)));
    t.add(who.name, 0, [&data, opt = optimizers.back().get()] { opt->step(data.x, data.g, 1e-6); }).against(limit);
  }
  t.measure(c.quick ? effort{1, 0} : effort{});
  std::vector<speed> speeds;
  for (contender const& who : all) {
    double const ns = 1e9 / double(n);
    speeds.push_back({t[who.name].seconds * ns, t[limit_of(who)].seconds * ns, t[who.name].to[0].ratio});
  }
  c.bar.advance(1);
  return speeds;
}

/// All that was measured of one optimizer.
struct finding {
  contender who;
  std::vector<curve> runs;
  report::series accuracy, loss;
  double state;  ///< bytes for a parameter
  speed time;

  double last() const { return accuracy.y.back(); }
};
using findings = std::vector<finding>;

finding const& named(findings const& all, std::string const& name) {
  return *std::find_if(all.begin(), all.end(), [&](finding const& f) { return f.who.name == name; });
}

std::string with_sign(double v) { return std::string(v > 0 ? "+" : "").append(number(v, 2)); }

std::vector<report::expectation> expectations(findings const& all, double gradient_error, context const& c) {
  bool const five_epochs = c.epochs == 5;
  std::vector<report::expectation> claims;
  auto const claim = [&](std::string what, std::string expected, std::string measured, bool met, bool possible = true) {
    claims.push_back({std::move(what), std::move(expected), std::move(measured),
                      c.quick || !possible ? std::nullopt : std::optional<bool>(met)});
  };
  char error[32];
  std::snprintf(error, sizeof error, "%.0e", gradient_error);
  claim("The gradient by hand agrees with finite differences", "relative error below 1e-6", error,
        gradient_error < 1e-6);
  double const adamw = named(all, "AdamW").last();
  claim("AdamW learns the set in five epochs", "at least 86.00 % of the test images", number(adamw, 2) + " %",
        adamw >= 86, five_epochs);
  for (finding const& f : all) {
    if (f.who.full.empty()) continue;
    double const difference = f.last() - named(all, f.who.full).last();
    claim(f.who.name + " is as accurate as " + f.who.full, "within 0.50 points", with_sign(difference) + " points",
          std::abs(difference) <= 0.5, five_epochs);
  }
  for (finding const& f : all) {
    if (f.who.bytes != 1) continue;
    double const most = f.who.states + 0.1;
    claim(f.who.name + " keeps little state", "below " + number(most, 2) + " bytes for a parameter", number(f.state, 3),
          f.state < most);
  }
  for (finding const& f : all)
    if (f.who.full.empty())
      claim(f.who.name + " runs at the speed of memory", "at most 1.10 times the limit", number(f.time.ratio, 2),
            f.time.ratio <= 1.1);
  return claims;
}

report::section describe(findings const& all, std::vector<report::expectation> const& claims, double parameters,
                         context const& c) {
  std::size_t const seeds = all[0].runs.size();
  finding const &adamw = named(all, "AdamW"), &adamw8 = named(all, "AdamW, 8-bit");
  report::section page("optimizers", "Optimizers: how small can the state be?");
  page.text("A perceptron of 784, 256, 128 and 10 units (" + number(parameters, 0) +
            " parameters) learns to tell ten kinds of clothes apart in Fashion-MNIST, with " +
            std::to_string(all.size()) + " optimizers and " + std::to_string(seeds) +
            (seeds == 1 ? " seed" : " seeds each") +
            ". Beside the weights, AdamW remembers two numbers for each of them and Lion one; kept as blocks of 8-bit "
            "codes they take a quarter of the memory.");
  page.tiles({{number(adamw.last(), 1) + " %", "of test images right with AdamW and full-precision states"},
              {with_sign(adamw8.last() - adamw.last()), "points of accuracy gained or lost with 8-bit states"},
              {number(adamw.state, 2) + " \u2192 " + number(adamw8.state, 2),
               "bytes of AdamW's state for a parameter, full precision and 8-bit"},
              {number(adamw.time.ratio, 2) + " \u00d7", "AdamW's step, relative to a bare pass over the same memory"}});
  page.heading("Expected and measured").expect(claims);

  page.heading("What they learn");
  report::axis const steps{"training step"}, right{"% of test images right"};
  report::line_figure accuracy{
      {"Test accuracy",
       (seeds == 1 ? std::string("One seed. ")
                   : "Lines: mean of " + std::to_string(seeds) + " seeds; bands: from the lowest to the highest. ") +
           "Batches of " + std::to_string(batch_size) + "; the rate falls along half a cosine to zero."},
      steps,
      right,
      {}};
  report::line_figure loss{{"Training loss", "Cross-entropy, mean over the batches since the last point.", false},
                           steps,
                           {"nats, logarithmic", 1, true},
                           {}};
  report::line_figure change{{"What smaller states change",
                              "Accuracy minus that of the same rule with full-precision states, mean over the seeds. "
                              "Shaded: half a point.",
                              false},
                             steps,
                             {"points", 1},
                             {},
                             0.5};
  for (finding const& f : all) {
    accuracy.lines.push_back(f.accuracy);
    loss.lines.push_back(f.loss);
    if (f.who.full.empty()) continue;
    report::series difference{f.who.name, f.who.style, f.accuracy.x, {}, {}, {}};
    std::vector<double> const& full = named(all, f.who.full).accuracy.y;
    for (std::size_t k = 0; k < full.size(); ++k) difference.y.push_back(f.accuracy.y[k] - full[k]);
    change.lines.push_back(std::move(difference));
  }
  page.add(accuracy).add(loss).add(change);

  page.heading("What they cost");
  report::dot_figure frontier{
      {"Accuracy against memory", "After the last step. Whiskers: from the lowest to the highest seed.", false},
      {"bytes of state for a parameter"},
      {right.label, 1},
      {}};
  report::bar_figure times{{"Time of a step",
                            number(double(timed_elements(c)), 0) +
                                " parameters, one thread. The limit is a pass that moves the same bytes in place and "
                                "computes nothing, timed in the same rounds.",
                            false},
                           {"ns for a parameter", 1},
                           "limit of the memory",
                           {}};
  report::table table{{"Optimizer", "peak rate", "accuracy, %", "lowest to highest", "training loss",
                       "state,<br>bytes/parameter", "step,<br>ns/parameter", "step,<br>&times; limit"},
                      {},
                      "Means over the seeds; medians over the rounds for times."};
  for (finding const& f : all) {
    double const low = f.accuracy.low.back(), high = f.accuracy.high.back();
    frontier.dots.push_back({f.who.name, f.who.style, {f.state}, {f.last()}, {low}, {high}});
    times.bars.push_back({f.who.name, f.who.style, f.time.step, f.time.limit,
                          number(f.time.step, 2) + " ns, " + number(f.time.ratio, 2) + " \u00d7 limit"});
    table.rows.push_back({report::escape(f.who.name), nlohmann::json(f.who.rate).dump(), number(f.last(), 2),
                          number(low, 2) + " to " + number(high, 2), number(f.loss.y.back(), 3), number(f.state, 3),
                          number(f.time.step, 3), number(f.time.ratio, 2)});
  }
  return page.add(frontier).add(times).add(table);
}

nlohmann::json figures(findings const& all) {
  nlohmann::json list;
  for (finding const& f : all) {
    nlohmann::json seeds;
    for (curve const& run : f.runs)
      seeds.push_back({{"step", run.step}, {"accuracy_percent", run.accuracy}, {"training_loss", run.loss}});
    list.push_back({{"name", f.who.name},
                    {"peak_rate", f.who.rate},
                    {"accuracy_percent", f.last()},
                    {"training_loss", f.loss.y.back()},
                    {"state_bytes_per_parameter", f.state},
                    {"step_ns_per_parameter", f.time.step},
                    {"limit_ns_per_parameter", f.time.limit},
                    {"step_over_limit", f.time.ratio},
                    {"seeds", seeds}});
  }
  return list;
}

outcome run(context const& c) {
  c.bar.start("Reading Fashion-MNIST", 1);
  fashion_mnist const set = load_fashion_mnist(c.data);
  c.bar.advance(1);

  std::vector<contender> const all = contenders();
  task const t(set, c);
  auto const curves = train_all(all, c.quick ? 1 : c.seeds, t, c);
  std::vector<speed> const speeds = time_steps(all, c);
  frugal::layout const layout = t.net().layout();
  double const parameters = double(layout.size());
  findings found;
  for (std::size_t k = 0; k < all.size(); ++k)
    found.push_back({all[k], curves[k], over_seeds(all[k], curves[k], &curve::accuracy),
                     over_seeds(all[k], curves[k], &curve::loss),
                     double(all[k].make(layout)->state_bytes()) / parameters, speeds[k]});

  double const error = std::max(gradient_error(1), gradient_error(2));
  auto const claims = expectations(found, error, c);
  return {describe(found, claims, parameters, c),
          {{"parameters", layout.size()},
           {"steps", t.steps},
           {"timed_elements", timed_elements(c)},
           {"gradient_error", error},
           {"optimizers", figures(found)}}};
}

registered_part const registered({10, "optimizers", run});

}  // namespace
}  // namespace bench
