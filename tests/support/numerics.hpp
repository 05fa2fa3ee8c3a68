// SPDX-License-Identifier: Apache-2.0
// The committed digests of every algorithm, and how results differ from them.
#pragma once
#include <fstream>
#include <iomanip>

#include "every_algorithm.hpp"

namespace frugal_test {

// Empty, or which results are not those of core/numerics.txt.
inline std::string differences(digests const& now) {
  std::ifstream file(FRUGAL_SOURCE_DIR "/tests/core/numerics.txt");
  std::string word, name;
  int version = 0;
  file >> word >> version;
  std::ostringstream faults;
  if (version != FRUGAL_NUMERICS_VERSION)
    faults << "core/numerics.txt is of version " << version << ", the library of " << FRUGAL_NUMERICS_VERSION << '\n';
  std::size_t lines = 0;
  for (std::uint64_t value; file >> std::hex >> value && std::getline(file >> std::ws, name); ++lines) {
    if (lines >= now.size()) faults << name << ": missing\n";
    else if (now[lines].first != name) faults << name << ": in its place is " << now[lines].first << '\n';
    else if (now[lines].second != value) faults << name << ": other bits\n";
  }
  for (; lines < now.size(); ++lines) faults << now[lines].first << ": new\n";
  return faults.str();
}

}  // namespace frugal_test
