// SPDX-License-Identifier: Apache-2.0
// The conformance suite over MPI, with and without a thread for the calls beside the caller, and with messages in
// pieces. Rank 0 also runs it on loopback with as many ranks: the digests must be equal. With an argument, three
// ranks fail in that way instead; with `cases`, the program lists those ways, each with a part of its text.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <frugal/comm/loopback.hpp>
#include <frugal/comm/mpi.hpp>

#include "conformance.hpp"

namespace {

namespace op = frugal::op;

std::uint64_t on_loopback(int ranks) {
  std::uint64_t digest = 0;
  frugal::run_loopback(ranks, [&](frugal::loopback_comm& comm) {
    const auto d = frugal_test::conformance(comm).run();
    if (comm.rank() == 0) digest = d;
  });
  return digest;
}

void conform(frugal::mpi_comm& world, frugal::mpi_options const& options) {
  frugal::mpi_comm comm(MPI_COMM_WORLD, options);
  int level = MPI_THREAD_SINGLE;
  MPI_Query_thread(&level);
  if (comm.overlaps() != (options.progress_thread && level == MPI_THREAD_MULTIPLE))
    throw std::runtime_error("overlaps() says something else than MPI");
  frugal_test::conformance test(comm);
  const std::uint64_t digest = test.run();
  if (world.rank() == 0) {
    const std::uint64_t expected = on_loopback(world.size());
    std::printf("%d ranks, calls beside the caller %s: %lld comparisons, digest %016llx, on loopback %016llx\n",
                world.size(), comm.overlaps() ? "on a thread" : "in wait()", static_cast<long long>(test.checked()),
                static_cast<unsigned long long>(digest), static_cast<unsigned long long>(expected));
    if (digest != expected) throw std::runtime_error("MPI and loopback give different bits");
  }
}

// A rank's ways to fail while the others wait for it, and a part of the text that must come of each.
struct failure {
  char const *name, *text;
};
const failure failures[] = {
    {"throw", "frugal: rank 2: thrown on purpose"},
    {"kill", "rank 2 with PID"},
    {"mismatch", "rank 2 expected all_reduce (sum) number 1 of 100001 float"},
    {"mismatch_any_order", "of 100001 float (0 bytes)"},
    {"mismatch_root", "the ranks disagree: rank"},
    {"timeout", "waited for 1 s, for barrier number 1 from rank 2"},
};
void fail(frugal::mpi_comm& world, std::string const& how) {
  const frugal::serial_backend cpu;
  world.barrier(cpu);
  const bool last = world.rank() == world.size() - 1;
  auto pending = world.all_reduce_async(cpu, std::vector<float>(100000));
  if (how == "throw" && last) throw std::runtime_error("thrown on purpose");
  if (how == "kill" && last) raise(SIGKILL);
  if (how == "mismatch") world.all_reduce(cpu, std::vector<float>(last ? 100001 : 100000));
  if (how == "mismatch_any_order")
    world.all_reduce(cpu, std::vector<float>(last ? 100001 : 100000), op::sum{}, frugal::any_order);
  if (how == "mismatch_root") world.broadcast(cpu, std::vector<float>(1000), last ? 1 : 0);
  if (how == "timeout" && last) sleep(30);
  world.barrier(cpu);
  pending.wait();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string how = argc > 1 ? argv[1] : "";
  if (how == "cases") {
    for (auto const& [name, text] : failures) std::printf("%s %s\n", name, text);
    return 0;
  }
  const frugal::mpi_options options{.timeout = how == "timeout" ? 1.0 : 0.0};
  return frugal::run_mpi(
      argc, argv,
      [&](frugal::mpi_comm& world) {
        if (!how.empty()) return fail(world, how);
        conform(world, {.timeout = 60});
        conform(world, {.timeout = 60, .progress_thread = false, .shared_memory = false, .longest = 10007});
      },
      options);
}
