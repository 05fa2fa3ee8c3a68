// SPDX-License-Identifier: Apache-2.0
/// @file The all-reduce in the order of the ranks against MPI's own, which promises no order. Run by mpirun; rank 0
/// reports.
#include <frugal/backend/serial.hpp>
#include <frugal/comm/mpi.hpp>

#include "support/command_line.hpp"

namespace {

bench::suite const registered("all_reduce", [](bench::session const& s) {
  frugal::mpi_comm world(MPI_COMM_WORLD);
  frugal::serial_backend const cpu;
  std::size_t const n = s.elements();
  std::vector<float> x(n, 0.f);
  bench::table t(n, world.size());
  auto const together = [&](auto const& reduce) {
    MPI_Barrier(MPI_COMM_WORLD);
    reduce();
  };
  t.add("mpi_allreduce", 4,
        [&] { together([&] { MPI_Allreduce(MPI_IN_PLACE, x.data(), int(n), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD); }); });
  t.add("all_reduce_any_order", 4, [&] {
     together([&] { world.all_reduce(cpu, x, frugal::op::sum{}, frugal::any_order); });
   }).against("mpi_allreduce");
  t.add("all_reduce", 4, [&] { together([&] { world.all_reduce(cpu, x); }); }).against("mpi_allreduce", 1. / 3);
  s.measure(t);
});

}  // namespace

int main(int argc, char** argv) {
  frugal::mpi_session const session(argc, argv);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank > 0 && !std::freopen("/dev/null", "w", stdout)) return 1;
  std::string option = "--out", nowhere = "/dev/null";
  std::vector<char*> arguments(argv, argv + argc);
  for (std::size_t i = 1; rank > 0 && i + 1 < arguments.size(); ++i)
    if (arguments[i] == option) arguments[i + 1] = nowhere.data();
  bench::session s;
  s.work.lockstep = true;
  return bench::command_line(argc, arguments.data(), s);
}
