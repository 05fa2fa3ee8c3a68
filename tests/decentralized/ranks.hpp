// SPDX-License-Identifier: Apache-2.0
// What tests of decentralized methods share: results of all ranks of a loopback run, errors of all ranks, and a
// transport that damages messages on their way.
#pragma once
#include <frugal/comm/loopback.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace frugal_test {

// What body(world) returns on each rank.
template <class Body>
auto on_ranks(int ranks, Body const& body) {
  using result = decltype(body(std::declval<frugal::loopback_comm&>()));
  std::vector<result> all(static_cast<std::size_t>(ranks));
  frugal::run_loopback(ranks, [&](frugal::loopback_comm& world) { all[std::size_t(world.rank())] = body(world); });
  return all;
}

// What each rank throws from body(world); empty where it throws nothing.
template <class Body>
std::vector<std::string> errors_on_ranks(int ranks, Body const& body) {
  std::vector<std::string> all(static_cast<std::size_t>(ranks));
  try {
    frugal::run_loopback(ranks, [&](frugal::loopback_comm& world) {
      try {
        body(world);
      } catch (std::exception const& e) {
        all[std::size_t(world.rank())] = e.what();
        throw;
      }
    });
  } catch (frugal::comm_error const&) {
  }
  return all;
}

enum class damage { none, altered, truncated, replayed, foreign };

// A transport that damages one message to this rank (or, to truncate it, from this rank), and is Base in all else.
// Counted are exchanges of one kind.
template <class Base>
class damaging_transport : public Base {
 public:
  explicit damaging_transport(Base b, frugal::message_kind kind = frugal::message_kind::neighbour_exchange)
      : Base(std::move(b)), kind_(kind) {}
  void damage_exchange(int number, damage how) { at_ = number, how_ = how; }

  void exchange(std::vector<frugal::detail::outgoing> const& out, std::vector<frugal::detail::incoming> const& in,
                typename Base::workspace& w) {
    if ((out.empty() || out[0].head.kind != kind_) && (in.empty() || in[0].expected.kind != kind_))
      return Base::exchange(out, in, w);
    const bool now = ++count_ == at_;
    auto sent = out;
    if (now && how_ == damage::truncated) sent[0].head.bytes -= 10, sent[0].head.count -= 10;
    Base::exchange(sent, in, w);
    if (in.empty()) return;
    const auto bytes = [](frugal::detail::incoming const& m) {
      return m.any_size ? m.any_size->data() : static_cast<std::uint8_t*>(m.data);
    };
    const auto size = [](frugal::detail::incoming const& m) {
      return m.any_size ? m.any_size->size() : std::size_t(m.expected.bytes);
    };
    const std::vector<std::uint8_t> first(bytes(in[0]), bytes(in[0]) + size(in[0]));
    if (now && how_ == damage::altered) bytes(in[0])[size(in[0]) - 3] ^= 4;
    if (now && how_ == damage::replayed) std::copy(last_.begin(), last_.end(), bytes(in[0]));
    if (now && how_ == damage::foreign) std::copy(first.begin(), first.end(), bytes(in.back()));
    last_ = first;
  }
  damaging_transport subgroup(std::vector<int> const& members, std::uint64_t number) {
    return damaging_transport(Base::subgroup(members, number));
  }

 private:
  frugal::message_kind kind_;
  int at_ = 0, count_ = 0;
  damage how_ = damage::none;
  std::vector<std::uint8_t> last_;
};
template <class Base>
using damaging_comm = frugal::communicator<damaging_transport<Base>>;

}  // namespace frugal_test
