// SPDX-License-Identifier: Apache-2.0
/// @file The main program of the benchmarks: runs the suites that are linked in, prints tables, writes one JSON line
/// for each ratio.
#pragma once
#include <CLI/CLI.hpp>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <tuple>

#include "limits/limits.hpp"
#include "support/compiler.hpp"
#include "support/suite.hpp"

namespace bench {

/// One line for each ratio that has a bound, or is to be reported:
/// {"name","n","threads","ratio","against","bound","compiler","isa"}, and the time behind it; the others are printed
/// only. The bound is text such as "<=1.10", or "reported". Name, n, threads and against identify a line.
class ratio_file {
 public:
  ratio_file(std::string const& path, bool append) : path_(path) {
    if (path.empty()) return;
    out_.open(path, append ? std::ios::app : std::ios::trunc);
    check();
  }
  void write(table const& t) {
    for (timing const& c : t.cases())
      for (comparison const& r : c.to) {
        if (!seen_.emplace(c.name, t.elements(), t.threads(), r.against).second)
          throw std::logic_error("two measurements of " + c.name + " against " + r.against + " are called the same");
        if (path_.empty() || !r.reported) continue;
        out_ << R"({"name":")" << c.name << R"(","n":)" << t.elements() << R"(,"threads":)" << t.threads()
             << R"(,"ratio":)" << r.ratio << R"(,"against":")" << r.against << R"(","bound":")" << bound_text(r.bound)
             << R"(","compiler":")" << compiler() << R"(","isa":")" << isa << R"(","ns_per_element":)"
             << c.seconds / double(t.elements()) * 1e9 << R"(,"undisturbed":)" << t.undisturbed() << "}\n"
             << std::flush;
        check();
      }
  }
  static std::string bound_text(double bound) {
    if (std::isnan(bound)) return "reported";
    char text[16];
    std::snprintf(text, sizeof text, "<=%.2f", bound);
    return text;
  }

 private:
  void check() const {
    if (!out_) throw std::runtime_error("cannot write " + path_);
  }
  std::string path_;
  std::ofstream out_;
  std::set<std::tuple<std::string, std::size_t, int, std::string>> seen_;
};

/// Prints a table and returns how many of its bounds were missed.
inline int print(table const& t, bool judged) {
  std::printf("\n%zu elements, %d thread%s, %.0f %% of the samples undisturbed\n  %-26s %10s %8s\n", t.elements(),
              t.threads(), t.threads() == 1 ? "" : "s", 100 * t.undisturbed(), "", "ns/element", "GB/s");
  int missed = 0;
  for (timing const& c : t.cases()) {
    double const ns = c.seconds / double(t.elements()) * 1e9;
    std::printf("  %-26s %10.3f %8.1f", c.name.c_str(), ns, c.bytes / ns);
    for (comparison const& r : c.to) {
      std::printf("   %.2f x %s", r.ratio, r.against.c_str());
      if (!judged || std::isnan(r.bound)) continue;
      std::printf(" (%s%s)", ratio_file::bound_text(r.bound).c_str(), r.ratio <= r.bound ? "" : ", MISSED");
      missed += r.ratio > r.bound;
    }
    std::printf("\n");
  }
  std::fflush(stdout);
  return missed;
}

inline int command_line(int argc, char** argv, session s = {}) try {
  CLI::App app("Times frugal's kernels against limits measured in the same rounds.");
  std::string out;
  bool append = false;
  app.add_option("--out", out, "write the ratios there, one JSON line each");
  app.add_flag("--append", append, "keep the lines that the file already has");
  app.add_option("--filter", s.filter, "only cases whose names contain this (and what they are compared with)");
  app.add_option("--log2n", s.log2n, "log2 of the number of elements")->check(CLI::Range(8, 30))->capture_default_str();
  app.add_option("--rounds", s.work.rounds, "rounds; the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--quick", s.quick, "tiny sizes, one round, no bound judged: shows that everything runs");
  CLI11_PARSE(app, argc, argv);
  if (s.quick) {
    s.log2n = 12;
    s.work.rounds = 1, s.work.sample_seconds = 0;
  }

  ratio_file file(out, append);
  int missed = 0;
  s.report = [&](table const& t) {
    file.write(t);
    missed += print(t, !s.quick);
  };
  auto& suites = suite::all();
  std::sort(suites.begin(), suites.end(), [](auto const& a, auto const& b) { return a.first < b.first; });
  std::printf("%s, %s, median of %d round%s\n", compiler().c_str(), isa, s.work.rounds, s.work.rounds == 1 ? "" : "s");
  for (std::size_t k = 0; k < suites.size(); ++k) {
    std::fprintf(stderr, "[%zu/%zu] %s\n", k + 1, suites.size(), suites[k].first.c_str());
    suites[k].second(s);
  }
  if (!s.quick) std::printf("\n%d bound%s missed\n", missed, missed == 1 ? "" : "s");
  return 0;
} catch (std::exception const& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}

}  // namespace bench
