// SPDX-License-Identifier: Apache-2.0
/// @file Momentum, AdamW and Lion, with full-precision, bf16 and 8-bit states, and SOAP, Muon and MKOR, which work on
/// matrices, side by side.
#include "training/classification.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "kernels/cpu.hpp"
#include "training/contenders.hpp"
#include "training/part.hpp"

namespace bench {
namespace {

using report::number;

constexpr int batch_size = 128;
constexpr char const* how_rates_were_chosen =
    "Peak rates: the best of four for each, by the accuracy on 10,000 of the training images that a run with one seed "
    "left out (<code>./dev demo --part rates</code> is that grid); relatives with smaller states use the same.";

/// One run's figures at every evaluation.
struct curve {
  std::vector<double> step, accuracy, loss;
};

/// What is trained and when it is looked at; shared by all threads.
struct task : classification {
  std::vector<Eigen::Index> widths = net().widths();
  int steps_each_epoch, steps, evaluate_every;

  task(fashion_mnist const& s, context const& c)
      : classification(s, c.quick ? 1000 : s.test.size()),
        steps_each_epoch(int(s.train.size()) / batch_size),
        steps(c.quick ? 24 : c.epochs * steps_each_epoch),
        evaluate_every(c.quick ? 8 : steps_each_epoch / 3) {}
};

curve train(contender const& who, double rate, std::uint64_t seed, task const& t, progress& bar) {
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
    bool const watches = optimizer->watches();
    auto const see = [&](std::size_t layer, mlp<float>::batch const& inputs, mlp<float>::matrix const& derivatives) {
      if (watches) optimizer->see(layer, inputs, derivatives);
    };
    loss += net.loss(weights, batch.x, batch.label.data(), gradient, see);
    optimizer->step(weights, gradient, rate * schedule(step, t.steps));
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
  run_all(c.threads, runs, [&](int k) {
    int const run = runs - 1 - k;  // the dearest first: at the end no thread waits long for another
    auto const who = std::size_t(run / seeds), seed = std::size_t(run % seeds);
    curves[who][seed] = train(all[who], all[who].rate, seed + 1, t, c.bar);
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

/// One thread, far from caches: a step's time, and that of a pass over memory that moves the same bytes, in ns for a
/// parameter. Zeros for what works on matrices.
struct speed {
  double step = 0, limit = 0, ratio = 0;
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
    if (!who.of_elements()) continue;
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
    if (!who.of_elements()) speeds.emplace_back();
    else speeds.push_back({t[who.name].seconds * ns, t[limit_of(who)].seconds * ns, t[who.name].to[0].ratio});
  }
  c.bar.advance(1);
  return speeds;
}

/// One thread, on the network itself: a step's time, the mean of ten that follow each other (some do more at every
/// tenth), and that of the gradient of a batch, in ms.
struct pace {
  double step, gradient, ratio;
};
std::vector<pace> time_training(std::vector<contender> const& all, task const& t, context const& c) {
  c.bar.start("Timing steps of the network", 1);
  mlp<float> net = t.net();
  std::vector<float> const start = net.initial(1);
  std::vector<float> gradient(start.size()), timed_gradient(start.size());
  training_batch batch(batch_size);
  for (int j = 0; j < batch_size; ++j) batch.take(t.set, j, std::size_t(j));
  std::vector<mlp<float>::matrix> inputs(t.widths.size() - 1), derivatives(inputs.size());
  net.loss(start, batch.x, batch.label.data(), gradient, [&](std::size_t layer, auto const& in, auto const& d) {
    inputs[layer] = in;
    derivatives[layer] = d;
  });

  int const together = c.quick ? 1 : 10;
  table cases(start.size(), 1);
  cases.add("gradient", 0, [&] {
    for (int k = 0; k < together; ++k) net.loss(start, batch.x, batch.label.data(), timed_gradient);
  });
  std::vector<std::unique_ptr<trainer>> optimizers;
  std::vector<std::vector<float>> weights(all.size(), start);
  for (std::size_t i = 0; i < all.size(); ++i) {
    optimizers.push_back(all[i].make(net.layout()));
    auto const steps = [&, &opt = *optimizers.back(), &w = weights[i]] {
      for (int k = 0; k < together; ++k) {
        if (opt.watches())
          for (std::size_t layer = inputs.size(); layer-- > 0;) opt.see(layer, inputs[layer], derivatives[layer]);
        opt.step(w, gradient, 1e-6);
      }
    };
    cases.add(all[i].name, 0, steps).against("gradient");
  }
  cases.measure(c.quick ? effort{1, 0} : effort{3});
  std::vector<pace> paces;
  for (contender const& who : all)
    paces.push_back({1e3 / together * cases[who.name].seconds, 1e3 / together * cases["gradient"].seconds,
                     cases[who.name].to[0].ratio});
  c.bar.advance(1);
  return paces;
}

/// All that was measured of one optimizer.
struct finding {
  contender who;
  std::vector<curve> runs;
  report::series accuracy, loss;
  double state;  ///< bytes for a parameter
  speed time;
  pace training;

  double last() const { return accuracy.y.back(); }
};
using findings = std::vector<finding>;

finding const& named(findings const& all, std::string const& name) {
  return *std::find_if(all.begin(), all.end(), [&](finding const& f) { return f.who.name == name; });
}

std::string with_sign(double v) { return std::string(v > 0 ? "+" : "").append(number(v, 2)); }

std::vector<report::expectation> expectations(findings const& all, double gradient_error,
                                              std::vector<Eigen::Index> const& widths, context const& c) {
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
    if (f.who.full.empty() && f.who.of_elements())
      claim(f.who.name + " runs at the speed of memory", "at most 1.10 times the limit", number(f.time.ratio, 2),
            f.time.ratio <= 1.1);
  double const gradient = gradient_operations(widths, batch_size);
  for (finding const& f : all) {
    if (f.who.of_elements()) continue;
    finding const& rival = named(all, f.who.rival);
    double const loss = f.loss.y.back(), than = rival.loss.y.back(), difference = f.last() - rival.last();
    claim(f.who.name + " learns faster than " + f.who.rival + " (" + f.who.source + ")",
          "training loss below " + number(than, 3), number(loss, 3), loss < than, five_epochs);
    claim(f.who.name + " is as accurate as " + f.who.rival, "at most 0.50 points below",
          with_sign(difference) + " points", difference >= -0.5, five_epochs);
    claim(f.who.name + "'s state is that of its formula", number(f.who.state, 2) + " bytes, within 1 %",
          number(f.state, 2), std::abs(f.state - f.who.state) <= 0.01 * f.who.state);
    double const counted = f.who.operations / gradient;
    claim(f.who.name + "'s step runs at the speed of products",
          "at most twice the " + number(counted, 1) + " gradients counted", number(f.training.ratio, 1),
          f.training.ratio <= 2 * counted);
  }
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
  page.text(
      "SOAP, Muon and MKOR work on matrices, and promise fewer steps for products of matrices in each: SOAP is Adam in "
      "a "
      "basis that turns with the gradients' covariance (axes of at most 512), Muon makes momentum orthogonal (with "
      "AdamW "
      "for the last layer and biases), MKOR puts gradients between two inverses that follow what layers saw (around "
      "Momentum).");
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
                           {"nats, logarithmic", 2, true},
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
  report::line_figure by_time{
      {"Test accuracy against time",
       "Steps so far, times what the gradient and the step take on one thread. Mean over the seeds.", true},
      {"seconds of one thread, logarithmic", 1, true},
      right,
      {}};
  for (finding const& f : all) {
    report::series line{f.who.name, f.who.style, f.accuracy.x, f.accuracy.y, {}, {}};
    for (double& x : line.x) x *= 1e-3 * (f.training.gradient + f.training.step);
    by_time.lines.push_back(std::move(line));
  }
  page.add(accuracy).add(loss).add(change).add(by_time);

  page.heading("What they cost");
  report::dot_figure frontier{
      {"Accuracy against memory", "After the last step. Whiskers: from the lowest to the highest seed."},
      {"bytes of state for a parameter, logarithmic", 0, true},
      {right.label, 1},
      {}};
  report::bar_figure paces{{"Time of a step of this network",
                            "One thread; the mean of ten steps that follow each other. The line: the "
                            "gradient of a batch, which comes before each. Expected of those with matrices: their "
                            "products, counted in operations, at the speed of the gradient's, and as much again.",
                            false},
                           {"ms", 0},
                           "gradient of a batch",
                           {}};
  report::bar_figure times{{"Time of a step far from caches",
                            number(double(timed_elements(c)), 0) +
                                " parameters, one thread. The limit is a pass that moves the same bytes in place and "
                                "computes nothing, timed in the same rounds.",
                            false},
                           {"ns for a parameter", 1},
                           "limit of the memory",
                           {}};
  report::table table{
      {"Optimizer", "peak rate", "accuracy, %", "lowest to highest", "training loss", "state,<br>bytes/parameter",
       "step,<br>ms", "far from caches,<br>ns/parameter", "the same,<br>&times; limit"},
      {},
      std::string("Means over the seeds; medians over the rounds for times. ") + how_rates_were_chosen};
  for (finding const& f : all) {
    double const low = f.accuracy.low.back(), high = f.accuracy.high.back();
    frontier.dots.push_back({f.who.name, f.who.style, {f.state}, {f.last()}, {low}, {high}});
    bool const timed = f.who.of_elements();
    if (timed)
      times.bars.push_back({f.who.name, f.who.style, f.time.step, f.time.limit,
                            number(f.time.step, 2) + " ns, " + number(f.time.ratio, 2) + " \u00d7 limit"});
    paces.bars.push_back({f.who.name, f.who.style, f.training.step, f.training.gradient,
                          number(f.training.step, f.training.step < 1 ? 2 : 1) + " ms"});
    table.rows.push_back({report::escape(f.who.name), nlohmann::json(f.who.rate).dump(), number(f.last(), 2),
                          number(low, 2) + " to " + number(high, 2), number(f.loss.y.back(), 3), number(f.state, 3),
                          number(f.training.step, 2), timed ? number(f.time.step, 3) : "",
                          timed ? number(f.time.ratio, 2) : ""});
  }
  return page.add(frontier).add(paces).add(times).add(table);
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
                    {"step_ms", f.training.step},
                    {"gradient_ms", f.training.gradient},
                    {"seeds", seeds}});
    if (!f.who.of_elements()) continue;
    list.back()["step_ns_per_parameter"] = f.time.step;
    list.back()["limit_ns_per_parameter"] = f.time.limit;
    list.back()["step_over_limit"] = f.time.ratio;
  }
  return list;
}

outcome run(context const& c) {
  c.bar.start("Reading Fashion-MNIST", 1);
  fashion_mnist const set = load_fashion_mnist(c.data);
  c.bar.advance(1);

  task const t(set, c);
  std::vector<contender> const all = contenders(t.widths);
  auto const curves = train_all(all, c.quick ? 1 : c.seeds, t, c);
  std::vector<speed> const speeds = time_steps(all, c);
  std::vector<pace> const paces = time_training(all, t, c);
  frugal::layout const layout = t.net().layout();
  double const parameters = double(layout.size());
  findings found;
  for (std::size_t k = 0; k < all.size(); ++k)
    found.push_back({all[k], curves[k], over_seeds(all[k], curves[k], &curve::accuracy),
                     over_seeds(all[k], curves[k], &curve::loss),
                     double(all[k].make(layout)->state_bytes()) / parameters, speeds[k], paces[k]});

  double const error = std::max(gradient_error(1), gradient_error(2));
  auto const claims = expectations(found, error, t.widths, c);
  return {describe(found, claims, parameters, c),
          {{"parameters", layout.size()},
           {"steps", t.steps},
           {"timed_elements", timed_elements(c)},
           {"gradient_error", error},
           {"optimizers", figures(found)}}};
}

/// The grid of rates, on training images that were held out.
outcome choose_rates(context const& c) {
  fashion_mnist const set = load_fashion_mnist(c.data).held_out(10000);
  task const t(set, c);
  std::vector<contender> const all = contenders(t.widths);
  struct trial {
    contender const& who;
    double rate;
    curve result;
  };
  std::vector<trial> trials;
  for (contender const& who : all)
    for (double rate : who.tried) trials.push_back({who, rate, {}});
  int const runs = int(trials.size());
  c.bar.start("Choosing rates, " + std::to_string(runs) + " runs",
              double(runs) * double(t.steps / t.evaluate_every * t.evaluate_every));
  run_all(c.threads, runs, [&](int k) {
    trial& each = trials[std::size_t(k)];
    each.result = train(each.who, each.rate, 1, t, c.bar);
  });

  report::section page("rates", "Rates");
  report::table table{{"Optimizer", "peak rate", "accuracy, %", "training loss", ""}, {}, how_rates_were_chosen};
  nlohmann::json figures;
  for (trial const& each : trials) {
    double const accuracy = each.result.accuracy.back(), loss = each.result.loss.back();
    std::string const rate = nlohmann::json(each.rate).dump(), used = each.rate == each.who.rate ? "used" : "";
    table.rows.push_back({report::escape(each.who.name), rate, number(accuracy, 2), number(loss, 3), used});
    figures.push_back({{"name", each.who.name}, {"peak_rate", each.rate}, {"accuracy_percent", accuracy}});
    std::printf("%-10s %-7s %6s %% %6s %s\n", each.who.name.c_str(), rate.c_str(), number(accuracy, 2).c_str(),
                number(loss, 3).c_str(), used.c_str());
  }
  page.add(table);
  return {page, figures};
}

registered_part const registered({10, "optimizers", run});
registered_part const rates({1000, "rates", choose_rates, true});

}  // namespace
}  // namespace bench
