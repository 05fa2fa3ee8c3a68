// SPDX-License-Identifier: Apache-2.0
// The same computation on every backend, with several counts of threads, lanes and orders: the bits must be equal.
#pragma once
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/backend/tbb.hpp>

#include <tbb/global_control.h>

#include "bits.hpp"

namespace frugal_test {

// As many threads as are asked for, on a small machine too.
inline const oneapi::tbb::global_control threads_for_all(oneapi::tbb::global_control::max_allowed_parallelism, 8);

// Calls run(backend), which returns something that same_bits() compares, on every backend; returns what serial gave.
template <class F>
auto same_on_every_backend(F const& run) {
  const auto expected = run(frugal::serial_backend{});
  for (int threads : {1, 2, 7})
    EXPECT_TRUE(same_bits(expected, run(frugal::tbb_backend(threads)))) << "tbb with " << threads << " threads";
  // Lanes that divide nothing, lanes as a device has them, and different orders.
  for (auto const& s :
       {frugal::emulated_stream{.seed = 1, .lanes = 5}, {.seed = 2, .lanes = 3}, {.seed = 3, .lanes = 64}})
    EXPECT_TRUE(same_bits(expected, run(frugal::emulated_backend(s))))
        << "emulated with " << s.lanes << " lanes, seed " << s.seed;
  return expected;
}

// A copy of host data in a backend's memory, `offset` elements after a boundary of 64 bytes.
template <class T, class Backend>
class there {
 public:
  using view = frugal::view<T, typename Backend::space>;
  using const_view = frugal::view<T const, typename Backend::space>;
  there(Backend const& b, std::vector<T> const& from, frugal::index_t offset = 0)
      : backend_(b), offset_(offset), memory_(b, frugal::index_t(from.size()) + offset) {
    set(from);
  }
  view all() const { return {memory_.data() + offset_, memory_.size() - offset_}; }
  const_view constant() const { return all(); }
  void set(std::vector<T> const& from) { frugal::to_backend(backend_, all(), from); }
  std::vector<T> get() const { return frugal::to_host(backend_, all()); }

 private:
  Backend backend_;
  frugal::index_t offset_;
  frugal::buffer<T, Backend> memory_;
};

}  // namespace frugal_test
