// SPDX-License-Identifier: Apache-2.0
/// @file Checks papers' claims. Exit status 1: one does not hold; 2: there is no such claim.
#include <algorithm>
#include <cstring>

#include "claims/claims.hpp"

int main(int argc, char** argv) {
  claims::session s;
  std::vector<std::string> names;
  for (int k = 1; k < argc; ++k) {
    if (std::strcmp(argv[k], "--quick") == 0) s.quick = true;
    else if (argv[k][0] != '-') names.emplace_back(argv[k]);
    else {
      std::puts("usage: frugal_claims [NAME...] [--quick]");
      std::puts("  NAME     claims whose name contains it");
      std::puts("  --quick  only that they run");
      return 2;
    }
  }
  auto& all = claims::claim::all();
  std::sort(all.begin(), all.end(), [](auto const& a, auto const& b) { return a.first < b.first; });
  auto const within = [](std::string const& name) {
    return [&name](std::string const& part) { return name.find(part) != std::string::npos; };
  };
  for (std::string const& name : names)
    if (std::none_of(all.begin(), all.end(), [&](auto const& claim) { return within(claim.first)(name); })) {
      std::printf("no claim's name contains '%s'\n", name.c_str());
      return 2;
    }
  for (auto const& [name, run] : all) {
    if (!names.empty() && std::none_of(names.begin(), names.end(), within(name))) continue;
    std::printf("\n%s\n", name.c_str());
    run(s);
  }
  if (!s.quick) std::printf("\n%d figures compared, %d not as claimed\n", s.checked, s.failed);
  return s.failed > 0 && !s.quick;
}
