// SPDX-License-Identifier: Apache-2.0
// The methods of the families compress and decentralized over MPI.
#include "support/mpi_conformance.hpp"

#include "conformance.hpp"

namespace {
using namespace frugal_test;

const std::vector<failure> failures{
    {"size", "gossip: the ranks disagree about the number of elements: rank 0 has 100, rank 2 has 101"},
    {"layout", "gossip: the ranks disagree about the layout: rank 0 has hash "},
    {"weights", "choco/top_k: the ranks disagree about the weights: rank 0 has hash "},
    {"gossip_altered", "rank 1: the checksum of a message: expected "},
    {"gossip_truncated", "rank 0 expected neighbour_exchange with tag 0 of 464 uint8 (464 bytes), got "},
    {"gossip_replayed", "rank 1: the round of a message: expected 2, got 1"},
    {"gossip_foreign", "rank 1: the sender of a message: expected 2, got 0"},
    {"choco_altered", "rank 1: the checksum of a message: expected "},
    {"choco_replayed", "rank 1: the round of a message: expected 2, got 1"},
    {"mean_altered", "rank 1: the checksum of a message: expected "},
    {"mean_truncated", "rank 0: the size of a message: expected "},
    {"mean_replayed", "rank 1: the round of a message: expected 2, got 1"},
    {"mean_foreign", "rank 1: the sender of a message: expected 2, got 0"},
};

void disagree(frugal::mpi_comm& world, std::string const& how) {
  const frugal::serial_backend cpu;
  const bool odd = world.rank() == 2;
  const auto ring = frugal::topology::ring(3);
  if (how == "size") frugal::gossip(cpu, world, ring, odd ? 101 : 100);
  if (how == "layout") frugal::gossip(cpu, world, ring, frugal::layout{{odd ? "b" : "a", {100}}});
  if (how == "weights")
    frugal::choco(cpu, world, odd ? frugal::topology::path(3) : ring, 100, frugal::top_k{.k = 5}, {0.5});
}

// Rank 1 gets a damaged message, or sends it.
void damaged(std::string const& method, damage how) {
  const frugal::serial_backend cpu;
  const auto ring = frugal::topology::ring(3);
  const auto kind = method == "mean" ? frugal::message_kind::all_gather : frugal::message_kind::neighbour_exchange;
  damaging_transport<frugal::mpi_transport> transport(frugal::mpi_transport(MPI_COMM_WORLD), kind);
  if (transport.rank() == 1) transport.damage_exchange(3, how);
  damaging_comm<frugal::mpi_transport> world(std::move(transport));
  std::vector<float> x(100, float(world.rank()));
  const auto five_times = [&](auto const& round) {
    for (int t = 0; t < 5; ++t) round();
    world.barrier(cpu);
  };
  if (method == "gossip") {
    frugal::gossip mix(cpu, world, ring, 100);
    five_times([&] { mix.step(x); });
  } else if (method == "choco") {
    frugal::choco mix(cpu, world, ring, 100, frugal::top_k{.k = 5}, {0.5});
    five_times([&] { mix.step(x); });
  } else {
    frugal::ef14 feedback(cpu, 100, frugal::top_k{.k = 5}, world.rank());
    five_times([&] {
      feedback.compress(x, 0.1);
      feedback.add_mean(world, x);
    });
  }
}

void fail(frugal::mpi_comm& world, std::string const& how) {
  const auto split = how.find('_');
  if (split == how.npos) return disagree(world, how);
  const std::string kind = how.substr(split + 1);
  damaged(how.substr(0, split), kind == "altered"     ? damage::altered
                                : kind == "truncated" ? damage::truncated
                                : kind == "replayed"  ? damage::replayed
                                                      : damage::foreign);
}

}  // namespace

int main(int argc, char** argv) { return mpi_conformance<decentralized_conformance>(argc, argv, failures, fail); }
