// SPDX-License-Identifier: Apache-2.0
/// @file A GPU that is none, strict where real ones are forgiving. What it finds is listed in docs/backends.md. It
/// exists so that every kernel runs, and shows its faults, where no GPU is.
#pragma once
#include <functional>
#include <memory>
#include <utility>

#include "emulated_team.hpp"

#if defined(__GNUC__) && !defined(__clang__)
#define FRUGAL_EMULATED_ARGUMENTS 1
#else
#define FRUGAL_EMULATED_ARGUMENTS 0
#endif

namespace frugal {
inline namespace v0 {
namespace detail {

/// Work in the order in which it was asked for. It is done when somebody waits for it, and not before: what a caller
/// may not touch meanwhile, or looks at too early, is then really not there.
class emulated_work final : public emulated_queue {
 public:
  emulated_work(std::uint64_t seed, unsigned lanes) : lanes_(seed, lanes) { device_.add(this); }
  ~emulated_work() override { device_.remove(this); }
  emulated_work(emulated_work const&) = delete;
  emulated_work& operator=(emulated_work const&) = delete;

  void add(std::function<void(emulated_lanes&)> f) {
    const auto now = device_.lock();
    if (pending_.size() == most) device_.work_on(this);  // real queues are finite, too
    pending_.push_back(std::move(f));
  }
  void sync() {
    const auto now = device_.lock();
    device_.work_on(this);
    if (failed_) std::rethrow_exception(std::exchange(failed_, nullptr));
  }
  bool waits() const override { return !pending_.empty(); }
  void work() override {
    const auto all = std::exchange(pending_, {});
    for (auto const& f : all) f(lanes_);
  }
  void fail(std::exception_ptr what) noexcept override {
    if (!failed_) failed_ = std::move(what);
  }

 private:
  static constexpr std::size_t most = 1024;
  emulated_device& device_ = emulated_device::instance();
  emulated_lanes lanes_;
  std::vector<std::function<void(emulated_lanes&)>> pending_;
  std::exception_ptr failed_;
};

}  // namespace detail

/// A stream of the emulated device: in what order things run, and how many lanes a team has. Copies are the same
/// stream; two that are made alike are two streams, and nothing orders them.
struct emulated_stream {
  std::uint64_t seed = 1;
  unsigned lanes = 5;
  std::shared_ptr<detail::emulated_work> work = std::make_shared<detail::emulated_work>(seed, lanes);
};

struct emulated_vendor {
  static constexpr char const* name = "emulated";
  using stream = emulated_stream;
  static void require_device() {}
  static int device() { return 0; }
  static void* allocate(std::size_t bytes) { return detail::emulated_device::instance().allocate(bytes); }
  static void deallocate(void* p, std::size_t) noexcept { detail::emulated_device::instance().deallocate(p); }
  // From pageable memory: the source is read before this returns.
  static void copy_in(void* to, void const* from, std::size_t bytes, stream const& s) {
    check(to, bytes);
    const auto* p = static_cast<unsigned char const*>(from);
    s.work->add([to, now = std::vector<unsigned char>(p, p + bytes)](auto&) {
      std::copy(now.begin(), now.end(), static_cast<unsigned char*>(to));
    });
  }
  static void copy_out(void* to, void const* from, std::size_t bytes, stream const& s) {
    check(from, bytes);
    s.work->add([=](auto&) { std::memcpy(to, from, bytes); });
  }
  static void copy(void* to, void const* from, std::size_t bytes, stream const& s) {
    check(to, bytes);
    check(from, bytes);
    s.work->add([=](auto&) { std::memcpy(to, from, bytes); });
  }
  static void fill(void* p, std::uint8_t byte, std::size_t bytes, stream const& s) {
    check(p, bytes);
    s.work->add([=](auto&) { std::memset(p, byte, bytes); });
  }
  static void sync(stream const& s) { s.work->sync(); }
  /// What a library would do in a stream: f, with the device's memory open to it.
  template <class F>
  static void enqueue(stream const& s, F f) {
    s.work->add([f = std::move(f)](auto&) mutable { f(); });
  }
  template <class Kernel>
  static void launch(unsigned blocks, stream const& s, Kernel const& kernel) {
    check_arguments(kernel);
    s.work->add([=](detail::emulated_lanes& lanes) { lanes.launch(blocks, kernel); });
  }

 private:
  static void check(void const* p, std::size_t bytes) {
    if (bytes == 0 || detail::emulated_device::instance().owns(p, bytes)) return;
    throw device_error(name, "a copy or fill", 5, "the range is not memory of the device, or not of one allocation");
  }
  // A pointer to memory of the host would work here, and nowhere else. What lies in padding is no pointer, so this
  // needs a compiler that can clear it: g++.
  template <class Kernel>
  static void check_arguments([[maybe_unused]] Kernel const& kernel) {
#if FRUGAL_EMULATED_ARGUMENTS
    constexpr std::size_t step = sizeof(std::uintptr_t);
    alignas(Kernel) unsigned char bytes[sizeof(Kernel) + step] = {};
    __builtin_clear_padding(::new (static_cast<void*>(bytes)) Kernel(kernel));
    asm volatile("" : : "r"(bytes) : "memory");  // as it is in memory, and not what the fields are
    for (std::size_t at = 0; at < sizeof(Kernel); at += step) {
      std::uintptr_t word;
      std::memcpy(&word, bytes + at, step);
      if (detail::emulated_device::instance().is_of_the_host(word))
        throw device_error(name, "a launch", 6, "an argument of the kernel points to memory of the host");
    }
#endif
  }
};

}  // namespace v0
}  // namespace frugal
