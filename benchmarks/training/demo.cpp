// SPDX-License-Identifier: Apache-2.0
/// @file The demo: trains, measures, and writes a page and its figures.
#include <CLI/CLI.hpp>
#include <frugal/version.hpp>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <thread>

#include "limits/limits.hpp"
#include "support/compiler.hpp"
#include "training/fashion_mnist.hpp"
#include "training/part.hpp"

namespace {

void write(std::filesystem::path const& path, std::string const& text) {
  std::ofstream file(path);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

int run(int argc, char** argv) {
  CLI::App app(
      "Trains small networks with frugal's optimizers and writes a report, DIR/index.html and DIR/results.json.");
  bench::progress bar;
  bench::context context{
      .data = bench::fashion_mnist_folder(), .threads = std::max(1u, std::thread::hardware_concurrency()), .bar = bar};
  std::filesystem::path out = "report";
  std::string only;
  app.add_option("--data", context.data, "folder of Fashion-MNIST")->capture_default_str();
  app.add_option("--out", out, "folder of the report")->capture_default_str();
  app.add_option("--epochs", context.epochs, "passes over the training set")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seeds", context.seeds, "repetitions of every run")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--part", only, "run this part alone");
  app.add_flag("--quick", context.quick, "a few steps of everything; nothing is judged");
  CLI11_PARSE(app, argc, argv);

  auto parts = bench::registered_part::all();
  std::sort(parts.begin(), parts.end(),
            [](auto const& a, auto const& b) { return std::tie(a.order, a.name) < std::tie(b.order, b.name); });
  std::string names;
  for (auto const& p : parts) names += (names.empty() ? "" : ", ") + p.name;
  std::erase_if(parts, [&](auto const& p) { return only.empty() ? p.on_demand : p.name != only; });
  if (parts.empty()) throw std::invalid_argument("--part: expected one of " + names + ", got '" + only + "'");

  auto const begin = std::chrono::steady_clock::now();
  nlohmann::json results;
  std::vector<bench::report::section> sections;
  for (auto const& p : parts) {
    bench::outcome o = p.run(context);
    nlohmann::json& figures = results["parts"][p.name] = std::move(o.figures);
    for (auto const& e : o.section.expectations())
      figures["expectations"].push_back({{"claim", e.claim},
                                         {"expected", e.expected},
                                         {"measured", e.measured},
                                         {"verdict", bench::report::verdict(e)}});
    sections.push_back(std::move(o.section));
  }
  double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  std::string const version = std::to_string(FRUGAL_VERSION_MAJOR) + "." + std::to_string(FRUGAL_VERSION_MINOR) + "." +
                              std::to_string(FRUGAL_VERSION_PATCH);
  results["frugal"] = version;
  results["compiler"] = bench::compiler();
  results["isa"] = bench::isa;
  results["threads"] = context.threads;
  results["seconds"] = seconds;
  results["quick"] = context.quick;
  std::filesystem::create_directories(out);
  write(out / "results.json", results.dump(2) + "\n");
  write(out / "index.html", bench::report::page(sections,
                                                "frugal " + version + ", " + bench::compiler() + ", " + bench::isa +
                                                    ", " + std::to_string(context.threads) + " threads, " +
                                                    bench::report::number(seconds, 0) + "\u00a0s",
                                                context.quick));

  for (auto const& s : sections)
    for (auto const& e : s.expectations())
      std::printf("%-11s %s: expected %s, measured %s\n", bench::report::verdict(e), e.claim.c_str(),
                  e.expected.c_str(), e.measured.c_str());
  std::printf("%s\n", (out / "index.html").c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run(argc, argv); } catch (std::exception const& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
