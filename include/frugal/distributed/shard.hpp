// SPDX-License-Identifier: Apache-2.0
/// @file Which part of a model a rank owns.
#pragma once
#include "../comm/communicator.hpp"
#include "../core/support.hpp"

namespace frugal {
inline namespace v0 {

/// The coordinates of rank `rank` of `ranks`: whole tiles of tensors. So the sums of tiles are those of the unsharded
/// model, and no block of 8-bit states is cut. A rank has at most a tile (16384 elements) more than its even share,
/// frozen groups not counted; of a model with fewer tiles than ranks, some have nothing.
inline range shard(layout const& l, int rank, int ranks) {
  require(ranks >= 1, "the count of ranks", ">= 1", ranks);
  require(0 <= rank && rank < ranks, "a rank", "0 to the count of ranks - 1", rank);
  const auto is_trained = [&](tensor const& t) { return !l.groups()[std::size_t(t.group)].frozen; };
  index_t trained = 0;
  for (tensor const& t : l.tensors())
    if (is_trained(t)) trained += t.size;
  const auto begin = [&](int r) {  // the first tile that begins at or after the even share
    if (r == 0) return index_t(0);
    const index_t share = trained / ranks * r + trained % ranks * r / ranks;
    index_t before = 0;
    for (tensor const& t : l.tensors()) {
      if (r == ranks || !is_trained(t)) continue;
      const index_t at = tiles_of((std::max)(index_t(0), share - before)) * tile_size;
      if (at < t.size) return t.offset + at;
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

}  // namespace v0
}  // namespace frugal
