// SPDX-License-Identifier: Apache-2.0
// A backend from outside of the library, in under 100 lines: a device that nobody has. It has memory of its own, which
// only copies reach, and runs work backwards, in small parts, on threads that it starts for every call.
// docs/adding_a_backend.md goes through it.
#pragma once
#include <frugal/backend/host.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace toy {

struct toy_space {
  static constexpr char const* name = "toy";
};

// What copies of a handle share: the blocks that were allocated.
class device {
 public:
  ~device() { frugal::require(blocks_.empty(), "toy memory", "all of it given back", blocks_.size()); }
  void add(void* p, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    blocks_[static_cast<char*>(p)] = bytes;
  }
  void remove(void* p, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto it = blocks_.find(static_cast<char*>(p));
    frugal::require(it != blocks_.end() && it->second == bytes, "toy memory", "a block as it was allocated", "another");
    blocks_.erase(it);
  }
  // Are all of these bytes its own?
  bool owns(void const* at, std::size_t bytes) const {
    const std::lock_guard lock(mutex_);
    auto it = blocks_.upper_bound(const_cast<char*>(static_cast<char const*>(at)));
    return it != blocks_.begin() && (--it, static_cast<char const*>(at) + bytes <= it->first + it->second);
  }

 private:
  mutable std::mutex mutex_;
  std::map<char*, std::size_t> blocks_;
};

class toy_backend : public frugal::host_backend<toy_backend> {
  using memory = frugal::host_memory;

 public:
  using space = toy_space;
  static constexpr char const* name = "toy";
  explicit toy_backend(int threads = 3) : device_(std::make_shared<device>()), threads_(threads) {}

  void* allocate(std::size_t bytes) const {
    void* p = memory::allocate(bytes);
    std::memset(p, 0xff, bytes);  // NaN
    device_->add(p, bytes);
    return p;
  }
  void deallocate(void* p, std::size_t bytes) const noexcept {
    device_->remove(p, bytes);
    memory::deallocate(p, bytes);
  }
  void copy_in(void* to, void const* from, std::size_t bytes) const { copied(to, true, from, false, bytes); }
  void copy_out(void* to, void const* from, std::size_t bytes) const { copied(to, false, from, true, bytes); }
  void copy(void* to, void const* from, std::size_t bytes) const { copied(to, true, from, true, bytes); }
  void fill(void* p, std::uint8_t byte, std::size_t bytes) const {
    frugal::require(device_->owns(p, bytes), "what is filled", "toy memory", "other");
    memory::fill(p, byte, bytes);
  }

  int concurrency() const { return threads_; }
  template <class F>
  void share(frugal::index_t n, frugal::index_t grain, F const& f) const {
    std::atomic<frugal::index_t> left = n;  // parts are taken from the end
    const auto work = [&] {
      for (frugal::index_t end; (end = left.fetch_sub(grain)) > 0;) f(end > grain ? end - grain : 0, end);
    };
    std::vector<std::jthread> threads;
    for (int k = 1; k < threads_ && k * grain < n; ++k) threads.emplace_back(work);
    work();
  }

 private:
  void copied(void* to, bool to_toy, void const* from, bool from_toy, std::size_t bytes) const {
    frugal::require(device_->owns(to, bytes) == to_toy, "a copy's target", to_toy ? "toy memory" : "the host's",
                    "the other");
    frugal::require(device_->owns(from, bytes) == from_toy, "a copy's source", from_toy ? "toy memory" : "the host's",
                    "the other");
    memory::copy(to, from, bytes);
  }
  std::shared_ptr<device> device_;
  int threads_;
};

}  // namespace toy
