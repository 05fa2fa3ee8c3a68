// SPDX-License-Identifier: Apache-2.0
/// @file A transport of one rank: what is measured over it is a method without the wire.
#pragma once
#include <cstdlib>
#include <frugal/comm/communicator.hpp>

namespace bench {

/// One rank, which has nobody to talk to.
struct nobody {
  static constexpr char const* name = "nobody";
  struct workspace {};
  using task = int;
  static int rank() { return 0; }
  static int size() { return 1; }
  void exchange(std::vector<frugal::detail::outgoing> const&, std::vector<frugal::detail::incoming> const&,
                workspace&) {}
  nobody subgroup(std::vector<int> const&, std::uint64_t) { return {}; }
  [[noreturn]] void abort(std::string const&) { std::abort(); }
  static double now() { return 0; }
  static bool overlaps() { return false; }
  task start(std::function<void()> const& f) { return f(), 0; }
  bool ready(task) { return true; }
  void wait(task) {}
  void finish() {}
};

}  // namespace bench
