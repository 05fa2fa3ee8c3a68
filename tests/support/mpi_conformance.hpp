// SPDX-License-Identifier: Apache-2.0
// The main function of a family's program for MPI. A Conformance does everything that ranks of the family do together;
// rank 0 runs it on loopback too, with as many ranks: the digests must be equal. With an argument, three ranks fail in
// that way instead; with `cases`, the program lists those ways, each with a part of the text that must come of it.
#pragma once
#include <cstdio>
#include <frugal/comm/mpi.hpp>

#include "decentralized/ranks.hpp"

namespace frugal_test {

struct failure {
  std::string name, text;
};

template <template <class> class Conformance, class Fail>
int mpi_conformance(int argc, char** argv, std::vector<failure> const& failures, Fail const& fail) {
  const std::string how = argc > 1 ? argv[1] : "";
  if (how == "cases") {
    for (failure const& f : failures) std::printf("%s %s\n", f.name.c_str(), f.text.c_str());
    return 0;
  }
  const auto conform = [](frugal::mpi_comm& world) {
    const std::uint64_t digest = Conformance<frugal::mpi_transport>(world).run();
    if (world.rank() != 0) return;
    const auto expected = on_ranks(
        world.size(), [](frugal::loopback_comm& comm) { return Conformance<frugal::loopback_transport>(comm).run(); });
    std::printf("%d ranks: digest %016llx, on loopback %016llx\n", world.size(),
                static_cast<unsigned long long>(digest), static_cast<unsigned long long>(expected[0]));
    if (digest != expected[0]) throw std::runtime_error("MPI and loopback give different bits");
  };
  return frugal::run_mpi(argc, argv, [&](frugal::mpi_comm& world) { how.empty() ? conform(world) : fail(world, how); },
                         {.timeout = 60});
}

}  // namespace frugal_test
