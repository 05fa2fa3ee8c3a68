// SPDX-License-Identifier: Apache-2.0
/// @file Threads of oneTBB.
#pragma once
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <memory>

#include "cpu.hpp"

namespace frugal {
inline namespace v0 {

/// A handle on an arena of threads; copies share it. The bits do not depend on their number.
template <class Isa = native_isa>
class basic_tbb : public detail::host_memory {
 public:
  static constexpr char const* name = "tbb";
  basic_tbb() : basic_tbb(oneapi::tbb::task_arena::automatic) {}
  /// @param threads at least 1
  explicit basic_tbb(int threads)
      : arena_((require(threads >= 1 || threads == oneapi::tbb::task_arena::automatic, "the number of threads",
                        "at least 1", threads),
                std::make_shared<oneapi::tbb::task_arena>(threads))) {}
  /// Teams that it runs at a time, at most.
  int concurrency() const { return arena_->max_concurrency(); }

  template <class Work, class F>
  void for_each(Work const& w, F const& f) const {
    split(w.tiles, 1, [&](index_t begin, index_t end) { detail::cpu_tiles<Isa>(w, begin, end, f); });
  }
  template <class F>
  void for_teams(F const& f) const {
    constexpr index_t grain = 64;  // a team's work is a block of a few hundred elements, or a tile
    const index_t n = f.teams();
    split(n, n > 4 * grain ? grain : 1, [&](index_t begin, index_t end) { detail::cpu_teams<Isa>(begin, end, f); });
  }
  template <class F>
  void run(F const& f) const {
    f();
  }

 private:
  template <class G>
  void split(index_t n, index_t grain, G const& g) const {
    arena_->execute([&] {
      oneapi::tbb::parallel_for(oneapi::tbb::blocked_range<index_t>(0, n, grain),
                                [&](auto const& r) { g(r.begin(), r.end()); });
    });
  }
  std::shared_ptr<oneapi::tbb::task_arena> arena_;
};
using tbb_backend = basic_tbb<>;

}  // namespace v0
}  // namespace frugal
