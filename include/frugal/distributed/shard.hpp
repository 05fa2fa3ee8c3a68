// SPDX-License-Identifier: Apache-2.0
/// @file Which part of a model a rank owns.
#pragma once
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
  shard_plan(frugal::layout model, int rank, int ranks) : model_(std::move(model)), rank_(rank) {
    for (int r = 0; r < ranks; ++r) {
      shards_.push_back(shard(model_, r, ranks));
      index_t tiles = 0;
      for (segment const& s : segments_of(model_, shards_.back())) tiles += tiles_of(s.size);
      if (r < rank) first_tile_ += tiles;
      tiles_.push_back(tiles), all_tiles_ += tiles;
    }
    for (tensor const& t : model_.tensors()) {
      if (t.size == 0 || model_.groups()[std::size_t(t.group)].frozen) continue;
      tensors_.push_back(run_of(t.offset, t.size, std::size_t(&t - model_.tensors().data())));
      if (!runs_.empty() && runs_.back().flat + runs_.back().size == t.offset)
        runs_.back() = run_of(runs_.back().flat, runs_.back().size + t.size, 0);
      else runs_.push_back(run_of(t.offset, t.size, 0));
    }
  }
  frugal::layout const& model() const { return model_; }
  std::vector<range> const& shards() const { return shards_; }
  range own() const { return shards_[std::size_t(rank_)]; }
  /// Of a flat vector; of a list.
  std::vector<shard_run> const& runs() const { return runs_; }
  std::vector<shard_run> const& tensors() const { return tensors_; }
  /// Of each rank.
  std::vector<index_t> const& tiles() const { return tiles_; }
  index_t first_tile() const { return first_tile_; }
  index_t all_tiles() const { return all_tiles_; }

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
      const index_t to = (std::max)(from, (std::min)(s.end, flat + size) - flat);
      if (int(now.counts.size()) == rank_) now.begin = from, now.own = to - from;
      now.counts.push_back(to - from);
    }
    return now;
  }

  frugal::layout model_;
  int rank_;
  std::vector<range> shards_;
  std::vector<index_t> tiles_;
  index_t first_tile_ = 0, all_tiles_ = 0;
  std::vector<shard_run> runs_, tensors_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
