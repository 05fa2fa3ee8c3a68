// SPDX-License-Identifier: Apache-2.0
/// @file Which part of a model a rank owns.
#pragma once
#include <numeric>

#include "../comm/agree.hpp"
#include "../core/hash.hpp"
#include "../core/support.hpp"

namespace frugal {
inline namespace v0 {

/// The coordinates of rank `rank` of `ranks`: whole tiles of tensors, and what is left of a tensor after its last whole
/// tile stays with that. So the sums of tiles are those of the unsharded model, no block of 8-bit states is cut, and a
/// tensor that is cut leaves pieces of a tile (16384 elements) or more. A rank has less than two tiles more than its
/// even share, frozen groups not counted; of a model of few tiles, some ranks have nothing.
inline range shard(layout const& l, int rank, int ranks) {
  require(ranks >= 1, "the count of ranks", ">= 1", ranks);
  require(0 <= rank && rank < ranks, "a rank", "0 to the count of ranks - 1", rank);
  const auto is_trained = [&](tensor const& t) { return !l.groups()[std::size_t(t.group)].frozen; };
  index_t trained = 0;
  for (tensor const& t : l.tensors())
    if (is_trained(t)) trained += t.size;
  const auto begin = [&](int r) {  // the first place for a cut at or after the even share
    if (r == 0) return index_t(0);
    const index_t share = trained / ranks * r + trained % ranks * r / ranks;
    index_t before = 0;
    for (tensor const& t : l.tensors()) {
      if (r == ranks || !is_trained(t)) continue;
      const index_t at = tiles_of((std::max)(index_t(0), share - before)) * tile_size;
      if (at == 0 ? t.size > 0 : t.size - at >= tile_size) return t.offset + at;
      before += t.size;
    }
    return l.size();
  };
  return {begin(rank), begin(rank + 1)};
}
template <class Transport>
range shard(layout const& l, communicator<Transport> const& world) {
  return shard(l, world.rank(), world.size());
}
/// The same as a model of its own: what an optimizer of sharded_gradients sees.
template <class Transport>
layout shard_layout(layout const& l, communicator<Transport> const& world) {
  const range own = shard(l, world);
  return l.part(own.begin, own.end);
}

/// Which rank moves each tensor where a method needs them whole: the costliest first, each to the rank that has the
/// least so far; ties go to the first tensor, and to the lowest rank. Frozen and empty tensors are nobody's: -1.
/// @param cost  of each tensor, >= 0; none: its size
inline std::vector<int> owners_of_tensors(layout const& l, int ranks, std::vector<double> const& cost = {}) {
  require(ranks >= 1, "the count of ranks", ">= 1", ranks);
  auto const& tensors = l.tensors();
  require(cost.empty() || cost.size() == tensors.size(), "the count of costs", tensors.size(), cost.size());
  for (double c : cost) require_range("the cost of a tensor", c, 0, 1e300, true);
  const auto cost_of = [&](std::size_t k) { return cost.empty() ? double(tensors[k].size) : cost[k]; };
  std::vector<std::size_t> order;
  for (std::size_t k = 0; k < tensors.size(); ++k)
    if (tensors[k].size > 0 && !l.groups()[std::size_t(tensors[k].group)].frozen) order.push_back(k);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return cost_of(a) > cost_of(b); });
  std::vector<int> owners(tensors.size(), -1);
  std::vector<double> load(std::size_t(ranks), 0.0);
  for (std::size_t k : order) {
    const auto least = std::min_element(load.begin(), load.end());
    owners[k] = int(least - load.begin());
    *least += cost_of(k);
  }
  return owners;
}
/// The model as this rank's optimizer sees it: the tensors of all others are frozen.
template <class Transport>
layout shard_of_tensors(layout const& l, communicator<Transport> const& world, std::vector<double> const& cost = {}) {
  std::vector<bool> own;
  for (int owner : owners_of_tensors(l, world.size(), cost)) own.push_back(owner == world.rank());
  return l.only_tensors(own);
}

namespace detail {

/// Elements that lie together in the caller's memory, and how many of them each rank owns.
struct shard_run {
  index_t flat, size;
  std::size_t tensor;
  std::vector<index_t> counts;
  index_t begin, own;  // of this rank's
};

/// Who owns what of a model, as one rank sees it; whatever the optimizer.
class shard_plan {
 public:
  shard_plan(frugal::layout model, int rank, int ranks)
      : model_(std::move(model)), rank_(rank), tiles_(std::size_t(ranks), 0) {}
  /// In ranges.
  void cut() {
    const int ranks = int(tiles_.size());
    for (int r = 0; r < ranks; ++r) {
      shards_.push_back(shard(model_, r, ranks));
      for (segment const& s : segments_of(model_, shards_.back())) tiles_[std::size_t(r)] += tiles_of(s.size);
    }
    count_tiles();
    for (tensor const& t : model_.tensors()) {
      if (!is_trained(t)) continue;
      tensors_.push_back(run_of(t.offset, t.size, number_of(t)));
      if (!runs_.empty() && runs_.back().flat + runs_.back().size == t.offset)
        runs_.back() = run_of(runs_.back().flat, runs_.back().size + t.size, 0);
      else runs_.push_back(run_of(t.offset, t.size, 0));
    }
  }
  /// In whole tensors. Neighbours are one run while their owners do not fall.
  void assign(std::vector<int> owners) {
    owners_ = std::move(owners);
    for (tensor const& t : model_.tensors())
      if (is_trained(t)) tiles_[std::size_t(owner(t))] += tiles_of(t.size);
    count_tiles();
    std::vector<index_t> next(tiles_.size(), 0);  // tile of each rank, where all ranks' follow each other
    for (std::size_t r = 1; r < next.size(); ++r) next[r] = next[r - 1] + tiles_[r - 1];
    index_t tile = 0;
    int last = -1;
    for (tensor const& t : model_.tensors()) {
      if (!is_trained(t)) continue;
      const auto r = std::size_t(owner(t));
      const index_t tiles = tiles_of(t.size);
      if (last == owner(t) && !tile_runs_.empty()) tile_runs_.back().count += tiles;
      else tile_runs_.push_back({next[r], tile, tiles});
      next[r] += tiles, tile += tiles;
      shard_run one{t.offset, t.size, number_of(t), std::vector<index_t>(tiles_.size(), 0), 0, 0};
      one.counts[r] = t.size;
      tensors_.push_back(with_own(one));
      if (!runs_.empty() && runs_.back().flat + runs_.back().size == t.offset && last <= owner(t)) {
        runs_.back().size += t.size;
        runs_.back().counts[r] += t.size;
        runs_.back() = with_own(runs_.back());
      } else {
        runs_.push_back(tensors_.back());
      }
      last = owner(t);
    }
  }
  frugal::layout const& model() const { return model_; }
  /// Of each tensor, -1: nobody; if they are whole.
  std::vector<int> const& owners() const { return owners_; }
  std::vector<range> const& shards() const { return shards_; }
  range own() const { return shards_[std::size_t(rank_)]; }
  /// Of a flat vector; of a list.
  std::vector<shard_run> const& runs() const { return runs_; }
  std::vector<shard_run> const& tensors() const { return tensors_; }
  /// Of each rank.
  std::vector<index_t> const& tiles() const { return tiles_; }
  index_t first_tile() const { return first_tile_; }
  index_t all_tiles() const { return all_tiles_; }
  /// Where tiles that came rank by rank have their place among all, if that is not where they are.
  struct tile_run {
    index_t from, to, count;
  };
  std::vector<tile_run> const& tile_runs() const { return tile_runs_; }

  /// What all ranks must have in common.
  std::vector<fact> facts(std::string const& algorithm) const {
    fnv1a groups;
    for (group const& g : model_.groups())
      groups.add(g.name)
          .add(bit_cast<std::uint64_t>(g.lr))
          .add(bit_cast<std::uint64_t>(g.weight_decay))
          .add(std::uint64_t(g.full_states));
    return {{"the method", std::int64_t(fnv1a().add(algorithm).value())},
            {"the number of elements", model_.size(), true},
            {"the layout or its frozen groups", std::int64_t(whole_layout())},
            {"the factors of groups, or which have full states", std::int64_t(groups.value())}};
  }
  /// Refuses an optimizer of anything but `where` of the layout `seen`.
  void check(std::uint64_t state_layout, frugal::layout const& seen, range where) const {
    require(state_layout == layout_of(seen, where), "the optimizer of a shard",
            text("one of the shard [", own().begin, ", ", own().end, ")"), "another");
  }
  /// Collective: whose each tensor is, by what the ranks' optimizers do not have frozen. The same refusal on all ranks
  /// where a tensor is not one rank's.
  template <class Transport>
  std::vector<int> owners_of(frugal::layout const& seen, communicator<Transport>& world) const {
    auto const& tensors = model_.tensors();
    std::vector<std::uint8_t> mine(tensors.size(), 0), all(tensors.size() * tiles_.size());
    for (std::size_t k = 0; k < tensors.size() && seen.hash() == model_.hash(); ++k) {
      group const &g = model_.groups()[std::size_t(tensors[k].group)],
                  &s = seen.groups()[std::size_t(seen.tensors()[k].group)];
      mine[k] =
          !s.frozen && tensors[k].size > 0 && s.name == g.name && s.lr == g.lr && s.weight_decay == g.weight_decay;
    }
    world.all_gather(host_messages{}, mine, all);
    std::vector<int> owners(tensors.size(), -1);
    for (std::size_t k = 0; k < tensors.size(); ++k) {
      int count = 0;
      for (std::size_t r = 0; r < tiles_.size(); ++r)
        if (all[r * tensors.size() + k] != 0) ++count, owners[k] = int(r);
      require(count == int(is_trained(tensors[k])), text("the ranks that move tensor '", tensors[k].name, "'"),
              text(int(is_trained(tensors[k])), ", as frugal::shard_of_tensors(model, world) has it"), count);
    }
    return owners;
  }
  std::uint64_t whole_layout() const { return layout_of(model_, {0, model_.size()}); }
  static std::vector<segment> segments_of(frugal::layout const& l, range where) {
    std::vector<segment> s;
    support_traits<range>::segments(where, l, s);
    std::erase_if(s, [&](segment const& x) { return l.groups()[std::size_t(x.group)].frozen || x.size == 0; });
    return s;
  }

  /// What a rule that measures concludes over: the tensors that this rank has elements of, as they are in the model.
  struct measured {
    std::vector<segment> whole;
    std::vector<index_t> first_tiles;
    std::vector<double> coordinates;
  };
  measured measured_in(frugal::layout const& seen, range where) const {
    measured m{{}, std::vector<index_t>(seen.tensors().size()), {}};
    double all = 0;
    index_t tile = 0;
    const auto own = segments_of(seen, where);
    for (tensor const& t : model_.tensors()) {
      if (t.size == 0 || model_.groups()[std::size_t(t.group)].frozen) continue;
      for (segment const& s : own) {
        if (seen.tensors()[std::size_t(s.tensor)].name != t.name) continue;
        m.whole.push_back({.size = t.size, .first_tile = tile, .tensor = s.tensor, .group = s.group});
        m.first_tiles[std::size_t(s.tensor)] = tile;
        m.coordinates.push_back(double(t.size));
        break;
      }
      all += double(t.size);
      tile += tiles_of(t.size);
    }
    m.coordinates.push_back(all);
    return m;
  }

 private:
  bool is_trained(tensor const& t) const { return t.size > 0 && !model_.groups()[std::size_t(t.group)].frozen; }
  std::size_t number_of(tensor const& t) const { return std::size_t(&t - model_.tensors().data()); }
  int owner(tensor const& t) const { return owners_[number_of(t)]; }
  void count_tiles() {
    for (int r = 0; r < int(tiles_.size()); ++r) {
      all_tiles_ += tiles_[std::size_t(r)];
      if (r < rank_) first_tile_ += tiles_[std::size_t(r)];
    }
  }
  /// As an optimizer of that support has it.
  static std::uint64_t layout_of(frugal::layout const& l, range where) {
    fnv1a hash;
    hash.add(l.hash());
    for (segment const& s : segments_of(l, where)) hash.add(std::uint64_t(s.flat)).add(std::uint64_t(s.size));
    return hash.value();
  }
  shard_run run_of(index_t flat, index_t size, std::size_t t) const {
    shard_run now{flat, size, t, {}, 0, 0};
    for (range const& s : shards_) {
      const index_t from = (std::min)((std::max)(s.begin, flat), flat + size) - flat;
      now.counts.push_back((std::max)(from, (std::min)(s.end, flat + size) - flat) - from);
    }
    return with_own(now);
  }
  shard_run with_own(shard_run r) const {
    r.begin = std::accumulate(r.counts.begin(), r.counts.begin() + rank_, index_t(0));
    r.own = r.counts[std::size_t(rank_)];
    return r;
  }

  frugal::layout model_;
  int rank_;
  std::vector<range> shards_;
  std::vector<int> owners_;
  std::vector<index_t> tiles_;
  index_t first_tile_ = 0, all_tiles_ = 0;
  std::vector<tile_run> tile_runs_;
  std::vector<shard_run> runs_, tensors_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
