// SPDX-License-Identifier: Apache-2.0
/// @file MeZO: a network that was trained on images where they are learns to see them moved, by forward passes alone;
/// four workers tell each other a scalar a step. Beside it gradients, averaged by an all-reduce.
#include "training/classification.hpp"

#include <frugal/backend/serial.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/core/permutation.hpp>
#include <frugal/optim/momentum.hpp>
#include <frugal/zeroth_order/replicas.hpp>

#include "training/part.hpp"

namespace bench {
namespace {

using report::number;
using world_type = frugal::loopback_comm;

constexpr int workers = 4, batch_size = 64, moved_by = 3;
constexpr double epsilon = 1e-3, mezo_rate = 3e-3, gradient_rate = 0.05, trained_rate = 0.1;

/// Pixels from 0, black, to 1.
fashion_mnist plain(fashion_mnist set) {
  set.mean = 0;
  set.deviation = 255;
  return set;
}
/// Every image, moved to the right and down; what leaves it is lost, and what comes in is black.
fashion_mnist moved(fashion_mnist set) {
  constexpr int side = 28;
  for (labelled_images* images : {&set.train, &set.test}) {
    std::vector<std::uint8_t> to(images->image.size());
    for (std::size_t k = 0; k < images->size(); ++k)
      for (int row = moved_by; row < side; ++row) {
        auto const at = k * images->pixels + std::size_t(row * side);
        auto const from = images->image.begin() + std::ptrdiff_t(at) - moved_by * side;
        std::copy(from, from + side - moved_by, to.begin() + std::ptrdiff_t(at) + moved_by);
      }
    images->image = std::move(to);
  }
  return set;
}

/// Batches of a set in a random order: all workers' together go through all images, again and again.
class batches {
 public:
  batches(fashion_mnist const& s, std::uint64_t seed, int rank, int ranks)
      : set_(s), seed_(seed), rank_(rank), ranks_(ranks), batch(batch_size) {}
  void next() {
    auto const n = std::uint32_t(set_.train.size()), together = std::uint32_t(ranks_ * batch_size);
    std::uint32_t const each_epoch = n / together;
    frugal::permutation const order(seed_, taken_ / each_epoch, n);
    std::uint32_t const first = taken_++ % each_epoch * together + std::uint32_t(rank_ * batch_size);
    for (int j = 0; j < batch_size; ++j) batch.take(set_, j, order(first + std::uint32_t(j)));
  }

 private:
  fashion_mnist const& set_;
  std::uint64_t seed_;
  int rank_, ranks_;
  std::uint32_t taken_ = 0;

 public:
  training_batch batch;
};

struct task {
  task(fashion_mnist const& s, context const& c)
      : set(plain(s)),
        other(moved(set)),
        here(set, c.quick ? 1000 : set.test.size()),
        there(other, c.quick ? 1000 : set.test.size()),
        first_steps(c.quick ? 100 : 2 * int(set.train.size()) / batch_size),
        mezo_steps(c.quick ? 20 : 3000),
        gradient_steps(c.quick ? 10 : 300) {}
  fashion_mnist set, other;
  classification here, there;  ///< images where they were, and moved
  int first_steps, mezo_steps, gradient_steps;
};

/// A run of one seed.
struct history {
  double trained = 0, untouched = 0;  ///< accuracy before, on images where they were and on moved ones
  std::vector<double> steps, accuracy;
  std::int64_t bytes = 0;  ///< that have left a worker
  // Of MeZO:
  std::int64_t log = 0;
  bool repeated = false;  ///< whether a replay of the log gave the same weights
};

vector trained(task const& t, std::uint64_t seed) {
  mlp<float> net = t.here.net();
  std::vector<float> const start = net.initial(seed);
  vector x(start.begin(), start.end()), g(x.size());
  frugal::momentum opt(frugal::serial_backend{}, net.layout(), {.momentum = 0.9});
  batches b(t.set, seed, 0, 1);
  for (int step = 0; step < t.first_steps; ++step) {
    b.next();
    net.loss(x, b.batch.x, b.batch.label.data(), g);
    opt.config().lr = trained_rate * schedule(step, t.first_steps);
    opt.step(x, g);
  }
  return x;
}

/// Trains all workers together from x on; step(net, batch, x, k) is step k of one of them.
template <class Start>
history adapted(task const& t, std::uint64_t seed, vector const& from, int steps, context const& c,
                Start const& start) {
  history seen;
  frugal::run_loopback(workers, [&](world_type& world) {
    bool const first = world.rank() == 0;
    mlp<float> net = t.there.net();
    batches b(t.other, seed, world.rank(), workers);
    vector x = from;
    auto run = start(world, net);
    auto const look = [&](int step) {
      if (!first) return;
      seen.steps.push_back(step);
      seen.accuracy.push_back(t.there.accuracy(net, x));
    };
    look(0);
    std::int64_t const before = world.bytes_sent();
    for (int step = 0; step < steps; ++step) {
      b.next();
      run.step(x, b.batch, schedule(step, steps));
      if ((step + 1) % std::max(1, steps / 20) == 0) {
        look(step + 1);
        if (first) c.bar.advance(std::max(1, steps / 20));
      }
    }
    if (first) seen.bytes = world.bytes_sent() - before;
    if (first) run.finish(from, x, seen);
  });
  return seen;
}

struct by_mezo {
  frugal::serial_backend cpu;
  mlp<float>& net;
  std::uint64_t seed;
  using optimizer = decltype(frugal::mezo(cpu, 0, {}, frugal::rademacher{}, frugal::restored_from_copy{}));
  frugal::replicas<optimizer, frugal::loopback_transport> together;

  static optimizer make(mlp<float> const& net, std::uint64_t seed) {
    return optimizer({}, net.layout(), {.epsilon = epsilon, .seed = seed}, frugal::rademacher{},
                     frugal::restored_from_copy{});
  }
  by_mezo(world_type& world, mlp<float>& n, std::uint64_t s) : net(n), seed(s), together(make(n, s), world) {}
  void step(vector& x, training_batch const& b, double rate) {
    together.optimizer().config().lr = mezo_rate * rate;
    together.step(x, [&] { return net.loss(x, b.x, b.label.data()); });
  }
  void finish(vector const& from, vector const& x, history& seen) {
    frugal::message const log = together.log().bytes();
    vector again = from;
    optimizer late = make(net, seed);
    frugal::update_log::replay(late, again, log);
    seen.log = log.size();
    seen.repeated = again == x;
  }
};

struct by_gradients {
  frugal::serial_backend cpu;
  world_type world;
  mlp<float>& net;
  vector g;
  frugal::momentum<frugal::serial_backend> opt;
  by_gradients(world_type& w, mlp<float>& n)
      : world(w), net(n), g(std::size_t(n.size())), opt(cpu, n.layout(), {.momentum = 0.9}) {}
  void step(vector& x, training_batch const& b, double rate) {
    net.loss(x, b.x, b.label.data(), g);
    world.all_reduce(cpu, g, frugal::op::mean{});
    opt.config().lr = gradient_rate * rate;
    opt.step(x, g);
  }
  void finish(vector const&, vector const&, history&) {}
};

struct findings {
  std::vector<history> mezo, gradients;  ///< of each seed
};

double mean_of(std::vector<history> const& all, double (*what)(history const&)) {
  double sum = 0;
  for (history const& h : all) sum += what(h);
  return sum / double(all.size());
}
double last(history const& h) { return h.accuracy.back(); }

findings train_all(task const& t, context const& c) {
  int const seeds = c.quick ? 1 : c.seeds;
  findings all{std::vector<history>(std::size_t(seeds)), std::vector<history>(std::size_t(seeds))};
  c.bar.start("MeZO, " + std::to_string(seeds) + " seeds", double(seeds) * (t.mezo_steps + t.gradient_steps));
  run_all(c.threads, seeds, [&](int k) {
    auto const seed = std::uint64_t(k) + 1;
    vector const x = trained(t, seed);
    mlp<float> net = t.here.net();
    history& h = all.mezo[std::size_t(k)];
    all.gradients[std::size_t(k)] = adapted(t, seed, x, t.gradient_steps, c,
                                            [](world_type& world, mlp<float>& n) { return by_gradients(world, n); });
    h = adapted(t, seed, x, t.mezo_steps, c,
                [seed](world_type& world, mlp<float>& n) { return by_mezo(world, n, seed); });
    h.trained = t.here.accuracy(net, x);
    h.untouched = h.accuracy[0];
  });
  return all;
}

report::series curve(std::string name, report::look style, std::vector<history> const& all) {
  std::vector<std::vector<double>> runs;
  for (history const& h : all) runs.push_back(h.accuracy);
  return report::over_runs(std::move(name), style, all[0].steps, runs);
}

outcome run(context const& c) {
  fashion_mnist const set = load_fashion_mnist(c.data);
  task const t(set, c);
  findings const all = train_all(t, c);
  history const &mezo = all.mezo[0], &dense = all.gradients[0];
  std::size_t const seeds = all.mezo.size();
  double const trained = mean_of(all.mezo, [](history const&h) { return h.trained; }),
               before = mean_of(all.mezo, [](history const&h) { return h.untouched; }), after = mean_of(all.mezo, last),
               by_gradient = mean_of(all.gradients, last);
  double const mezo_step = double(mezo.bytes) / t.mezo_steps, dense_step = double(dense.bytes) / t.gradient_steps;
  std::size_t repeated = 0;
  for (history const& h : all.mezo) repeated += h.repeated;
  auto const of_all = std::to_string(repeated) + " of " + std::to_string(seeds);

  auto const judged = [&](bool met) { return c.quick ? std::nullopt : std::optional<bool>(met); };
  std::vector<report::expectation> const claims{
      {"Images moved by three pixels are lost on the network", "about 19\u00a0% right", number(before, 2) + "\u00a0%",
       judged(std::abs(before - 19) <= 5)},
      {"MeZO brings them back, by forward passes alone", "at least 65\u00a0% after 3000 steps",
       number(after, 2) + "\u00a0%", judged(after >= 65)},
      {"A step sends next to nothing", "at most 1/1000 of the all-reduce's bytes",
       "1/" + number(dense_step / mezo_step, 0), judged(1000 * mezo_step <= dense_step)},
      {"Who replays the log has the same weights", "the same bits, every seed", of_all, repeated == seeds}};

  report::section page("zeroth_order", "MeZO: training without gradients");
  page.text(
      "A perceptron was trained on the images as they are, and then sees them three pixels further right and "
      "down. Four workers teach it to: each evaluates the network at two points on a line through the weights, "
      "with a batch of " +
      std::to_string(batch_size) +
      " of its own, and sends the others the slope between them, one number. The directions of the lines are "
      "signs that everybody makes from a seed: no gradient is ever computed, stored or sent, and the weights of "
      "all workers stay the same, bit for bit.");
  page.tiles({{number(before, 1) + " to " + number(after, 1), "% of the moved test images right, before and after"},
              {number(mezo_step, 0), "bytes leave a worker in a step"},
              {"1/" + number(dense_step / mezo_step, 0), "of what an all-reduce of gradients sends"},
              {number(1e-3 * double(mezo.log), 0) + "\u00a0kB", "of log, from which a late joiner repeats the run"}});
  page.heading("Expected and measured").expect(claims);
  page.heading("What forward passes can do");
  report::line_figure picture{
      {"Test accuracy on moved images",
       (seeds == 1 ? std::string("One seed. ")
                   : "Lines: mean of " + std::to_string(seeds) + " seeds; bands: from the lowest to the highest. ") +
           "Both rates fall along half a cosine to zero. Gradients need a tenth of the steps, and " +
           number(dense_step / mezo_step, 0) + " times the bytes in each."},
      {"training step"},
      {"% of test images right"},
      {curve("MeZO", {1, 0}, all.mezo), curve("Gradients, all-reduce", {0, 0}, all.gradients)}};
  page.add(picture);
  report::table table{
      {"Method", "peak rate", "steps", "bytes a step<br>and worker", "MB in all", "accuracy, %"},
      {},
      "Means over the seeds; the network had " + number(trained, 2) +
          "\u00a0% of the images right where they were. A message of MeZO is a scalar, a fingerprint "
          "of the steps before, and a header of 64 bytes, to each of three others; all workers' "
          "weights are compared after every hundredth step, which is counted. MeZO's rate and radius (" +
          nlohmann::json(epsilon).dump() + ") were given, not tuned here."};
  auto const row = [&](std::string name, double rate, int steps, history const& h, double accuracy) {
    table.rows.push_back({std::move(name), nlohmann::json(rate).dump(), number(steps, 0),
                          number(double(h.bytes) / steps, 0), number(1e-6 * double(h.bytes), 2), number(accuracy, 2)});
  };
  row("MeZO", mezo_rate, t.mezo_steps, mezo, after);
  row("Gradients, all-reduce", gradient_rate, t.gradient_steps, dense, by_gradient);
  page.add(table);

  nlohmann::json list;
  for (std::size_t k = 0; k < seeds; ++k)
    list.push_back({{"before_percent", all.mezo[k].untouched},
                    {"after_percent", last(all.mezo[k])},
                    {"by_gradients_percent", last(all.gradients[k])},
                    {"replay_equal", all.mezo[k].repeated}});
  return {std::move(page),
          {{"workers", workers},
           {"batch_size", batch_size},
           {"steps", t.mezo_steps},
           {"bytes", mezo.bytes},
           {"log_bytes", mezo.log},
           {"gradient_steps", t.gradient_steps},
           {"gradient_bytes", dense.bytes},
           {"trained_percent", trained},
           {"seeds", list}}};
}

registered_part const registered({30, "zeroth_order", run});

}  // namespace
}  // namespace bench
