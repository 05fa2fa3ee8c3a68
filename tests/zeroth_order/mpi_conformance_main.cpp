// SPDX-License-Identifier: Apache-2.0
// The methods of the family zeroth_order over MPI.
#include "support/mpi_conformance.hpp"

#include "conformance.hpp"

namespace {
using namespace frugal_test;

const std::vector<failure> failures{
    {"seed", "mezo/rademacher: the ranks disagree about the layout, the support or the seed: rank 0 has hash "},
    {"weights", "mezo/rademacher: the ranks disagree about the weights: rank 0 has hash "},
    {"rate", "the steps before, of rank "},
    {"altered", "rank 1: the checksum of a message: expected "},
    {"truncated", "the ranks disagree: rank "},
    {"replayed", "rank 1: the round of a message: expected 3, got 2"},
    {"foreign", "rank 1: the sender of a message: expected "},
};

void fail(frugal::mpi_comm& plain, std::string const& how) {
  const frugal::serial_backend cpu;
  const bool odd = plain.rank() == 1;
  damaging_transport<frugal::mpi_transport> transport(frugal::mpi_transport(MPI_COMM_WORLD),
                                                      frugal::message_kind::all_gather);
  if (odd)
    for (auto const& [name, kind] : {std::pair{"altered", damage::altered}, std::pair{"truncated", damage::truncated},
                                     std::pair{"replayed", damage::replayed}, std::pair{"foreign", damage::foreign}})
      if (how == name) transport.damage_exchange(4, kind);
  damaging_comm<frugal::mpi_transport> world(std::move(transport));
  frugal::replicas together(frugal::mezo(cpu, 100, {.lr = 1e-3, .seed = how == "seed" && odd ? 1u : 0u},
                                         frugal::rademacher{}, frugal::restored_from_copy{}),
                            world, {.check_every = how == "weights" ? 4 : 0});
  std::vector<float> x(100, how == "weights" && odd ? 2.f : 1.f);
  if (how == "rate" && odd) together.optimizer().config().lr = 2e-3;
  for (int t = 0; t < 5; ++t) together.step(x, [&] { return distance{3}(x); });
  world.barrier(cpu);
}

}  // namespace

int main(int argc, char** argv) { return mpi_conformance<zeroth_order_conformance>(argc, argv, failures, fail); }
