// SPDX-License-Identifier: Apache-2.0
/// @file The state of a whole model in host memory, put together from the ranks' parts and taken apart again: so it
/// goes from so many ranks to so many others, and to an unsharded optimizer.
#pragma once
#include "../core/state.hpp"
#include "shard.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// The pieces of an optimizer's state, and how much of each every rank has.
class parts_of_state {
 public:
  struct piece {
    std::string name;
    frugal::role role;
    std::string type;
    index_t bytes;      // of an element
    index_t alignment;  // of where a tensor's slots begin
    bool here;          // visited on this rank: an array that no tensor of a shard is in, is not
    std::vector<index_t> counts;

    bool is_shared() const { return role == frugal::role::counter || role == frugal::role::clock; }
    /// Where the part of rank r begins in the whole: at a boundary, since shards begin where tiles do.
    index_t begin(std::size_t r) const {
      index_t at = 0;
      for (std::size_t k = 0; k < r; ++k) at += (counts[k] + alignment - 1) / alignment * alignment;
      return at;
    }
    index_t total() const {
      if (is_shared()) return counts[0];
      index_t end = 0;
      for (std::size_t r = 0; r < counts.size(); ++r)
        if (counts[r] > 0) end = begin(r) + counts[r];
      return end;
    }
    bool is_in_whole() const { return here || total() > 0; }
  };

  parts_of_state() = default;
  /// Collective.
  /// @param here  of the optimizer
  /// @param alignment  of the slots of tensors, and
  /// @param cell  type of the states in slots
  template <class Transport>
  parts_of_state(std::vector<state_piece> const& here, index_t alignment, char const* cell,
                 communicator<Transport>& world) {
    list(here, alignment, cell);
    std::vector<std::int64_t> mine, all(pieces_.size() * std::size_t(world.size()));
    for (piece const& p : pieces_) mine.push_back(p.counts[0]);
    world.all_gather(host_messages{}, mine, all);
    for (std::size_t k = 0; k < pieces_.size(); ++k) {
      pieces_[k].counts.clear();
      for (std::size_t at = k; at < all.size(); at += pieces_.size()) pieces_[k].counts.push_back(all[at]);
    }
  }
  auto begin() const { return pieces_.begin(); }
  auto end() const { return pieces_.end(); }

 private:
  void list(std::vector<state_piece> const& here, index_t alignment, char const* cell) {
    const auto add = [&](std::string const& name, role r, char const* type, index_t bytes, index_t count,
                         bool is_here) {
      pieces_.push_back({name, r, type, bytes, r == role::moment ? alignment : 1, is_here, {count}});
    };
    // With 8-bit states the array of small tensors is not there where there are none: the same list on all ranks.
    const auto after = [&](std::string const& name, char const* type, index_t bytes) {
      if (pieces_.back().name != name) add(name, role::moment, type, bytes, 0, false);
    };
    for (state_piece const& p : here) {
      const std::string first = p.name.substr(0, p.name.find('.'));
      if (p.role == role::codes) after(first, cell, sizeof(float));
      if (p.name.ends_with(".blocks")) after(first, p.type, index_t(p.element));
      add(p.name, p.role, p.type, index_t(p.element), p.count, true);
    }
  }
  std::vector<piece> pieces_;
};

}  // namespace detail

/// What save_state() of an unsharded optimizer would be. A checkpoint takes it as if it were that optimizer.
class whole_state {
 public:
  explicit whole_state(snapshot s) : state_(std::move(s)) {}
  /// Collective: from the parts of all ranks.
  /// @param layout  that the state of the unsharded optimizer would have
  /// @param mine  the state of this rank
  template <class Transport>
  whole_state(std::uint64_t layout, detail::parts_of_state const& parts, snapshot const& mine,
              communicator<Transport>& world)
      : state_{mine.algorithm, layout, {}} {
    auto from = mine.pieces.begin();
    for (auto const& p : parts) {
      std::vector<unsigned char> own, all;
      if (p.here) own = (from++)->bytes;
      if (p.is_shared()) {
        all = std::move(own);
      } else {
        std::vector<index_t> bytes;
        for (std::size_t r = 0; r < p.counts.size(); ++r) bytes.push_back((p.begin(r + 1) - p.begin(r)) * p.bytes);
        own.resize(std::size_t(bytes[std::size_t(world.rank())]));
        all.resize(std::size_t(p.begin(p.counts.size()) * p.bytes));
        world.all_gather(detail::host_messages{}, own, all, bytes);
        all.resize(std::size_t(p.total() * p.bytes));
      }
      if (p.is_in_whole()) state_.pieces.push_back({p.name, p.role, p.type, p.total(), std::move(all)});
    }
  }
  /// Collective: this rank's part, of an optimizer whose own layout is `here`. All ranks have the same whole, and it
  /// fits, or it is refused.
  template <class Transport>
  snapshot part(std::uint64_t layout, detail::parts_of_state const& parts, std::uint64_t here,
                communicator<Transport>& world) const {
    compare(world);
    return part_of(std::size_t(world.rank()), layout, parts, here);
  }

  /// Collective: ranks that do not have the same get a comm_error, all of them.
  template <class Transport>
  void compare(communicator<Transport>& world) const {
    std::uint64_t hash = 0;
    for (snapshot::piece const& p : state_.pieces) hash = word_hash(p.bytes.data(), p.bytes.size(), hash);
    detail::agree(world, "sharded", {{"the state that is scattered", std::int64_t(hash)}});
  }

  snapshot const& state() const { return state_; }
  template <class Visitor>
  void visit_state(Visitor&& visit) {
    for (snapshot::piece& p : state_.pieces)
      as<float, double, bf16, half, std::int64_t, std::uint8_t>(
          p, [&](auto v) { visit(std::string_view(p.name), p.role, v); });
  }
  std::string algorithm() const { return state_.algorithm; }
  std::uint64_t state_layout() const { return state_.layout; }
  /// Host memory.
  struct backend_type : detail::host_messages {
    void copy_in(void* to, void const* from, std::size_t bytes) const { memcpy(to, from, bytes); }
    void copy_out(void* to, void const* from, std::size_t bytes) const { memcpy(to, from, bytes); }
  };
  backend_type backend() const { return {}; }

 private:
  snapshot part_of(std::size_t me, std::uint64_t layout, detail::parts_of_state const& parts,
                   std::uint64_t here) const {
    require(state_.layout == layout, "a state's layout", "the tensors of this object",
            detail::text("others (hash ", state_.layout, ")"));
    snapshot mine{state_.algorithm, here, {}};
    auto from = state_.pieces.begin();
    for (auto const& p : parts) {
      if (!p.is_in_whole()) continue;
      require(from != state_.pieces.end(), "a state", p.name, "its end");
      snapshot::piece const& s = *from++;
      if (s.name != p.name || s.role != p.role || s.type != p.type || s.count != p.total() ||
          s.bytes.size() != std::size_t(s.count * p.bytes))
        refuse("a piece of a state", detail::text(p.total(), " ", p.type, " of '", p.name, "'"),
               detail::text(s.count, " ", s.type, " of '", s.name, "'"));
      if (!p.here) continue;
      auto const* first = s.bytes.data() + (p.is_shared() ? 0 : p.begin(me) * p.bytes);
      mine.pieces.push_back({p.name, p.role, p.type, p.counts[me], {first, first + p.counts[me] * p.bytes}});
    }
    require(from == state_.pieces.end(), "the count of pieces of a state", from - state_.pieces.begin(),
            state_.pieces.size());
    return mine;
  }

  template <class... T, class F>
  static void as(snapshot::piece& p, F const& f) {
    (..., (p.type == type_name<T>() ? f(view<T>(reinterpret_cast<T*>(p.bytes.data()), p.count)) : void()));
  }
  snapshot state_;
};

}  // namespace v0
}  // namespace frugal
