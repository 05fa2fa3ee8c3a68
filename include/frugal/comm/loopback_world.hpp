// SPDX-License-Identifier: Apache-2.0
/// @file The messages of the ranks of one process: who they go to, and how long they take.
#pragma once
#include <compare>
#include <map>

#include "../core/random.hpp"
#include "loopback_clock.hpp"
#include "message.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

class loopback_world : public loopback_clock {
 public:
  loopback_world(int ranks, loopback_options options) : loopback_clock(ranks, std::move(options)) {}
  struct group {
    std::uint64_t id = 0;
    std::vector<int> members;  // ranks of the run
  };

  void exchange(group const& g, int me, std::vector<outgoing> const& out, std::vector<incoming> const& in) {
    actor& a = self();
    if (out.empty() && in.empty()) return;
    struct withdraw {
      loopback_world& w;
      actor& a;
      ~withdraw() { w.withdraw_posts(a); }
    } at_the_end{*this, a};
    a.due = a.clock, a.open = 0;
    for (auto const& m : in) check_alive(g, m.peer);
    for (auto const& m : out) {
      check_alive(g, m.peer);
      put(a, {g.id, g.members[std::size_t(me)], g.members[std::size_t(m.peer)], m.tag}, {&a, &m, nullptr, me});
    }
    for (auto const& m : in)
      put(a, {g.id, g.members[std::size_t(m.peer)], g.members[std::size_t(me)], m.tag}, {&a, nullptr, &m, me});
    a.is = a.open == 0 || a.error ? actor::state::ready : actor::state::waits;
    hand_over(a);
    if (a.error) std::rethrow_exception(std::exchange(a.error, nullptr));
  }
  /// The group of these members of a group: the same for all that ask with the same number.
  std::shared_ptr<group const> subgroup(group const& g, std::vector<int> const& members, std::uint64_t number) {
    auto ranks = std::make_shared<group>();
    for (int m : members) ranks->members.push_back(g.members[std::size_t(m)]);
    for (made const& m : groups_)
      if (m.parent == g.id && m.number == number && m.it->members == ranks->members) return m.it;
    ranks->id = groups_.size() + 1;
    groups_.push_back({g.id, number, ranks});
    return ranks;
  }
  std::int64_t messages() const { return messages_; }

 private:
  struct key {
    std::uint64_t group;
    int from, to, tag;
    auto operator<=>(key const&) const = default;
  };
  struct post {
    actor* who;
    outgoing const* send;  // one of the two
    incoming const* receive;
    int me;
  };
  struct made {
    std::uint64_t parent, number;
    std::shared_ptr<group const> it;
  };
  struct link {
    double free = 0;
    std::uint64_t messages = 0;
  };

  void put(actor& a, key const& k, post const& p) {
    const auto [it, fresh] = posts_.try_emplace(k, p);
    if (fresh) {
      ++a.open;
      return;
    }
    const post other = it->second;
    if ((other.send == nullptr) == (p.send == nullptr))
      throw comm_error("frugal: rank " + std::to_string(a.rank) +
                       " has two messages of one tag for one rank under way: does it use several threads?");
    posts_.erase(it);
    if (--other.who->open == 0 && other.who != &a) other.who->is = actor::state::ready;
    p.send ? transfer(p, other) : transfer(other, p);
  }
  /// A message starts when both sides are there and the link is free. The sender is done when it has left.
  void transfer(post const& from, post const& to) {
    envelope const& head = from.send->head;
    actor &s = *from.who, &r = *to.who;
    try {
      void* at = to.receive->accept(head, to.me);
      if (head.bytes > 0) std::memcpy(at, from.send->data, std::size_t(head.bytes));
    } catch (...) {
      fault(r, std::current_exception());
    }
    double left = (std::max)(s.clock, r.clock), arrived = left;
    if (s.rank != r.rank) {
      link& l = links_[{s.rank, r.rank}];
      left = (std::max)(left, l.free) + double(head.bytes) / options().bandwidth;
      l.free = left;
      const auto word =
          random_stream{options().seed}.word(direction_id(std::uint32_t(s.rank), std::uint32_t(r.rank)), l.messages++);
      arrived = left + options().latency + options().jitter * double(word) * 0x1p-32;
      ++messages_;
    }
    s.due = (std::max)(s.due, left), r.due = (std::max)(r.due, arrived);
  }
  void fault(actor& a, std::exception_ptr e) {
    a.error = std::move(e);
    withdraw_posts(a);
    a.is = actor::state::ready;
  }
  void withdraw_posts(actor const& a) {
    std::erase_if(posts_, [&](auto const& p) { return p.second.who == &a; });
  }
  void check_alive(group const& g, int peer) const {
    const int rank = g.members[std::size_t(peer)];
    if (has_failed(rank)) throw failure(rank);
  }
  void failed(actor& a, double when) override {
    withdraw_posts(a);
    std::vector<actor*> bereft;
    for (auto const& [k, p] : posts_)
      if (p.who->rank != a.rank && peer(k, p) == a.rank) bereft.push_back(p.who);
    for (actor* b : bereft) fault(*b, std::make_exception_ptr(failure(a.rank))), b->due = (std::max)(b->due, when);
  }
  std::vector<std::string> waits(actor const& a) const override {
    std::vector<std::string> all;
    for (auto const& [k, p] : posts_)
      if (p.who == &a)
        all.push_back((p.send ? "to send " + p.send->head.text() + " to rank "
                              : "to receive " + p.receive->expected.text() + " from rank ") +
                      std::to_string(peer(k, p)) + (returned(peer(k, p)) ? ", which has returned" : ""));
    return all;
  }
  static int peer(key const& k, post const& p) { return p.send ? k.to : k.from; }

  std::map<key, post> posts_;
  std::map<std::pair<int, int>, link> links_;
  std::vector<made> groups_;
  std::int64_t messages_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
