// SPDX-License-Identifier: Apache-2.0
/// @file Threads of oneTBB.
#pragma once
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <memory>

#include "host.hpp"

namespace frugal {
inline namespace v0 {

/// A handle on an arena of threads; copies share it. The bits do not depend on their number.
template <class Isa = native_isa>
class basic_tbb : public host_backend<basic_tbb<Isa>, Isa> {
 public:
  static constexpr char const* name = "tbb";
  static constexpr int automatic = oneapi::tbb::task_arena::automatic;  ///< as many threads as processors
  basic_tbb() : basic_tbb(automatic) {}
  /// @param threads at least 1, or `automatic`
  explicit basic_tbb(int threads) : arena_(arena(threads)) {}
  /// With memory from `from`, which outlives every object of this backend.
  explicit basic_tbb(memory_resource& from, int threads = automatic)
      : host_backend<basic_tbb<Isa>, Isa>(from), arena_(arena(threads)) {}
  /// Teams that it runs at a time, at most.
  int concurrency() const { return arena_->max_concurrency(); }
  template <class F>
  void share(index_t n, index_t grain, F const& f) const {
    arena_->execute([&] {
      oneapi::tbb::parallel_for(oneapi::tbb::blocked_range<index_t>(0, n, grain),
                                [&](auto const& r) { f(r.begin(), r.end()); });
    });
  }

 private:
  static auto arena(int threads) {
    require(threads >= 1 || threads == automatic, "the number of threads", "at least 1", threads);
    return std::make_shared<oneapi::tbb::task_arena>(threads);
  }
  std::shared_ptr<oneapi::tbb::task_arena> arena_;
};
using tbb_backend = basic_tbb<>;

}  // namespace v0
}  // namespace frugal
