// SPDX-License-Identifier: Apache-2.0
/// @file A network whose weights are read out of a shared vector, beside the full network and dense networks with as
/// many parameters as the vector.
#include "training/classification.hpp"

#include <frugal/backend/serial.hpp>
#include <frugal/optim/momentum.hpp>
#include <frugal/sharing/roast.hpp>

#include <algorithm>
#include <memory>

#include "training/part.hpp"

namespace bench {
namespace {

using report::number;

constexpr int batch_size = 128;
frugal::serial_backend const cpu;
frugal::momentum_config const momentum{.momentum = 0.9, .weight_decay = 5e-4};
using momentum_optimizer = frugal::momentum<frugal::serial_backend>;

/// A network's parameters, and what a step does to them.
class learner {
 public:
  virtual ~learner() = default;
  virtual void step(vector& x, vector const& g, double rate) = 0;
  /// How many numbers are stored and trained.
  virtual frugal::index_t trained() const = 0;
};

class all_parameters : public learner {
 public:
  explicit all_parameters(mlp<float> const& net) : optimizer_(cpu, net.layout(), momentum) {}
  void step(vector& x, vector const& g, double rate) override {
    optimizer_.config().lr = rate;
    optimizer_.step(x, g);
  }
  frugal::index_t trained() const override { return optimizer_.layout().size(); }

 private:
  momentum_optimizer optimizer_;
};

/// The matrices' entries come from a shared vector; the biases stay as they are.
class shared_vector : public learner {
 public:
  shared_vector(mlp<float> const& net, double compression, std::uint64_t seed, vector& x)
      : model_(net.layout()),
        map_(cpu, layout_of('w'), options(compression, seed)),
        z_(std::size_t(map_.slots())),
        dz_(z_.size()),
        of_z_(cpu, map_.slots(), momentum),
        of_biases_(cpu, layout_of('b'), momentum) {
    map_.initialise(z_);
    map_.forward(z_, tensors('w', x));
  }
  void step(vector& x, vector const& g, double rate) override {
    of_z_.config().lr = of_biases_.config().lr = rate;
    map_.backward(tensors('w', g), dz_);
    of_z_.step(z_, dz_);
    map_.forward(z_, tensors('w', x));
    of_biases_.step(tensors('b', x), tensors('b', g));
  }
  frugal::index_t trained() const override { return map_.slots() + of_biases_.layout().size(); }

 private:
  frugal::layout layout_of(char kind) const {
    std::vector<frugal::tensor_spec> specs;
    for (frugal::tensor const& t : model_.tensors())
      if (t.name[0] == kind) specs.push_back({t.name, t.shape});
    return specs;
  }
  /// The entries begin with the deviations of He's initialization.
  frugal::roast_config options(double compression, std::uint64_t seed) const {
    frugal::layout const matrices = layout_of('w');
    std::vector<double> sigma;
    for (frugal::tensor const& t : matrices.tensors()) sigma.push_back(std::sqrt(2 / double(t.shape[0])));
    return {.compression = compression, .seed = seed, .scales = sigma, .match = frugal::scale_match::matched};
  }
  template <class Vector, class Element = std::remove_pointer_t<decltype(std::declval<Vector&>().data())>>
  std::vector<frugal::view<Element>> tensors(char kind, Vector& x) const {
    std::vector<frugal::view<Element>> all;
    for (frugal::tensor const& t : model_.tensors())
      if (t.name[0] == kind) all.emplace_back(x.data() + t.offset, t.size);
    return all;
  }

  frugal::layout model_;
  frugal::roast<frugal::serial_backend> map_;
  std::vector<float> z_, dz_;
  momentum_optimizer of_z_, of_biases_;
};

struct contender {
  std::string name;
  report::look style;
  std::vector<Eigen::Index> hidden;
  double compression;  ///< of the matrices; 1: not shared
  double rate;         ///< the highest of the schedule
};
constexpr char const *full = "Full network", *shared8 = "ROAST, 1/8", *dense8 = "Dense, 1/8", *shared32 = "ROAST, 1/32",
                     *dense32 = "Dense, 1/32";
std::vector<contender> contenders() {
  // The rates are the best of 0.01, 0.02, 0.05, 0.1, 0.2, 0.4 and 0.8 with another seed. Those of the shared vector are
  // higher: gradient scaling moves a weight by the mean of its slot, and most of what the weights of a slot want
  // cancels there.
  return {{full, {0, 0}, {256, 128}, 1, 0.05},
          {shared8, {1, 0}, {256, 128}, 8, 0.4},
          {shared32, {1, 1}, {256, 128}, 32, 0.4},
          {dense8, {2, 0}, {36, 31}, 1, 0.05},
          {dense32, {2, 1}, {9, 26}, 1, 0.01}};
}

struct task : classification {
  int steps_each_epoch, steps, evaluate_every;
  task(fashion_mnist const& s, context const& c)
      : classification(s, c.quick ? 1000 : s.test.size()),
        steps_each_epoch(int(s.train.size()) / batch_size),
        steps(c.quick ? 24 : c.epochs * steps_each_epoch),
        evaluate_every(c.quick ? 8 : steps_each_epoch / 2) {}
};

/// One run's accuracy at every evaluation; the parameters that it computed with, and the numbers that it trained.
struct curve {
  std::vector<double> step, accuracy;
  frugal::index_t computed = 0, trained = 0;
};

curve train(contender const& who, std::uint64_t seed, task const& t, progress& bar) {
  std::vector<Eigen::Index> widths{Eigen::Index(labelled_images::pixels)};
  widths.insert(widths.end(), who.hidden.begin(), who.hidden.end());
  widths.push_back(10);
  mlp<float> net(widths);
  std::vector<float> const first = net.initial(seed);
  vector x(first.begin(), first.end()), g(x.size());
  std::unique_ptr<learner> me;
  if (who.compression > 1) me = std::make_unique<shared_vector>(net, who.compression, seed, x);
  else me = std::make_unique<all_parameters>(net);
  training_batch batch(batch_size);
  std::vector<std::uint32_t> order(t.set.train.size());
  for (std::size_t k = 0; k < order.size(); ++k) order[k] = std::uint32_t(k);
  generator random(1000 + seed);

  curve c;
  c.computed = net.size();
  c.trained = me->trained();
  for (int step = 0; step < t.steps; ++step) {
    int const b = step % t.steps_each_epoch;
    if (b == 0) random.shuffle(order);
    for (int j = 0; j < batch_size; ++j) batch.take(t.set, j, order[std::size_t(b * batch_size + j)]);
    net.loss(x, batch.x, batch.label.data(), g);
    me->step(x, g, who.rate * schedule(step, t.steps));
    if ((step + 1) % t.evaluate_every == 0) {
      c.step.push_back(step + 1);
      c.accuracy.push_back(t.accuracy(net, x));
      bar.advance(t.evaluate_every);
    }
  }
  return c;
}

/// All that was measured of one network.
struct finding {
  contender who;
  std::vector<curve> runs;
  report::series accuracy;

  double last() const { return accuracy.y.back(); }
  double trained() const { return double(runs[0].trained); }
};
using findings = std::vector<finding>;

finding const& named(findings const& all, std::string const& name) {
  return *std::find_if(all.begin(), all.end(), [&](finding const& f) { return f.who.name == name; });
}

findings train_all(task const& t, int seeds, context const& c) {
  findings all;
  for (contender& who : contenders()) all.push_back({std::move(who), std::vector<curve>(std::size_t(seeds)), {}});
  int const runs = int(all.size()) * seeds;
  c.bar.start("Shared weights, " + std::to_string(runs) + " runs",
              double(runs) * double(t.steps / t.evaluate_every * t.evaluate_every));
  run_all(c.threads, runs, [&](int run) {
    finding& f = all[std::size_t(run / seeds)];
    int const seed = run % seeds;
    f.runs[std::size_t(seed)] = train(f.who, std::uint64_t(seed) + 1, t, c.bar);
  });
  for (finding& f : all) {
    std::vector<std::vector<double>> accuracies;
    for (curve const& r : f.runs) accuracies.push_back(r.accuracy);
    f.accuracy = report::over_runs(f.who.name, f.who.style, f.runs[0].step, accuracies);
  }
  return all;
}

std::string with_sign(double v) { return std::string(v > 0 ? "+" : "").append(number(v, 2)); }

std::vector<report::expectation> expectations(findings const& all, context const& c) {
  bool const judged = c.epochs == 5 && !c.quick;
  finding const &whole = named(all, full), &eighth = named(all, shared8);
  std::vector<report::expectation> claims;
  auto const claim = [&](std::string what, std::string expected, double difference, bool met) {
    claims.push_back({std::move(what), std::move(expected), with_sign(difference) + " points",
                      judged ? std::optional<bool>(met) : std::nullopt});
  };
  double const lost = eighth.last() - whole.last();
  claim("An eighth of the numbers is nearly as good as all of them", "at most 1.00 points below the full network", lost,
        lost >= -1);
  for (auto [shared, dense] : {std::pair(shared8, dense8), std::pair(shared32, dense32)}) {
    double const more = named(all, shared).last() - named(all, dense).last();
    claim(std::string(shared) + " is better than a dense network with as many parameters", "more accurate", more,
          more > 0);
  }
  return claims;
}

report::section describe(findings const& all, std::vector<report::expectation> const& claims, task const& t) {
  std::size_t const seeds = all[0].runs.size();
  finding const &whole = named(all, full), &eighth = named(all, shared8), &small = named(all, dense8),
                &least = named(all, shared32), &tiny = named(all, dense32);
  report::section page("sharing", "Shared weights: a network out of an eighth of its numbers");
  page.text(
      "The perceptron of the first part has 234,752 weights between its units. Here they are read out of a shared "
      "vector "
      "(ROAST): every weight is plus or minus one of its numbers, times a scale for each layer. Which one, and which "
      "sign, "
      "is drawn at random once, and not stored. Only the vector and the 394 biases are trained, kept and remembered by "
      "the "
      "optimizer, and would travel between workers.");
  page.text(
      "The same could be had from a smaller dense network, with as many parameters. It computes less, too: ROAST "
      "computes "
      "with all weights of the full network. What is compared is what has to be stored.");
  page.tiles({{number(whole.trained() / eighth.trained(), 1), "times fewer numbers than the full network"},
              {with_sign(eighth.last() - whole.last()), "points from the full network to ROAST"},
              {with_sign(eighth.last() - small.last()), "points from the dense network of that size to ROAST"},
              {with_sign(least.last() - tiny.last()), "points, the same with 32 times fewer numbers"}});
  page.heading("Expected and measured").expect(claims);

  page.heading("What the numbers buy");
  report::axis const right{"% of test images right"};
  std::string const bands =
      seeds == 1 ? "One seed. "
                 : "Lines: mean of " + std::to_string(seeds) + " seeds; bands: from the lowest to the highest. ";
  report::line_figure picture{{"Test accuracy", bands + "SGD with momentum 0.9; the rate falls along half a cosine."},
                              {"training step"},
                              right,
                              {}};
  report::dot_figure ends{{"After the last step", "Whiskers: from the lowest to the highest seed."},
                          {"numbers that are trained and stored, logarithmic", 0, true},
                          {right.label, 1},
                          {}};
  report::table table{
      {"Network", "units", "peak<br>rate", "weights<br>and biases", "trained", "with<br>momentum, kB", "accuracy, %",
       "lowest<br>to highest"},
      {},
      "Means over the seeds. Rates: the best of 0.01, 0.02, 0.05, 0.1, 0.2, 0.4 and 0.8 with another seed. "
      "Gradient scaling moves a weight by the mean over its slot, where much cancels: hence the higher "
      "rates of the shared vectors."};
  for (finding const& f : all) {
    picture.lines.push_back(f.accuracy);
    report::series last = f.accuracy;
    for (auto* column : {&last.y, &last.low, &last.high}) *column = {column->back()};
    last.x = {f.trained()};
    ends.dots.push_back(std::move(last));
    std::string units = std::to_string(labelled_images::pixels);
    for (Eigen::Index h : f.who.hidden) units += "\u2013" + std::to_string(h);
    table.rows.push_back({report::escape(f.who.name), units + "\u201310", nlohmann::json(f.who.rate).dump(),
                          number(double(f.runs[0].computed), 0), number(f.trained(), 0), number(8e-3 * f.trained(), 0),
                          number(f.last(), 2),
                          number(f.accuracy.low.back(), 2) + " to " + number(f.accuracy.high.back(), 2)});
  }
  page.add(picture).add(ends).add(table);
  page.text(
      "Every network saw the training images " +
      number(double(t.steps) / t.steps_each_epoch, t.steps < t.steps_each_epoch ? 2 : 0) +
      " times. The time of ROAST's own passes is in <code>./dev bench roast</code>: they run at the speed of memory.");
  return page;
}

outcome run(context const& c) {
  fashion_mnist const set = load_fashion_mnist(c.data);
  task const t(set, c);
  findings const all = train_all(t, c.quick ? 1 : c.seeds, c);
  nlohmann::json list;
  for (finding const& f : all) {
    nlohmann::json seeds;
    for (curve const& r : f.runs) seeds.push_back({{"step", r.step}, {"accuracy_percent", r.accuracy}});
    list.push_back({{"name", f.who.name},
                    {"peak_rate", f.who.rate},
                    {"trained", f.runs[0].trained},
                    {"accuracy_percent", f.last()},
                    {"seeds", seeds}});
  }
  return {describe(all, expectations(all, c), t), {{"batch_size", batch_size}, {"steps", t.steps}, {"networks", list}}};
}

registered_part const registered({40, "sharing", run});

}  // namespace
}  // namespace bench
