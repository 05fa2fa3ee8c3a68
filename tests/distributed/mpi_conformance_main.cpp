// SPDX-License-Identifier: Apache-2.0
// The methods of the family distributed over MPI.
#include "support/mpi_conformance.hpp"

#include <frugal/backend/serial.hpp>
#include <frugal/distributed/sharded.hpp>
#include <frugal/distributed/sharded_gradients.hpp>
#include <frugal/optim/adafactor.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/shampoo.hpp>

#include "conformance.hpp"

namespace {
using namespace frugal_test;

// AdamW in both stages, Shampoo and Adafactor of whole tensors.
template <class Transport>
struct shards : distributed_conformance<Transport> {
  explicit shards(frugal::communicator<Transport> w) : distributed_conformance<Transport>(w), world(w) {}
  std::uint64_t run() {
    const frugal::serial_backend cpu;
    const frugal::layout l = some_tensors();
    const frugal::adamw_config c{.lr = 1e-2};
    const auto alone = [&] { return frugal::adamw(cpu, l, c, frugal::range{0, l.size()}); };
    this->train(alone(), frugal::sharded(frugal::adamw(cpu, l, c, frugal::shard(l, world)), world));
    this->train(alone(), frugal::sharded_gradients(frugal::adamw(cpu, frugal::shard_layout(l, world), c), l, world));
    const frugal::layout matrices{{{"a", {3, 40}}, {"bias", {6000}}, {"b", {30, 20}, "slow"}, {"c", {6, 8, 5}}},
                                  {{.name = "slow", .lr = 0.5}}};
    const auto of = [&](frugal::layout const& its) {
      return frugal::shampoo(cpu, its, {.weight_decay = 0.1, .frequency = 2, .max_dim = 16, .merge_limit = 40});
    };
    const auto other = [&](frugal::layout const& its) { return frugal::adafactor(cpu, its, {.beta1 = 0.9}); };
    const frugal::layout own = frugal::shard_of_tensors(matrices, world);
    this->train(of(matrices), frugal::sharded(of(own), matrices, world));
    this->train(other(matrices), frugal::sharded(other(own), matrices, world));
    return this->digest();
  }
  frugal::communicator<Transport> world;
};

const std::vector<failure> failures{
    {"model", "sharded: the ranks disagree about the number of elements: rank 0 has 100"},
    {"rate", "sharded: the ranks disagree about the rate or the options of a step: rank 1 "},
    {"state", "sharded: the ranks disagree about the state that is scattered: rank 0 has hash "},
};

void fail(frugal::mpi_comm& world, std::string const& how) {
  const frugal::serial_backend cpu;
  const bool odd = world.rank() == 1;
  const frugal::index_t n = how == "model" && odd ? 101 : 100;
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

int main(int argc, char** argv) { return mpi_conformance<shards>(argc, argv, failures, fail); }
