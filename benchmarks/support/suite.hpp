// SPDX-License-Identifier: Apache-2.0
/// @file How a file of benchmarks puts its tables into the program: a `suite` object at namespace scope.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "support/measure.hpp"

namespace bench {

/// What the user asked for, and where measured tables go.
struct session {
  int log2n = 24;
  effort work;
  std::string filter;
  bool quick = false;
  std::function<void(table const&)> report;

  /// How many elements a table should have; never more than 2^most.
  std::size_t elements(int most = 64) const { return std::size_t(1) << std::min(log2n, most); }

  void measure(table t) const {
    t.keep(filter);
    if (t.cases().empty()) return;
    t.measure(work);
    report(t);
  }
};

/// Suites run in the order of their names, whatever the linker's.
struct suite {
  using function = std::function<void(session const&)>;
  suite(std::string name, function run) { all().emplace_back(std::move(name), std::move(run)); }
  static std::vector<std::pair<std::string, function>>& all() {
    static std::vector<std::pair<std::string, function>> suites;
    return suites;
  }
};

}  // namespace bench
