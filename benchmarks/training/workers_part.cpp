// SPDX-License-Identifier: Apache-2.0
/// @file Four workers on shards of their own: what accuracy can be had for how many bytes. First in one process, then
/// once more over MPI, where the demo was built with it.
#include "training/workers_loopback.hpp"

#include <sys/wait.h>

#include <array>
#include <cstdio>

#include "training/part.hpp"
#include "training/workers_figures.hpp"

namespace bench {
namespace {

using report::number;

using local_method = method<local_world>;

/// All that was measured of one method.
struct finding {
  local_method how;
  std::vector<std::vector<look>> runs;  ///< of each seed
  report::series accuracy;              ///< by megabytes

  double last() const { return accuracy.y.back(); }
  double bytes() const { return double(runs[0].back().bytes); }
};
using findings = std::vector<finding>;

finding const& named(findings const& all, std::string const& name) {
  return *std::find_if(all.begin(), all.end(), [&](finding const& f) { return f.how.name == name; });
}
constexpr char const *dense = "All-reduce", *ef14 = "EF14, top-k", *ef21 = "EF21, top-k",
                     *ef21_sgdm = "EF21-SGDM, top-k";

findings train_all(workers_task const& t, int seeds, context const& c) {
  findings all;
  for (local_method& m : methods<local_world>())
    all.push_back({std::move(m), std::vector<std::vector<look>>(std::size_t(seeds)), {}});
  int const runs = int(all.size()) * seeds;
  c.bar.start("Four workers, " + std::to_string(runs) + " runs", double(runs) * t.steps);
  run_all(c.threads, runs, [&](int run) {
    finding& f = all[std::size_t(run / seeds)];
    int const seed = run % seeds;
    frugal::run_loopback(t.workers, [&](local_world& world) {
      auto looks = train(world, f.how, std::uint64_t(seed) + 1, t, t.looks.size(), [&](int steps) {
        if (world.rank() == 0) c.bar.advance(steps);
      });
      if (world.rank() == 0) f.runs[std::size_t(seed)] = std::move(looks);
    });
  });
  for (finding& f : all) {
    std::vector<double> megabytes;
    std::vector<std::vector<double>> accuracies;
    for (look const& l : f.runs[0]) megabytes.push_back(1e-6 * double(l.bytes));
    for (auto const& looks : f.runs) {
      accuracies.emplace_back();
      for (look const& l : looks) accuracies.back().push_back(l.accuracy);
    }
    f.accuracy = report::over_runs(f.how.name, f.how.style, std::move(megabytes), accuracies);
  }
  return all;
}

/// The first seed of every method once more, as four processes, up to one of its first looks.
struct repetition {
  bool possible = false;
  int steps = 0;
  std::size_t equal = 0;  ///< methods with the same bytes, accuracies and weights at every look
  std::string trouble;
};

#ifdef FRUGAL_DEMO_WORKERS
std::string quoted(std::string const& word) {
  std::string q = "'";
  for (char c : word) q += c == '\'' ? "'\\''" : std::string(1, c);
  return q + "'";
}
repetition repeat_over_mpi(findings const& all, workers_task const& t, context const& c) {
  std::size_t const looks = std::min<std::size_t>(3, t.looks.size());
  repetition again{true, t.looks[looks - 1], 0, ""};
  c.bar.start("The same over MPI", 1);
  // Open MPI refuses to run as root, or more ranks than cores, unless it is told that this is meant.
  std::string const command =
      "env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 " +
      quoted(FRUGAL_MPIEXEC) + " " FRUGAL_MPIEXEC_NUMPROC " " + std::to_string(t.workers) + " " +
      quoted(FRUGAL_DEMO_WORKERS) + " --json --data " + quoted(c.data.string()) +
      (c.quick ? " --quick" : " --epochs " + std::to_string(c.epochs)) + " --looks " + std::to_string(looks);
  std::string text;
  int status = -1;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    std::array<char, 4096> part;
    for (std::size_t n; (n = std::fread(part.data(), 1, part.size(), pipe)) > 0;) text.append(part.data(), n);
    status = pclose(pipe);
    if (WIFEXITED(status)) status = WEXITSTATUS(status);
  }
  nlohmann::json const got = nlohmann::json::parse(text, nullptr, false);
  if (status != 0 || !got.is_object()) again.trouble = "it ended with status " + std::to_string(status);
  else
    for (finding const& f : all)
      again.equal += got.value(f.how.name, nlohmann::json()) ==
                     figures({f.runs[0].begin(), f.runs[0].begin() + std::ptrdiff_t(looks)});
  c.bar.advance(1);
  return again;
}
#else
repetition repeat_over_mpi(findings const&, workers_task const&, context const&) { return {}; }
#endif

/// The bytes of f as a part of those of `full`.
std::string part(finding const& full, finding const& f, int decimals = 1) {
  return "1/" + number(full.bytes() / f.bytes(), decimals);
}
std::string with_sign(double v) { return std::string(v > 0 ? "+" : "").append(number(v, 2)); }

std::vector<report::expectation> expectations(findings const& all, repetition const& again, context const& c) {
  bool const five_epochs = c.epochs == 5 && !c.quick;
  std::vector<report::expectation> claims;
  auto const claim = [&](std::string what, std::string expected, std::string measured, bool met, bool judged) {
    claims.push_back(
        {std::move(what), std::move(expected), std::move(measured), judged ? std::optional<bool>(met) : std::nullopt});
  };
  finding const &full = named(all, dense), &plain = named(all, ef21), &averaged = named(all, ef21_sgdm);
  for (auto [f, name, points] :
       {std::tuple(&named(all, ef14), "EF14 with top-k", 1.0), std::tuple(&averaged, "EF21-SGDM with top-k", 2.5)}) {
    double const difference = f->last() - full.last();
    claim(name + std::string(" is nearly as accurate as the all-reduce"),
          "at most " + number(points, 2) + " points below", with_sign(difference) + " points", difference >= -points,
          five_epochs);
    claim(name + std::string(" sends little"), "at most 1/20 of the all-reduce's bytes", part(full, *f),
          20 * f->bytes() <= full.bytes(), !c.quick);
  }
  claim("EF21-SGDM has a lower noise floor than EF21", "more accurate with the same bytes",
        with_sign(averaged.last() - plain.last()) + " points",
        averaged.last() > plain.last() && averaged.bytes() == plain.bytes(), five_epochs);
  std::string const methods = std::to_string(all.size());
  claim("Four MPI processes compute what one process does", "the same bits in all " + methods + " methods",
        !again.possible          ? "built without MPI"
        : !again.trouble.empty() ? again.trouble
                                 : std::to_string(again.equal) + " of " + methods,
        again.equal == all.size(), again.possible);
  return claims;
}

report::section describe(findings const& all, std::vector<report::expectation> const& claims, repetition const& again,
                         workers_task const& t) {
  std::size_t const seeds = all[0].runs.size();
  finding const &full = named(all, dense), &topk = named(all, ef14), &plain = named(all, ef21),
                &averaged = named(all, ef21_sgdm);
  report::section page("workers", "Workers: how little need they tell each other?");
  page.text("Four workers train the same perceptron, each on its own quarter of the images. Of these, " +
            number(100 * t.skew, 0) +
            "\u00a0% were dealt out in the order of their labels: a worker sees mostly two or three kinds of clothes. "
            "After every batch of " +
            std::to_string(t.batch_size) + " all make a step together.");
  page.text(
      "The all-reduce sends whole gradients. With the error feedbacks EF14, EF21 and EF21-SGDM a worker sends "
      "everybody "
      "the largest 1\u00a0% of a vector (top-k), or its signs, and keeps account of the rest. With gossip and CHOCO "
      "the "
      "workers stand in a ring and make steps of their own; neighbours get their weights after every 40th step, or "
      "1\u00a0% of what is new in them after each.");
  page.tiles({{with_sign(topk.last() - full.last()),
               "points of accuracy lost or gained by EF14, which sends the largest 1\u00a0%"},
              {part(full, topk, 0), "of the all-reduce's bytes leave a worker"},
              {with_sign(averaged.last() - plain.last()), "points from EF21 to EF21-SGDM, for the same bytes"},
              {again.possible ? std::to_string(again.equal) + " of " + std::to_string(all.size()) : "\u2013",
               "methods with the same bits in one process and over MPI"}});
  page.heading("Expected and measured").expect(claims);

  page.heading("What the bytes buy");
  report::axis const megabytes{"MB, logarithmic", 0, true}, right{"% of test images right"};
  report::line_figure picture{
      {"Test accuracy by bytes that have left a worker",
       (seeds == 1 ? std::string("One seed. ")
                   : "Lines: mean of " + std::to_string(seeds) + " seeds; bands: from the lowest to the highest. ") +
           "All methods take the same " + number(t.steps, 0) +
           " steps; the rate falls along half a cosine to zero. Where the workers' weights differ, the accuracy is "
           "that of their mean, and taking it once is counted."},
      megabytes,
      right,
      {}};
  report::dot_figure ends{{"After the last step", "Whiskers: from the lowest to the highest seed.", false},
                          megabytes,
                          {right.label, 1},
                          {}};
  report::line_figure floor{
      {"The noise floor of EF21",
       "The same accuracies by steps: the methods that send as much as EF21, and the all-reduce.", false},
      {"training step"},
      right,
      {}};
  report::table table{{"Method", "peak rate", "bytes a step<br>and worker", "MB in all", "of the<br>all-reduce",
                       "accuracy, %", "lowest to highest"},
                      {},
                      "Means over the seeds. Rates: the best of 0.05, 0.1, 0.2, 0.3 and 0.4 with another seed. Every "
                      "message but the all-reduce's begins with a header of 64 bytes, which is counted."};
  for (finding const& f : all) {
    picture.lines.push_back(f.accuracy);
    report::series by_steps = f.accuracy, last = f.accuracy;
    for (std::size_t k = 0; k < by_steps.x.size(); ++k) by_steps.x[k] = f.runs[0][k].step;
    if (f.bytes() == plain.bytes() || &f == &full) floor.lines.push_back(std::move(by_steps));
    for (auto* column : {&last.x, &last.y, &last.low, &last.high}) *column = {column->back()};
    ends.dots.push_back(std::move(last));
    table.rows.push_back({report::escape(f.how.name), nlohmann::json(f.how.rate).dump(), number(f.bytes() / t.steps, 0),
                          number(1e-6 * f.bytes(), 1), &f == &full ? "1" : part(full, f), number(f.last(), 2),
                          number(f.accuracy.low.back(), 2) + " to " + number(f.accuracy.high.back(), 2)});
  }
  page.add(picture).add(ends).add(floor).add(table);
  page.heading("Why EF21 stays behind")
      .text(
          "A worker sends the largest entries of the difference between its gradient and a vector h that everybody "
          "follows. With small batches these are mostly noise. What was sent of it stays in h until the entry's turn "
          "comes again, about a hundred steps later, and pushes the weights the same way in all of these steps, where "
          "fresh noise would cancel. EF21-SGDM follows a running mean of the gradients, with less noise to send; EF14 "
          "keeps what it does not send and adds the next gradients to it, so that noise cancels before it is sent.");
  page.heading("The same over MPI");
  if (!again.possible)
    page.text(
        "This demo was built without MPI. With it (Debian's libopenmpi-dev and openmpi-bin) the same code also runs in "
        "four processes, and the bits are compared.");
  else if (!again.trouble.empty()) page.text("The run under mpirun failed: " + report::escape(again.trouble) + ".");
  else
    page.text("The first " + std::to_string(again.steps) + " steps of every method were run again by <code>mpirun -n " +
              std::to_string(t.workers) +
              " demo_workers</code>, the same code in four processes that exchange messages over MPI: bytes, "
              "accuracies and all workers' weights are " +
              (again.equal == all.size() ? "the same, bit for bit." : "<b>not all the same</b>."));
  return page;
}

outcome run(context const& c) {
  fashion_mnist const set = load_fashion_mnist(c.data);
  workers_task const t(set, c.quick ? 0 : c.epochs);
  findings const all = train_all(t, c.quick ? 1 : c.seeds, c);
  repetition const again = repeat_over_mpi(all, t, c);

  nlohmann::json list, mpi{{"run", again.possible}};
  for (finding const& f : all) {
    nlohmann::json seeds;
    for (auto const& looks : f.runs) seeds.push_back(figures(looks));
    list.push_back({{"name", f.how.name},
                    {"peak_rate", f.how.rate},
                    {"bytes", f.runs[0].back().bytes},
                    {"accuracy_percent", f.last()},
                    {"seeds", seeds}});
  }
  if (again.possible) mpi.update({{"steps", again.steps}, {"equal_methods", again.equal}, {"trouble", again.trouble}});
  return {describe(all, expectations(all, again, c), again, t),
          {{"workers", t.workers},
           {"batch_size", t.batch_size},
           {"label_skew", t.skew},
           {"steps", t.steps},
           {"mpi", mpi},
           {"methods", list}}};
}

registered_part const registered({20, "workers", run});

}  // namespace
}  // namespace bench
