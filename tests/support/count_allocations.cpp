// SPDX-License-Identifier: Apache-2.0
// Replaces operator new by one that counts. A file of its own: g++ warns where it sees both sides of a pair.
#include <cstddef>
#include <cstdlib>
#include <new>

#include "support/allocations.hpp"

static void* counted(std::size_t bytes, std::size_t alignment) {
  ++frugal_test::allocations;
  void* p = std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
  if (!p) throw std::bad_alloc();
  return p;
}
void* operator new(std::size_t n) { return counted(n, alignof(std::max_align_t)); }
void* operator new(std::size_t n, std::align_val_t a) { return counted(n, std::size_t(a)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
