// SPDX-License-Identifier: Apache-2.0
// The committed digests of every algorithm, and how results differ from them.
#pragma once
#include <fstream>
#include <iomanip>
#include <map>

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
  std::map<std::string, std::uint64_t> expected;
  for (std::uint64_t value; file >> std::hex >> value && std::getline(file >> std::ws, name);) expected[name] = value;
  for (auto const& [its_name, value] : now) {
    const auto it = expected.find(its_name);
    if (it == expected.end()) faults << its_name << ": new\n";
    else if (it->second != value) faults << its_name << ": other bits\n";
    if (it != expected.end()) expected.erase(it);
  }
  for (auto const& missing : expected) faults << missing.first << ": missing\n";
  return faults.str();
}

}  // namespace frugal_test
