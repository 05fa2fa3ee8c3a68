// SPDX-License-Identifier: Apache-2.0
/// @file Where a backend's memory comes from, when the user says so.
#pragma once
#include <cstdint>
#include <new>

#include "error.hpp"

namespace frugal {
inline namespace v0 {

/// Memory for a backend, from a pool, an arena, a counter ... A backend made with one takes all its memory from it:
/// what buffers, states, tables and workspaces of its objects are made of; not what these keep on the host beside it
/// (layouts, pointers, messages). It outlives every object of the backend, and is called by whatever thread constructs
/// or destroys one.
class memory_resource {
 public:
  virtual ~memory_resource() = default;
  /// `bytes` > 0 of memory that the backend's work can reach; refused unless aligned to 64 bytes.
  void* allocate(std::size_t bytes) {
    void* p = do_allocate(bytes);
    if (!p) FRUGAL_THROW(std::bad_alloc());
    if (reinterpret_cast<std::uintptr_t>(p) % 64 != 0) {
      do_deallocate(p, bytes);
      refuse("memory of a memory_resource", "an address that is a multiple of 64", "another");
    }
    return p;
  }
  void deallocate(void* p, std::size_t bytes) noexcept { do_deallocate(p, bytes); }

 private:
  virtual void* do_allocate(std::size_t bytes) = 0;  ///< throws, or returns null, where there is none
  virtual void do_deallocate(void* p, std::size_t bytes) noexcept = 0;
};

}  // namespace v0
}  // namespace frugal
