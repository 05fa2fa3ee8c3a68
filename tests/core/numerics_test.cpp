// SPDX-License-Identifier: Apache-2.0
// What a numerics version stands for: every bit-exact result, as digests that are committed.
#include <fstream>

#include "support/numerics.hpp"

namespace {
using namespace frugal_test;

TEST(numerics, the_bits_are_those_of_this_version) {
  const digests now = every_algorithm(frugal::serial_backend{}).run();
  const auto fault = differences(now);
  EXPECT_EQ(fault, "") << "Bits have changed. Either mend it, or, if the new bits are meant: raise "
                          "FRUGAL_NUMERICS_VERSION (version.hpp), add a line to docs/changelog.md, and take the file "
                          "that this test wrote, numerics.txt, to tests/core/.";
  if (fault.empty()) return;
  std::ofstream file("numerics.txt");
  file << "version " << FRUGAL_NUMERICS_VERSION << '\n';
  for (auto const& [name, value] : now)
    file << std::hex << std::setfill('0') << std::setw(16) << value << ' ' << name << '\n';
}

}  // namespace
