// SPDX-License-Identifier: Apache-2.0
#include "training/workers.hpp"

#include <frugal/core/permutation.hpp>

namespace bench {

workers_task::workers_task(fashion_mnist const& s, int epochs)
    : classification(s, epochs > 0 ? s.test.size() : 1000),
      steps(epochs > 0 ? epochs * int(s.train.size() / (workers * batch_size)) : 48) {
  for (int half = epochs > 0 ? 5 : 2; half >= 0; --half)
    for (int at : {steps >> half, half > 0 ? 3 * steps >> (half + 1) : steps})
      if (at > (looks.empty() ? 0 : looks.back())) looks.push_back(at);
}

std::vector<std::uint32_t> workers_task::shard(std::uint64_t seed, int worker) const {
  auto const n = std::uint32_t(set.train.size()), sorted = std::uint32_t(skew * n);
  frugal::permutation const order(seed, 0, n);
  std::vector<std::uint32_t> all(n), mine;
  for (std::uint32_t j = 0; j < n; ++j) all[j] = order(j);
  std::stable_sort(all.begin(), all.begin() + sorted,
                   [this](std::uint32_t a, std::uint32_t b) { return set.train.label[a] < set.train.label[b]; });
  auto const take_part = [&](std::uint32_t begin, std::uint32_t end) {
    std::uint32_t const each = (end - begin) / workers, from = begin + std::uint32_t(worker) * each;
    mine.insert(mine.end(), all.begin() + from, all.begin() + from + each);
  };
  take_part(0, sorted);
  take_part(sorted, n);
  return mine;
}

worker::worker(workers_task const& t, std::uint64_t seed, int rank)
    : task_(t), seed_(seed), rank_(rank), net_(t.net()), shard_(t.shard(seed, rank)), batch_(t.batch_size) {}

vector worker::initial() const {
  std::vector<float> const p = net_.initial(seed_);
  return {p.begin(), p.end()};
}

void worker::gradient(vector const& x, vector& g) {
  int const each_epoch = int(shard_.size()) / task_.batch_size, epoch = taken_ / each_epoch;
  int const at = taken_++ % each_epoch * task_.batch_size;
  frugal::permutation const order(seed_, std::uint64_t(1 + epoch * task_.workers + rank_), shard_.size());
  for (int j = 0; j < task_.batch_size; ++j) batch_.take(task_.set, j, shard_[order(std::uint32_t(at + j))]);
  net_.loss(x, batch_.x, batch_.label.data(), g);
}

}  // namespace bench
