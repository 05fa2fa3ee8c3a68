// SPDX-License-Identifier: Apache-2.0
/// @file Papers' claims at a size that a laptop checks in seconds: what is claimed, what to expect, what came out. A
/// file of claims has a `claims::claim` at namespace scope, whose function says and measures.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace claims {

/// What an independent program (numpy, other random numbers) found in the same experiment: a number, or the least and
/// the largest of several runs.
struct reported {
  double low, high;
  reported(double one) : low(one), high(one) {}
  reported(double least, double most) : low(least), high(most) {}
};
inline reported const nothing{NAN};

/// What a claim is measured in, and where it tells what came out.
struct session {
  bool quick = false;  ///< only that it runs: few steps, and nothing need hold
  int checked = 0, failed = 0;

  /// Who claims what.
  void says(std::string const& who, std::string const& what) { std::printf("%s  %s\n", who.c_str(), what.c_str()); }
  /// A figure that decides nothing: it depends on the random numbers.
  void tell(std::string const& what, double measured, reported r = nothing) { line(what, "", 0, measured, true, r); }
  void at_most(std::string const& what, double expected, double measured, reported r = nothing) {
    line(what, "at most", expected, measured, measured <= expected, r);
  }
  void at_least(std::string const& what, double expected, double measured, reported r = nothing) {
    line(what, "at least", expected, measured, measured >= expected, r);
  }
  void exactly(std::string const& what, double expected, double measured) {
    line(what, "exactly", expected, measured, measured == expected, nothing);
  }

 private:
  void line(std::string const& what, char const* how, double expected, double measured, bool holds, reported r) {
    std::printf("    %-44s %12.5g", what.c_str(), measured);
    if (*how) {
      ++checked;
      failed += !holds;
      std::printf("   expected %-8s %-10.4g %-5s", how, expected, quick ? "" : holds ? "holds" : "DOES NOT HOLD");
    } else if (!std::isnan(r.low)) {
      std::printf("%36s", "");
    }
    if (!std::isnan(r.low)) compare(r, measured);
    std::puts("");
    std::fflush(stdout);
  }
  /// With a report, and by how much the figure differs from it.
  void compare(reported r, double measured) {
    if (r.low < r.high) std::printf("   reported %.4g to %.4g", r.low, r.high);
    else std::printf("   reported %.4g", r.low);
    if (quick) return;
    double const nearest = std::clamp(measured, r.low, r.high), ratio = measured / nearest;
    if (measured == nearest || std::abs(ratio - 1) < 0.005) std::printf(", as here");
    else if (std::isinf(ratio) || ratio == 0) std::printf(", not here");
    else std::printf(", here %.3g times that", ratio);
  }
};

inline double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  double const low = v[(v.size() - 1) / 2], high = v[v.size() / 2];
  return low == high ? low : (low + high) / 2;  // of infinities, too
}

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
