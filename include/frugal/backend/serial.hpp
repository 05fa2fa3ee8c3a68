// SPDX-License-Identifier: Apache-2.0
/// @file The calling thread.
#pragma once
#include "cpu.hpp"

namespace frugal {
inline namespace v0 {

template <class Isa = native_isa>
class basic_serial : public detail::host_memory {
 public:
  static constexpr char const* name = "serial";
  /// Teams that it runs at a time.
  static constexpr int concurrency() { return 1; }
  /// F on every tile of the work.
  template <class Work, class F>
  void for_each(Work const& w, F const& f) const {
    detail::cpu_tiles<Isa>(w, 0, w.tiles, f);
  }
  /// F on its teams.
  template <class F>
  void for_teams(F const& f) const {
    detail::cpu_teams<Isa>(0, f.teams(), f);
  }
  /// F once.
  template <class F>
  void run(F const& f) const {
    f();
  }
};
using serial_backend = basic_serial<>;

}  // namespace v0
}  // namespace frugal
