// SPDX-License-Identifier: Apache-2.0
/// @file A GPU made of fibers, strict where real ones are forgiving: device memory cannot be touched outside of
/// kernels, is filled with NaN when fresh and ends at a guard page; teams run in an order shuffled by a seed, and so do
/// the lanes of a team between two barriers; a barrier that some lanes miss is an error. It exists so that every kernel
/// runs where no GPU is.
#pragma once
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

#include "../../core/error.hpp"

namespace frugal {
inline namespace v0 {

/// A stream of the emulated device: in what order things run, and how many lanes a team has.
struct emulated_stream {
  std::uint64_t seed = 1;
  unsigned lanes = 5;
};

namespace detail {

// Allocations of whole pages, each followed by a page that is never accessible; the block's end lies at its pages' end.
class emulated_memory {
 public:
  static emulated_memory& instance() {
    static emulated_memory m;
    return m;
  }
  void* allocate(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const std::size_t size = pages(bytes) + page_;
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw device_error("emulated", "allocate", 2, "out of memory");
    auto* p = static_cast<unsigned char*>(at) + pages(bytes) - (bytes + 63) / 64 * 64;
    std::memset(p, 0xff, bytes);
    live_[p] = {static_cast<unsigned char*>(at), size};
    mprotect(at, size, PROT_NONE);
    return p;
  }
  void deallocate(void* p) noexcept {
    const std::lock_guard lock(mutex_);
    const auto it = live_.find(static_cast<unsigned char*>(p));
    munmap(it->second.at, it->second.size);
    live_.erase(it);
  }
  // While one of these lives, a kernel (or a copy) runs.
  class open {
   public:
    open() : lock_(instance().mutex_) { instance().protect(PROT_READ | PROT_WRITE); }
    ~open() { instance().protect(PROT_NONE); }
    open(open const&) = delete;
    open& operator=(open const&) = delete;

   private:
    std::lock_guard<std::mutex> lock_;
  };

 private:
  struct region {
    unsigned char* at;
    std::size_t size;
  };
  std::size_t pages(std::size_t bytes) const { return (bytes + page_ - 1) / page_ * page_; }
  void protect(int how) {
    for (auto const& [p, r] : live_) mprotect(r.at, r.size - page_, how);
  }
  std::size_t page_ = std::size_t(sysconf(_SC_PAGESIZE));
  std::map<unsigned char*, region> live_;
  std::mutex mutex_;
};

// Runs the lanes of a team as fibers: each up to its next barrier, in shuffled order.
class emulated_team {
 public:
  struct context {
    emulated_team* team;
    index_t block_;
    unsigned lane_;
    index_t block() const { return block_; }
    unsigned lane() const { return lane_; }
    unsigned lanes() const { return unsigned(team->at_.size()); }
    void sync() const { swapcontext(&team->at_[lane_], &team->home_); }
    void count(std::uint32_t* p) const { ++*p; }
  };

  explicit emulated_team(emulated_stream s)
      : at_(s.lanes), finished_(s.lanes), order_(s.lanes), stacks_(stack_bytes * s.lanes), shuffle_(s.seed) {
    require(s.lanes > 0, "the lanes of an emulated team", ">= 1", s.lanes);
    std::iota(order_.begin(), order_.end(), 0u);
  }
  template <class Kernel>
  void launch(unsigned blocks, Kernel const& kernel) {
    std::vector<unsigned> order(blocks);
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), shuffle_);
    std::vector<std::uint64_t> scratch((kernel.scratch_bytes + 7) / 8);
    for (unsigned block : order) {
      std::fill(scratch.begin(), scratch.end(), ~std::uint64_t(0));  // NaN
      const auto lane = [&](unsigned i) {
        kernel(context{this, index_t(block), i}, reinterpret_cast<unsigned char*>(scratch.data()));
      };
      std::shuffle(order_.begin(), order_.end(), shuffle_);
      if constexpr (Kernel::synchronises) fibers(lane);
      else
        for (unsigned i : order_) lane(i);
    }
  }

 private:
  static constexpr std::size_t stack_bytes = 64 * 1024;

  template <class Lane>
  void fibers(Lane const& lane) {
    run_ = [](void const* f, unsigned i) { (*static_cast<Lane const*>(f))(i); };
    lane_ = &lane;
    std::fill(finished_.begin(), finished_.end(), false);
    for (unsigned i = 0; i < at_.size(); ++i) prepare(i);
    for (std::size_t done = 0; done < at_.size();) {
      for (unsigned i : order_) {
        current_ = i;
        swapcontext(&home_, &at_[i]);
      }
      done = std::size_t(std::count(finished_.begin(), finished_.end(), true));
      if (done != 0 && done != at_.size())
        throw device_error("emulated", "sync", 1, "a barrier was reached by some lanes of a team and not by others");
      std::shuffle(order_.begin(), order_.end(), shuffle_);
    }
  }
  void prepare(unsigned i) {
    getcontext(&at_[i]);
    at_[i].uc_stack.ss_sp = stacks_.data() + stack_bytes * i;
    at_[i].uc_stack.ss_size = stack_bytes;
    at_[i].uc_link = &home_;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&at_[i], reinterpret_cast<void (*)()>(&body), 2, unsigned(self >> 32), unsigned(self));
  }
  static void body(unsigned high, unsigned low) {
    auto* self = reinterpret_cast<emulated_team*>(std::uintptr_t(high) << 32 | low);
    const unsigned i = self->current_;
    self->run_(self->lane_, i);
    self->finished_[i] = true;
  }

  std::vector<ucontext_t> at_;
  ucontext_t home_{};
  std::vector<char> finished_;
  std::vector<unsigned> order_;
  std::vector<char> stacks_;
  std::mt19937_64 shuffle_;
  void (*run_)(void const*, unsigned) = nullptr;
  void const* lane_ = nullptr;
  unsigned current_ = 0;
};

}  // namespace detail

struct emulated_vendor {
  static constexpr char const* name = "emulated";
  using stream = emulated_stream;
  static void require_device() {}
  static int device() { return 0; }
  static void* allocate(std::size_t bytes) { return detail::emulated_memory::instance().allocate(bytes); }
  static void deallocate(void* p, std::size_t) noexcept { detail::emulated_memory::instance().deallocate(p); }
  static void copy_in(void* to, void const* from, std::size_t bytes, stream) { copy(to, from, bytes, {}); }
  static void copy_out(void* to, void const* from, std::size_t bytes, stream) { copy(to, from, bytes, {}); }
  static void copy(void* to, void const* from, std::size_t bytes, stream) {
    const detail::emulated_memory::open open;
    std::memcpy(to, from, bytes);
  }
  static void fill(void* p, std::uint8_t byte, std::size_t bytes, stream) {
    const detail::emulated_memory::open open;
    std::memset(p, byte, bytes);
  }
  static void sync(stream) {}
  template <class Kernel>
  static void launch(unsigned blocks, stream s, Kernel const& kernel) {
    const detail::emulated_memory::open open;
    detail::emulated_team(s).launch(blocks, kernel);
  }
};

}  // namespace v0
}  // namespace frugal
