// SPDX-License-Identifier: Apache-2.0
/// @file A rank among its neighbours: the part of a mixing schedule that it works with, and the exchange of its
/// messages for theirs. All ranks agree at construction on what they are about to do; every message is checked before
/// one is used.
#pragma once
#include <cmath>

#include "../comm/agree.hpp"
#include "../compress/compressor.hpp"
#include "../compress/feedback.hpp"
#include "weights.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// A rank's weight as kernels have it.
struct float_weight {
  int rank;
  float value;
};

template <class Transport>
class neighbourhood {
 public:
  /// Collective. Ranks that disagree about anything here get a comm_error, all of them.
  /// @param wire bytes of a message; all are of one length
  /// @param options whatever else must be equal on all ranks, as bits
  neighbourhood(communicator<Transport> world, mixing_schedule schedule, layout const& l, std::string algorithm,
                index_t wire, std::vector<std::uint64_t> const& options)
      : world_(std::move(world)), schedule_(std::move(schedule)), wire_(wire) {
    require(schedule_.size() == world_.size(), "the ranks of a mixing schedule", world_.size(), schedule_.size());
    fnv1a rest;
    rest.add(std::uint64_t(wire));
    for (std::uint64_t o : options) rest.add(o);
    agree(world_, algorithm,
          {{"the method", std::int64_t(fnv1a().add(algorithm).value())},
           {"the number of elements", l.size(), true},
           {"the layout", std::int64_t(l.hash())},
           {"the weights", std::int64_t(schedule_.hash())},
           {"the options", std::int64_t(rest.value())}});
    index_t most = 0;
    for (int k = 0; k < schedule_.period(); ++k) {
      turns_.push_back(turn_of(schedule_.turn(k), rank()));
      most = (std::max)(most, index_t(turns_.back().row.size()) - 1);
    }
    // The own rank is part of a saved state: what it holds depends on the neighbours.
    hash_ = fnv1a().add(l.hash()).add(schedule_.hash()).add(std::uint64_t(rank())).value();
    slot_ = (wire + 63) / 64 * 64 + 64;
    slots_.resize(std::size_t(most * slot_ + 128));
  }

  int rank() const { return world_.rank(); }
  communicator<Transport>& world() { return world_; }
  mixing_schedule const& schedule() const { return schedule_; }
  std::uint64_t hash() const { return hash_; }
  std::int64_t bytes_sent() const { return bytes_; }
  /// The weights of round t, the own among them, in the order of the ranks. They are floats whose sum is 1, so that a
  /// consensus does not drift: those of the neighbours are rounded to float and then to multiples of the own one's last
  /// place, and the own one is what is left of 1.
  std::vector<float_weight> const& row(std::int64_t t) const { return at(t).row; }
  /// The most weights of a row but the own.
  index_t most_neighbours() const {
    std::size_t most = 1;
    for (turn const& t : turns_) most = (std::max)(most, t.row.size());
    return index_t(most) - 1;
  }

  /// Sends the compressor's last message, of round t, and returns a message for each weight of row(t), all of them
  /// checked; good until the next exchange. Nothing is returned if one is refused.
  /// @param like payloads have the same offset from a line of the cache
  template <class Compressor>
  std::vector<checked_message> const& exchange(Compressor& code, std::int64_t t, void const* like = nullptr) {
    turn const& now = at(t);
    message const& own = code.last();
    const auto aligned = reinterpret_cast<std::uintptr_t>(like) - std::uintptr_t(header_bytes);
    const auto base = reinterpret_cast<std::uintptr_t>(slots_.data());
    std::uint8_t* slot = slots_.data() + (aligned - base) % 64;
    sends_.clear(), receives_.clear(), messages_.clear();
    for (int r : now.out) sends_.push_back({r, {own.data(), own.size()}});
    for (float_weight const& w : now.row)
      if (w.rank != rank()) receives_.push_back({w.rank, {std::exchange(slot, slot + slot_), wire_}});
    world_.neighbour_exchange(host_messages{}, sends_, receives_);
    auto got = receives_.begin();
    const auto round = std::uint64_t(t);
    for (float_weight const& w : now.row)
      if (w.rank != rank()) messages_.push_back(code.check((got++)->data, {w.rank, round}));
      else messages_.push_back(code.last({w.rank, round}));
    bytes_ += std::int64_t(now.out.size()) * own.size();
    return messages_;
  }

 private:
  struct turn {
    std::vector<float_weight> row;
    std::vector<int> out;
  };
  turn const& at(std::int64_t t) const { return turns_[std::size_t(t) % turns_.size()]; }
  static turn turn_of(mixing_matrix const& w, int me) {
    turn t;
    int exponent;
    std::frexp((std::max)(std::abs(float(w.at(me, me))), 0x1p-24f),
               &exponent);  // one that is 0 but for rounding: 2^-47
    const double unit = std::ldexp(1., exponent - 24);
    double rest = 1;
    for (weight const& x : w.row(me)) {
      t.row.push_back({x.rank, float(std::floor(double(float(x.value)) / unit + 0.5) * unit)});
      if (x.rank != me) rest -= double(t.row.back().value);
    }
    for (float_weight& x : t.row)
      if (x.rank == me) x.value = float(rest);
    for (int r = 0; r < w.size(); ++r)
      if (r != me && w.at(r, me) != 0) t.out.push_back(r);
    return t;
  }
  communicator<Transport> world_;
  mixing_schedule schedule_;
  index_t wire_, slot_ = 0;
  std::uint64_t hash_ = 0;
  std::int64_t bytes_ = 0;
  std::vector<turn> turns_;
  std::vector<std::uint8_t> slots_;
  std::vector<neighbour<std::uint8_t const>> sends_;
  std::vector<neighbour<std::uint8_t>> receives_;
  std::vector<checked_message> messages_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
