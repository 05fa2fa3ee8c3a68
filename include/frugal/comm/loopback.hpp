// SPDX-License-Identifier: Apache-2.0
/// @file `loopback_comm`: n ranks in one process, deterministic, with a virtual clock. For tests, simulations of slow
/// or failing networks, and everything that should be right before it runs on a cluster.
#pragma once
#include "../core/macros.hpp"

#if !FRUGAL_EXCEPTIONS
#error \
    "frugal: a failing rank is an exception, and frugal/comm/loopback.hpp needs exceptions: compile this file without -fno-exceptions"
#endif

#include "communicator.hpp"
#include "loopback_world.hpp"

namespace frugal {
inline namespace v0 {

class loopback_transport {
  using world = detail::loopback_world;

 public:
  static constexpr char const* name = "loopback";
  struct workspace {};
  using task = world::task;

  loopback_transport(std::shared_ptr<world> w, std::shared_ptr<world::group const> g, int rank)
      : world_(std::move(w)), group_(std::move(g)), rank_(rank) {}
  int rank() const { return rank_; }
  int size() const { return int(group_->members.size()); }
  void exchange(std::vector<detail::outgoing> const& out, std::vector<detail::incoming> const& in, workspace&) {
    world_->exchange(*group_, rank_, out, in);
  }
  loopback_transport subgroup(std::vector<int> const& members, std::uint64_t number) {
    const auto me = std::find(members.begin(), members.end(), rank_) - members.begin();
    return {world_, world_->subgroup(*group_, members, number), int(me)};
  }
  [[noreturn]] void abort(std::string const& text) { world_->abort(text); }

  // Calls beside the caller have a clock of their own: they overlap with what the rank computes.
  static bool overlaps() { return true; }
  task start(std::function<void()> f) { return last_ = world_->start(std::move(f), last_); }
  bool ready(task const& t) { return world_->ready(t); }
  void wait(task const& t) { world_->wait(t); }
  void finish() noexcept {
    if (last_) world_->wait_quietly(last_);
  }

  double now() const { return world_->now(); }
  void compute(double seconds) { world_->compute(seconds); }

 private:
  std::shared_ptr<world> world_;
  std::shared_ptr<world::group const> group_;
  int rank_;
  task last_;
};
using loopback_comm = communicator<loopback_transport>;

/// Runs body(comm) as `ranks` ranks and returns when all are done. When one throws, the others are stopped at their
/// next use of the communicator, and a comm_error is thrown here that names the rank and holds its exception, nested.
/// Ranks that all wait for each other are such an error, too.
template <class Body>
loopback_report run_loopback(int ranks, Body&& body, loopback_options options = {}) {
  require(ranks > 0, "the number of ranks", ">= 1", ranks);
  auto world = std::make_shared<detail::loopback_world>(ranks, std::move(options));
  auto everyone = std::make_shared<detail::loopback_world::group>();
  for (int r = 0; r < ranks; ++r) everyone->members.push_back(r);
  auto report = world->run([&](int rank) {
    loopback_comm comm(loopback_transport(world, everyone, rank));
    body(comm);
  });
  report.messages = world->messages();
  return report;
}

}  // namespace v0
}  // namespace frugal
