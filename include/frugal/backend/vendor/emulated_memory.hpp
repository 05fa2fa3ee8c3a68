// SPDX-License-Identifier: Apache-2.0
/// @file Memory of the emulated device: pages of its own, which nobody can touch but while the device works.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <mutex>
#include <vector>

#include "../../core/error.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace frugal {
inline namespace v0 {
namespace detail {

/// A block between two pages that are never accessible. It ends where the second one begins, to within its alignment;
/// what lies between holds a pattern, as does what lies before it, and AddressSanitizer knows that nobody owns it.
/// Fresh, every byte is 0xff: floats are NaN, indices are out of range.
class guarded_block {
 public:
  guarded_block() = default;
  guarded_block(std::size_t bytes, std::size_t alignment) : bytes_(bytes) {
    inside_ = rounded(rounded(bytes, alignment) + edge, page());
    at_ = static_cast<unsigned char*>(
        mmap(nullptr, inside_ + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (at_ == MAP_FAILED) throw device_error("emulated", "allocate", 2, "out of memory");
    begin_ = at_ + page() + inside_ - rounded(bytes, alignment);
    protect(PROT_READ | PROT_WRITE);
    std::memset(at_ + page(), 0xff, inside_);
#if defined(__SANITIZE_ADDRESS__)
    __asan_poison_memory_region(at_ + page(), inside_);
    __asan_unpoison_memory_region(begin_, bytes_);
#endif
  }
  guarded_block(guarded_block&& o) noexcept { swap(o); }
  guarded_block& operator=(guarded_block&& o) noexcept {
    swap(o);
    return *this;
  }
  ~guarded_block() {
    if (!at_) return;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(at_ + page(), inside_);
#endif
    munmap(at_, inside_ + 2 * page());
  }

  unsigned char* data() const { return begin_; }
  std::size_t bytes() const { return bytes_; }
  bool holds(void const* p, std::size_t bytes) const {
    const auto* from = static_cast<unsigned char const*>(p);
    return from >= begin_ && bytes <= bytes_ && from <= begin_ + (bytes_ - bytes);
  }
  /// Is it in its pages, or in the two around them?
  bool around(std::uintptr_t p) const { return p - reinterpret_cast<std::uintptr_t>(at_) < inside_ + 2 * page(); }
  /// Does the pattern still stand, to 64 bytes before the block and up to its pages' end?
  __attribute__((no_sanitize("address"))) bool intact() const {
    unsigned char all = 0xff;
    for (unsigned char const* p = begin_ - edge; p < begin_; ++p) all = all & *p;
    for (unsigned char const* p = begin_ + bytes_; p < at_ + page() + inside_; ++p) all = all & *p;
    return all == 0xff;
  }
  /// Writes the pattern again.
  __attribute__((no_sanitize("address"))) void mend() {
    for (unsigned char* p = begin_ - edge; p < begin_; ++p) *p = 0xff;
    for (unsigned char* p = begin_ + bytes_; p < at_ + page() + inside_; ++p) *p = 0xff;
  }
  void protect(int how) const { mprotect(at_ + page(), inside_, how); }
  /// Gives the memory back; the addresses stay, inaccessible.
  void empty() const { madvise(at_, inside_ + 2 * page(), MADV_DONTNEED); }

 private:
  static constexpr std::size_t edge = 64;
  static std::size_t page() {
    static const std::size_t bytes = std::size_t(sysconf(_SC_PAGESIZE));
    return bytes;
  }
  static std::size_t rounded(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }
  void swap(guarded_block& o) {
    std::swap(at_, o.at_);
    std::swap(begin_, o.begin_);
    std::swap(inside_, o.inside_);
    std::swap(bytes_, o.bytes_);
  }
  unsigned char* at_ = nullptr;
  unsigned char* begin_ = nullptr;
  std::size_t inside_ = 0, bytes_ = 0;
};

/// A stream, as the device sees it: work that waits.
class emulated_queue {
 public:
  virtual ~emulated_queue() = default;
  virtual bool waits() const = 0;
  virtual void work() = 0;                                  ///< does all that waits, with the memory open
  virtual void fail(std::exception_ptr what) noexcept = 0;  ///< what the next wait for the stream throws
};

/// The memory of the device, and its streams. One thing happens at a time.
class emulated_device {
 public:
  static emulated_device& instance() {
    static emulated_device d;
    return d;
  }
  /// Nothing else happens meanwhile.
  std::unique_lock<std::recursive_mutex> lock() { return std::unique_lock(mutex_); }
  void* allocate(std::size_t bytes) {
    const auto now = lock();
    guarded_block block(bytes, 64);
    block.protect(PROT_NONE);
    return live_.emplace_back(std::move(block)).data();
  }
  /// Waits for all streams, as real devices do. The pages stay inaccessible for a while: a late use must not find
  /// somebody else's memory.
  void deallocate(void* p) noexcept {
    const auto now = lock();
    work(streams_);
    const auto it = std::find_if(live_.begin(), live_.end(), [&](auto const& b) { return b.data() == p; });
    it->empty();
    std::swap(freed_[next_freed_++ % freed_.size()], *it);
    std::swap(*it, live_.back());
    live_.pop_back();
  }
  void add(emulated_queue* s) {
    const auto now = lock();
    streams_.push_back(s);
  }
  void remove(emulated_queue* s) noexcept {
    const auto now = lock();
    work({s});
    std::erase(streams_, s);
  }
  /// Does what waits in a stream.
  void work_on(emulated_queue* s) {
    const auto now = lock();
    work({s});
  }
  /// Is this range inside of one block?
  bool owns(void const* p, std::size_t bytes) {
    const auto now = lock();
    return std::any_of(live_.begin(), live_.end(), [&](auto const& b) { return b.holds(p, bytes); });
  }
  /// Is this an address of the program, which a device could not use? Blocks end before pages that count as theirs.
  bool is_of_the_host(std::uintptr_t address) {
    if (address < std::uintptr_t(1) << 40 || address >> 47 != 0) return false;  // a number
    const auto now = lock();
    const auto around = [&](auto const& b) { return b.around(address); };
    if (std::any_of(live_.begin(), live_.end(), around) || std::any_of(freed_.begin(), freed_.end(), around))
      return false;
    const std::uintptr_t page = std::uintptr_t(sysconf(_SC_PAGESIZE));
    return msync(reinterpret_cast<void*>(address / page * page), 1, MS_ASYNC) == 0;  // mapped at all?
  }

 private:
  // While one of these lives, the memory is accessible.
  struct open {
    explicit open(std::vector<guarded_block> const& b) : blocks(b) { all(PROT_READ | PROT_WRITE); }
    ~open() { all(PROT_NONE); }
    void all(int how) const {
      for (auto const& b : blocks) b.protect(how);
    }
    std::vector<guarded_block> const& blocks;
  };
  void work(std::vector<emulated_queue*> const& streams) noexcept {
    if (std::none_of(streams.begin(), streams.end(), [](auto* s) { return s->waits(); })) return;
    const open memory(live_);
    for (emulated_queue* s : streams) {
      if (!s->waits()) continue;
      try {
        s->work();
        for (auto& b : live_)
          if (!b.intact()) {
            b.mend();
            throw device_error("emulated", "sync", 4, "a kernel wrote past the memory that it was given");
          }
      } catch (...) {
        s->fail(std::current_exception());
      }
    }
  }
  std::recursive_mutex mutex_;
  std::vector<guarded_block> live_;
  std::array<guarded_block, 64> freed_;
  std::size_t next_freed_ = 0;
  std::vector<emulated_queue*> streams_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
