// SPDX-License-Identifier: Apache-2.0
/// @file What every backend of this process's threads is made of; one of your own says how work is shared out, and no
/// more (docs/adding_a_backend.md).
#pragma once
#include <cstring>
#include <new>

#include "../core/memory.hpp"
#include "../core/view.hpp"
#include "cpu.hpp"

namespace frugal {
inline namespace v0 {

/// Host memory, aligned to a cache line: an access that straddles two lines costs up to a fifth of the bandwidth.
class host_memory {
 public:
  using space = host_space;
  /// States are laid so that they reach a line's boundary where the parameters do: then one peel aligns every access.
  static constexpr std::size_t line_bytes = 64;
  host_memory() = default;
  /// From `from`, which outlives every object of this backend.
  explicit host_memory(memory_resource& from) : from_(&from) {}

  void* allocate(std::size_t bytes) const {
    return from_ ? from_->allocate(bytes) : ::operator new(bytes, std::align_val_t(64));
  }
  void deallocate(void* p, std::size_t bytes) const noexcept {
    if (from_) from_->deallocate(p, bytes);
    else ::operator delete(p, std::align_val_t(64));
  }
  void copy_in(void* to, void const* from, std::size_t bytes) const { std::memcpy(to, from, bytes); }
  void copy_out(void* to, void const* from, std::size_t bytes) const { std::memcpy(to, from, bytes); }
  void copy(void* to, void const* from, std::size_t bytes) const { std::memmove(to, from, bytes); }
  void fill(void* p, std::uint8_t byte, std::size_t bytes) const { std::memset(p, byte, bytes); }
  void sync() const {}

 private:
  memory_resource* from_ = nullptr;
};

/// A backend whose class, `Self`, has
///
///     template <class F> void share(index_t n, index_t grain, F const& f) const;
///
/// which calls f(begin, end) on parts of [0, n), n >= 0, each number in one of them, in any order and from any threads,
/// and returns when all calls have. Parts of `grain` numbers or more are worth a thread. f does not throw.
template <class Self, class Isa = native_isa>
class host_backend : public host_memory {
 public:
  using host_memory::host_memory;
  /// f on every tile of the work.
  template <class Work, class F>
  void for_each(Work const& w, F const& f) const {
    self().share(w.tiles, 1, [&](index_t begin, index_t end) { detail::cpu_tiles<Isa>(w, begin, end, f); });
  }
  /// f on its teams.
  template <class F>
  void for_teams(F const& f) const {
    constexpr index_t grain = 64;  // a team's work is a block of a few hundred elements, or a tile
    const index_t n = f.teams();
    self().share(n, n > 4 * grain ? grain : 1,
                 [&](index_t begin, index_t end) { detail::cpu_teams<Isa>(begin, end, f); });
  }
  /// f once.
  template <class F>
  void run(F const& f) const {
    f();
  }

 private:
  Self const& self() const { return static_cast<Self const&>(*this); }
};

}  // namespace v0
}  // namespace frugal
