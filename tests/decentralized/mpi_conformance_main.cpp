// SPDX-License-Identifier: Apache-2.0
// The methods of the families compress and decentralized over MPI. Rank 0 also runs them on loopback with as many
// ranks: the digests must be equal. With an argument, three ranks fail in that way instead; with `cases`, the program
// lists those ways, each with a part of the text that must come of it.
#include <cstdio>
#include <frugal/comm/mpi.hpp>

#include "conformance.hpp"
#include "ranks.hpp"

namespace {
using namespace frugal_test;

struct failure {
  std::string name, text;
};
const failure failures[] = {
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

void conform(frugal::mpi_comm& world) {
  const auto digest = decentralized_conformance(world).run();
  if (world.rank() != 0) return;
  const auto expected =
      on_ranks(world.size(), [](frugal::loopback_comm& comm) { return decentralized_conformance(comm).run(); });
  std::printf("%d ranks: digest %016llx, on loopback %016llx\n", world.size(), static_cast<unsigned long long>(digest),
              static_cast<unsigned long long>(expected[0]));
  if (digest != expected[0]) throw std::runtime_error("MPI and loopback give different bits");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string how = argc > 1 ? argv[1] : "";
  if (how == "cases") {
    for (failure const& f : failures) std::printf("%s %s\n", f.name.c_str(), f.text.c_str());
    return 0;
  }
  return frugal::run_mpi(argc, argv, [&](frugal::mpi_comm& world) { how.empty() ? conform(world) : fail(world, how); },
                         {.timeout = 60});
}
