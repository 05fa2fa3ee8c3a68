// SPDX-License-Identifier: Apache-2.0
// The methods of the family distributed over MPI.
#include "support/mpi_conformance.hpp"

#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>

#include "conformance.hpp"

namespace {
using namespace frugal_test;

const std::vector<failure> failures{
    {"method", "sharded: the ranks disagree about the method: rank 0 has hash "},
    {"model", "sharded: the ranks disagree about the number of elements: rank 0 has 100"},
    {"rate", "sharded: the ranks disagree about the rate or the options of a step: rank 1 "},
    {"state", "sharded: the ranks disagree about the state that is scattered: rank 0 has hash "},
};

void fail(frugal::mpi_comm& world, std::string const& how) {
  const frugal::serial_backend cpu;
  const bool odd = world.rank() == 1;
  const frugal::index_t n = how == "model" && odd ? 101 : 100;
  if (how == "method" && odd) frugal::sharded(frugal::lion(cpu, n, {}, frugal::shard(n, world)), world);
  frugal::sharded opt(frugal::adamw(cpu, n, {}, frugal::shard(n, world)), world);
  std::vector<float> x(std::size_t(n), 1.f), g = x;
  const auto early = opt.gather();
  if (how == "rate" && odd) opt.config().lr = 1;
  opt.step(x, g);
  const auto late = opt.gather();
  opt.scatter(odd ? early : late);
  world.barrier(cpu);
}

}  // namespace

int main(int argc, char** argv) { return mpi_conformance<distributed_conformance>(argc, argv, failures, fail); }
