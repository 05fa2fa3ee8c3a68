// SPDX-License-Identifier: Apache-2.0
/// @file What a backend gives, as concepts. An algorithm asks for the smallest that it needs.
#pragma once
#include <concepts>

#include "work.hpp"

namespace frugal {
inline namespace v0 {

/// Memory of a space of its own, copies to and from the host, and their order. `copy_in` has read its source when it
/// returns; `copy_out` and `sync` wait; the rest is done in the order it was asked for.
template <class B>
concept memory_backend = std::copyable<B> && requires(B const& b, void* p, void const* q, std::size_t bytes) {
  typename B::space;
  B::line_bytes;
  { b.allocate(bytes) } -> std::same_as<void*>;
  { b.deallocate(p, bytes) }
  noexcept;
  b.copy_in(p, q, bytes);
  b.copy_out(p, q, bytes);
  b.copy(p, q, bytes);
  b.fill(p, std::uint8_t(0), bytes);
  b.sync();
};

namespace detail {
// Named functors to probe with: a lambda could not be a kernel.
struct any_loop {
  using scalar = float;
  struct bound {
    bool active = true;
    float const* contiguous() const { return nullptr; }
    FRUGAL_FN bool aligned(int) const { return false; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk) const {}
  };
  FRUGAL_FN bound bind(segment const&) const { return {}; }
};
struct any_team {
  static constexpr unsigned team_threads = 64;
  static constexpr int scratch_bytes = 64;
  index_t teams() const { return 0; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const&) const {}
};
struct any_single {
  FRUGAL_FN void operator()() const {}
};
}  // namespace detail

/// `for_each(work, f)`: f, bound to each segment of the work, on all its slots in chunks of values; in any order.
/// `run(f)`: f once, where the backend's memory is.
template <class B>
concept loop_backend = memory_backend<B> &&
    requires(B const& b, one_segment w, segment_list l, detail::any_loop f, detail::any_single g) {
  b.for_each(w, f);
  b.for_each(l, f);
  b.run(g);
};

/// `for_teams(f)`: f on f.teams() teams, each some lanes with a scratch of f.scratch_bytes.
template <class B>
concept team_backend = loop_backend<B> && requires(B const& b, detail::any_team f) {
  b.for_teams(f);
};

}  // namespace v0
}  // namespace frugal
