// SPDX-License-Identifier: Apache-2.0
/// @file Papers' claims at a size that a laptop checks in seconds: what is claimed, what to expect, what came out. A
/// file of claims has a `claims::claim` at namespace scope, whose function says and measures.
#pragma once
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace claims {

/// What a claim is measured in, and where it tells what came out.
struct session {
  bool quick = false;  ///< only that it runs: few steps, and nothing need hold
  int checked = 0, failed = 0;

  /// Who claims what.
  void says(std::string const& who, std::string const& what) { std::printf("%s  %s\n", who.c_str(), what.c_str()); }
  /// A figure that nothing is expected of.
  void tell(std::string const& what, double measured) { line(what, "", 0, measured, true); }
  void at_most(std::string const& what, double expected, double measured) {
    line(what, "at most", expected, measured, measured <= expected);
  }
  void at_least(std::string const& what, double expected, double measured) {
    line(what, "at least", expected, measured, measured >= expected);
  }

 private:
  void line(std::string const& what, char const* how, double expected, double measured, bool holds) {
    std::printf("    %-44s %12.5g", what.c_str(), measured);
    if (*how) {
      ++checked;
      failed += !holds;
      std::printf("   expected %-8s %-10.4g %s", how, expected, quick ? "" : holds ? "holds" : "DOES NOT HOLD");
    }
    std::puts("");
    std::fflush(stdout);
  }
};

/// Claims run in the order of their names.
struct claim {
  using function = std::function<void(session&)>;
  claim(std::string name, function run) { all().emplace_back(std::move(name), std::move(run)); }
  static std::vector<std::pair<std::string, function>>& all() {
    static std::vector<std::pair<std::string, function>> claims;
    return claims;
  }
};

}  // namespace claims
