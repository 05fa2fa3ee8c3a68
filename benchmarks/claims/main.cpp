// SPDX-License-Identifier: Apache-2.0
/// @file Checks papers' claims. Exit status 1: one does not hold.
#include <algorithm>
#include <cstring>

#include "claims/claims.hpp"

int main(int argc, char** argv) {
  claims::session s;
  std::string filter;
  for (int k = 1; k < argc; ++k) {
    if (std::strcmp(argv[k], "--quick") == 0) s.quick = true;
    else if (argv[k][0] != '-' && filter.empty()) filter = argv[k];
    else {
      std::puts("usage: frugal_claims [NAME] [--quick]");
      std::puts("  NAME     claims whose name contains it");
      std::puts("  --quick  only that they run");
      return 2;
    }
  }
  auto& all = claims::claim::all();
  std::sort(all.begin(), all.end(), [](auto const& a, auto const& b) { return a.first < b.first; });
  for (auto const& [name, run] : all) {
    if (name.find(filter) == std::string::npos) continue;
    std::printf("\n%s\n", name.c_str());
    run(s);
  }
  if (!s.quick) std::printf("\n%d figures compared, %d not as claimed\n", s.checked, s.failed);
  return s.failed > 0 && !s.quick;
}
