// SPDX-License-Identifier: Apache-2.0
/// @file The state of a whole model where ranks have whole tensors of it: put together and taken apart as an unsharded
/// optimizer has it.
#pragma once
#include <algorithm>

#include "whole_state.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Numbers, texts and bytes one after the other, as ranks send them.
class packed {
 public:
  packed() = default;
  explicit packed(std::vector<std::uint8_t> all) : bytes_(std::move(all)) {}
  std::vector<std::uint8_t> const& bytes() const { return bytes_; }
  bool ends() const { return at_ == bytes_.size(); }

  void put(std::int64_t n) { append(&n, sizeof n); }
  template <class Chars>
  void put_all(Chars const& chars) {
    put(std::int64_t(chars.size()));
    append(chars.data(), chars.size());
  }
  std::int64_t number() {
    std::int64_t n = 0;
    memcpy(&n, next(sizeof n), sizeof n);
    return n;
  }
  /// Of numbers that follow.
  std::size_t count() {
    const std::int64_t n = number();
    if (n < 0 || std::size_t(n) > (bytes_.size() - at_) / sizeof n) refuse_short();
    return std::size_t(n);
  }
  template <class Chars>
  Chars all() {
    const auto n = std::size_t(number());
    auto const* from = next(n);
    return Chars(from, from + n);
  }

  [[noreturn]] static void refuse_short() {
    FRUGAL_THROW(comm_error("frugal: sharded: a message about states ends too early"));
  }

 private:
  void append(void const* from, std::size_t n) {
    auto const* b = static_cast<std::uint8_t const*>(from);
    bytes_.insert(bytes_.end(), b, b + n);
  }
  std::uint8_t const* next(std::size_t n) {
    if (n > bytes_.size() - at_) refuse_short();
    at_ += n;
    return bytes_.data() + (at_ - n);
  }
  std::vector<std::uint8_t> bytes_;
  std::size_t at_ = 0;
};

/// Who has which tensors' states, in the order in which an unsharded optimizer has them.
class tensor_parts {
 public:
  /// Collective.
  /// @param mine  what this rank's optimizer has
  template <class Transport>
  tensor_parts(tensor_states const& mine, communicator<Transport>& world)
      : me_(std::size_t(world.rank())), ranks_(std::size_t(world.size())), alignment_(mine.alignment) {
    packed own;
    for (tensor_states::one const& t : mine.tensors) {
      for (index_t n : {t.kind, t.tensor, t.pieces, index_t(t.slots.size())}) own.put(n);
      for (index_t n : t.slots) own.put(n);
      own.put(index_t(t.words.size()));
      for (std::uint64_t w : t.words) own.put(std::int64_t(w));
    }
    const auto all = world.all_gather_bytes(host_messages{}, own.bytes());
    for (std::size_t r = 0; r < ranks_; ++r)
      for (packed from(all[r]); !from.ends();) {
        one t{r, {from.number(), from.number(), {}, from.number(), {}}};
        t.of.slots.resize(from.count());
        for (index_t& n : t.of.slots) n = from.number();
        t.of.words.resize(from.count());
        for (std::uint64_t& w : t.of.words) w = std::uint64_t(from.number());
        (r == me_ ? own_pieces_ : others_pieces_) += std::size_t(t.of.pieces);
        all_.push_back(std::move(t));
      }
    std::sort(all_.begin(), all_.end(), [](one const& a, one const& b) {
      return a.of.kind != b.of.kind ? a.of.kind < b.of.kind : a.of.tensor < b.of.tensor;
    });
    fnv1a hash;
    for (std::uint64_t w : mine.words) hash.add(w);
    for (one const& t : all_)
      for (std::uint64_t w : t.of.words) hash.add(w);
    layout_ = hash.value();
  }

  /// Collective: the state of an unsharded optimizer, from those of all ranks.
  /// @param mine  of this rank, and
  /// @param here  the same as it is in memory
  template <class Transport>
  snapshot gather(snapshot mine, std::vector<state_piece> const& here, communicator<Transport>& world) const {
    const std::size_t shared = here.size() - own_pieces_;
    mine.layout = layout_;
    for (std::size_t i = 0, k = 0; i < shared; ++i) {
      if (!has_slots(here[i])) continue;
      snapshot::piece& p = mine.pieces[i];
      const auto parts = world.all_gather_bytes(host_messages{}, p.bytes);
      p.count = total(k);
      p.bytes.assign(std::size_t(p.count) * here[i].element, 0);
      for_each(k++, here[i].element, [&](one const& t, std::size_t whole, std::size_t part, std::size_t bytes) {
        if (part + bytes > parts[t.rank].size()) packed::refuse_short();
        memcpy(p.bytes.data() + whole, parts[t.rank].data() + part, bytes);
      });
    }
    packed own;
    for (std::size_t i = shared; i < here.size(); ++i) {
      snapshot::piece const& p = mine.pieces[i];
      own.put_all(p.name), own.put_all(p.type), own.put(p.count), own.put_all(p.bytes);
    }
    mine.pieces.resize(shared);
    std::vector<packed> from;
    for (auto& bytes : world.all_gather_bytes(host_messages{}, own.bytes())) from.emplace_back(std::move(bytes));
    for (one const& t : all_)
      for (index_t k = 0; k < t.of.pieces; ++k) {
        packed& f = from[t.rank];
        auto name = f.all<std::string>(), type = f.all<std::string>();
        const index_t count = f.number();
        mine.pieces.push_back({name, role::moment, type, count, f.all<std::vector<unsigned char>>()});
      }
    return mine;
  }
  /// This rank's part of it, of an optimizer whose own layout is `its`.
  snapshot part(snapshot const& whole, std::vector<state_piece> const& here, std::uint64_t its) const {
    require(whole.layout == layout_, "a state's layout", "the tensors of this object",
            text("others (hash ", whole.layout, ")"));
    const std::size_t shared = here.size() - own_pieces_;
    require(whole.pieces.size() == here.size() + others_pieces_, "the count of pieces of a state",
            here.size() + others_pieces_, whole.pieces.size());
    snapshot mine{whole.algorithm, its, {}};
    std::size_t at = 0;
    for (std::size_t k = 0; at < shared; ++at) {
      snapshot::piece const& p = whole.pieces[at];
      state_piece const& h = here[at];
      const index_t count = has_slots(h) ? total(k) : h.count;
      if (p.name != h.name || p.role != h.role || p.type != h.type || p.count != count ||
          p.bytes.size() != std::size_t(count) * h.element)
        refuse("a piece of a state", text(count, " ", h.type, " of '", h.name, "'"),
               text(p.count, " ", p.type, " of '", p.name, "'"));
      mine.pieces.push_back(p);
      if (!has_slots(h)) continue;
      snapshot::piece& to = mine.pieces.back();
      to.count = h.count;
      to.bytes.assign(h.bytes, 0);
      for_each(k++, h.element, [&](one const& t, std::size_t from, std::size_t part, std::size_t bytes) {
        if (t.rank == me_) memcpy(to.bytes.data() + part, p.bytes.data() + from, bytes);
      });
    }
    for (one const& t : all_)
      for (index_t k = 0; k < t.of.pieces; ++k, ++at)
        if (t.rank == me_) mine.pieces.push_back(whole.pieces[at]);
    return mine;
  }

 private:
  struct one {
    std::size_t rank;
    tensor_states::one of;
  };
  static bool has_slots(state_piece const& p) { return p.role != role::counter && p.role != role::clock; }
  index_t aligned(index_t n) const { return (n + alignment_ - 1) / alignment_ * alignment_; }
  /// Of the k-th piece that tensors share.
  index_t total(std::size_t k) const {
    index_t end = 0;
    for (one const& t : all_) end = aligned(end) + t.of.slots[k];
    return end;
  }
  /// f(tensor, bytes before it in the whole, and in its rank's part, its bytes)
  template <class F>
  void for_each(std::size_t k, std::size_t element, F const& f) const {
    index_t whole = 0;
    std::vector<index_t> part(ranks_, 0);
    for (one const& t : all_) {
      index_t& there = part[t.rank];
      whole = aligned(whole), there = aligned(there);
      f(t, std::size_t(whole) * element, std::size_t(there) * element, std::size_t(t.of.slots[k]) * element);
      whole += t.of.slots[k], there += t.of.slots[k];
    }
  }

  std::size_t me_, ranks_;
  index_t alignment_;
  std::uint64_t layout_ = 0;  // state_layout() of an unsharded optimizer
  std::size_t own_pieces_ = 0, others_pieces_ = 0;
  std::vector<one> all_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
