// SPDX-License-Identifier: Apache-2.0
/// @file Which part of a model a rank owns.
#pragma once
#include "../comm/communicator.hpp"
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

}  // namespace v0
}  // namespace frugal
