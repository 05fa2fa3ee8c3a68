// SPDX-License-Identifier: Apache-2.0
/// @file A part of the demo: a name, and a function that measures something and reports it. A family of algorithms adds
/// its part with one file that holds a `registered_part` at namespace scope.
#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "training/progress.hpp"
#include "training/report.hpp"

namespace bench {

/// What the user asked for.
struct context {
  std::filesystem::path data;  ///< folder of Fashion-MNIST
  bool quick = false;          ///< show that everything runs: tiny, and nothing is judged
  int epochs = 5;
  int seeds = 3;
  unsigned threads = 1;
  progress& bar;
};

/// A part's section of the page and its figures for results.json.
struct outcome {
  report::section section;
  nlohmann::json figures;
};

struct part {
  int order;  ///< on the page
  std::string name;
  std::function<outcome(context const&)> run;
  bool on_demand = false;  ///< only when it is asked for by name
};

struct registered_part {
  explicit registered_part(part p) { all().push_back(std::move(p)); }
  static std::vector<part>& all() {
    static std::vector<part> parts;
    return parts;
  }
};

}  // namespace bench
