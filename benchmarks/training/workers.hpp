// SPDX-License-Identifier: Apache-2.0
/// @file Workers that train one network together, each on its own shard of the images; written once for every
/// communicator.
#pragma once
#include "training/classification.hpp"

#include <frugal/backend/serial.hpp>
#include <frugal/comm/communicator.hpp>
#include <frugal/core/hash.hpp>
#include <frugal/core/layout.hpp>

#include <functional>
#include <memory>
#include <string>

#include "training/report.hpp"

namespace bench {

/// Four workers, their shards and their batches.
struct workers_task : classification {
  static constexpr int workers = 4, batch_size = 32;
  /// The part of the images that is dealt out in the order of the labels.
  static constexpr double skew = 0.9;

  /// @param epochs passes of every worker over its shard; 0 for a few steps
  workers_task(fashion_mnist const& s, int epochs);
  /// The images of a worker: the sorted part is cut in four, and so is the rest, which is in random order. Direction 0
  /// of the seed is the order before.
  std::vector<std::uint32_t> shard(std::uint64_t seed, int worker) const;

  int steps;
  std::vector<int> looks;  ///< steps after which the weights are looked at, ascending, the last step among them
};

/// One worker's images and network. Its batches go through the shard in an order of its own in every epoch: direction
/// 1 + 4 epoch + worker of the seed.
class worker {
 public:
  worker(workers_task const& t, std::uint64_t seed, int rank);
  frugal::layout layout() const { return net_.layout(); }
  vector initial() const;  ///< the same on all workers
  /// Of the loss of the next batch.
  void gradient(vector const& x, vector& g);
  double accuracy(vector const& x) { return task_.accuracy(net_, x); }

 private:
  workers_task const& task_;
  std::uint64_t seed_;
  int rank_;
  mlp<float> net_;
  std::vector<std::uint32_t> shard_;
  int taken_ = 0;  // batches
  training_batch batch_;
};

/// What a worker does with the gradient of its own batch. All workers do it together, and x makes a step.
using update = std::function<void(vector& x, vector& g, double rate)>;
/// `f` is moved, and need not be copyable.
template <class F>
update make_update(F f) {
  return [f = std::make_shared<F>(std::move(f))](vector& x, vector& g, double rate) { (*f)(x, g, rate); };
}

template <class World>
struct method {
  std::string name;
  report::look style;
  double rate;  ///< the highest of the schedule
  bool equal;   ///< whether all workers have the same weights at all times
  std::function<update(World, frugal::layout const&, vector const& x)> start;
};

/// The state of a run after a number of steps.
struct look {
  int step;
  std::int64_t bytes;    ///< that have left a worker; the most of all workers
  double accuracy;       ///< of the mean of the workers' weights, in % of the test images
  std::uint64_t digest;  ///< of all workers' weights
};

/// One run, up to look number `looks`; collective. Where the workers' weights differ, the bytes of taking their mean
/// once are counted, as its accuracy is what is told.
/// @return the same on all ranks, but for the accuracy, which rank 0 has
template <class World>
std::vector<look> train(World world, method<World> const& how, std::uint64_t seed, workers_task const& t,
                        std::size_t looks, std::function<void(int steps)> const& advance = {}) {
  frugal::serial_backend const cpu;
  World watching = world.split(0);
  std::int64_t const begin = world.bytes_sent();
  worker me(t, seed, world.rank());
  vector x = me.initial(), g(x.size()), mean;
  update const make_step = how.start(world, me.layout(), x);

  std::vector<look> seen;
  for (int step = 0; seen.size() < std::min(looks, t.looks.size());) {
    me.gradient(x, g);
    make_step(x, g, how.rate * schedule(step, t.steps));
    if (++step < t.looks[seen.size()]) continue;

    std::int64_t const before = watching.bytes_sent();
    mean = x;
    if (!how.equal) watching.all_reduce(cpu, mean, frugal::op::mean{});
    std::vector<std::int64_t> bytes{world.bytes_sent() - begin + watching.bytes_sent() - before};
    watching.all_reduce(cpu, bytes, frugal::op::max{});
    std::vector<std::int64_t> const digest{std::int64_t(frugal::word_hash(x.data(), x.size() * sizeof(float)))};
    std::vector<std::int64_t> digests(std::size_t(world.size()));
    watching.all_gather(cpu, digest, digests);
    if (how.equal && std::count(digests.begin(), digests.end(), digest[0]) != world.size())
      throw std::logic_error(how.name + ": the workers' weights are no longer the same");
    seen.push_back({step, bytes[0], world.rank() == 0 ? me.accuracy(mean) : 0,
                    frugal::word_hash(digests.data(), digests.size() * sizeof(std::int64_t))});
    if (advance) advance(step - (seen.size() > 1 ? seen[seen.size() - 2].step : 0));
  }
  return seen;
}

}  // namespace bench
