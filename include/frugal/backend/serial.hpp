// SPDX-License-Identifier: Apache-2.0
/// @file The calling thread.
#pragma once
#include "host.hpp"

namespace frugal {
inline namespace v0 {

template <class Isa = native_isa>
class basic_serial : public host_backend<basic_serial<Isa>, Isa> {
 public:
  static constexpr char const* name = "serial";
  basic_serial() = default;
  /// With memory from `from`, which outlives every object of this backend.
  explicit basic_serial(memory_resource& from) : host_backend<basic_serial<Isa>, Isa>(from) {}
  /// Teams that it runs at a time.
  static constexpr int concurrency() { return 1; }
  template <class F>
  void share(index_t n, index_t, F const& f) const {
    f(0, n);
  }
};
using serial_backend = basic_serial<>;

}  // namespace v0
}  // namespace frugal
