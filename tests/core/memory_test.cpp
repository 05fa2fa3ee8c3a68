// SPDX-License-Identifier: Apache-2.0
// Memory from a resource of the user's: all of it, all given back, and what happens when there is none.
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/tbb.hpp>
#include <frugal/core/primitives.hpp>
#include <frugal/frugal.hpp>

#include <cstdlib>
#include <map>
#include <mutex>

#include "support/backends.hpp"
#include "support/refusal.hpp"

// What a backend without a resource takes its memory from, counted.
static long aligned_news = 0;
void* operator new(std::size_t n, std::align_val_t a) {
  ++aligned_news;
  return std::aligned_alloc(std::size_t(a), (n + std::size_t(a) - 1) / std::size_t(a) * std::size_t(a));
}
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace {
using namespace frugal_test;

class resource final : public frugal::memory_resource {
 public:
  resource() = default;
  /// Device memory, from where the emulated GPU has it.
  explicit resource(frugal::emulated_backend const& device) : device_(&device) {}
  ~resource() override { EXPECT_TRUE(live_.empty()) << live_.size() << " blocks were not given back"; }
  long taken = 0, fails_at = -1;
  std::size_t off = 0;  // added to each address
  std::size_t live() const { return live_.size(); }
  std::size_t bytes() const {
    std::size_t sum = 0;
    for (auto const& [p, n] : live_) sum += n;
    return sum;
  }

 private:
  void* do_allocate(std::size_t bytes) override {
    const std::lock_guard lock(mutex_);
    EXPECT_GT(bytes, 0u);
    if (taken++ == fails_at) throw std::bad_alloc();
    char* p =
        static_cast<char*>(device_ ? device_->allocate(bytes) : std::aligned_alloc(64, (bytes + off + 63) / 64 * 64)) +
        off;
    live_[p] = bytes;
    return p;
  }
  void do_deallocate(void* p, std::size_t bytes) noexcept override {
    const std::lock_guard lock(mutex_);
    const auto it = live_.find(static_cast<char*>(p));
    if (it == live_.end() || it->second != bytes) {
      ADD_FAILURE() << "a block of " << bytes << " bytes that was not allocated so";
      return;
    }
    live_.erase(it);
    if (device_) device_->deallocate(p, bytes);
    else std::free(static_cast<char*>(p) - off);
  }
  frugal::emulated_backend const* device_ = nullptr;
  std::mutex mutex_;
  std::map<char*, std::size_t> live_;
};

// Calls f(name, make), where make(backend) is an object.
template <class F>
void for_each_object(F const& f) {
  const frugal::layout l{{"a", {100, 50}}, {"b", {300}}};
  f("adamw", [=](auto b) { return frugal::adamw(b, l, {}, frugal::blockwise8{}); });
  f("lion with a mask",
    [=](auto b) { return frugal::lion(b, l, {}, frugal::mask{std::vector<std::uint8_t>(std::size_t(l.size()), 1)}); });
  f("ef21", [=](auto b) { return frugal::ef21(b, l, frugal::top_k{.ratio = 0.01}); });
  f("ef14", [=](auto b) { return frugal::ef14(b, l, frugal::scaled_sign{.block = 256}); });
  f("mezo", [=](auto b) { return frugal::mezo(b, l, {.momentum = 0.5}, frugal::spherical{}); });
  f("roast", [=](auto b) { return frugal::roast(b, l, {.compression = 8}); });
  f("very_sparse", [=](auto b) { return frugal::very_sparse(b, 1000, 100); });
  f("top_k_select", [=](auto b) { return frugal::top_k_select(b, 100000, 1000); });
}

template <class Backend>
void takes_all_from(Backend const& b, resource& from) {
  for_each_object([&](char const* name, auto make) {
    SCOPED_TRACE(name);
    const long before = aligned_news, taken = from.taken;
    {
      auto object = make(b);
      EXPECT_GT(from.taken, taken);
      EXPECT_GT(from.bytes(), 0u);
      if constexpr (requires { object.state_bytes(); }) {
        EXPECT_GE(from.bytes(), object.state_bytes());
      }
      const long made = from.taken;
      auto other = std::move(object);
      EXPECT_EQ(from.taken, made) << "a move allocates";
    }
    EXPECT_EQ(from.live(), 0u);
    EXPECT_EQ(aligned_news, before) << "memory from elsewhere";
  });
}

TEST(memory, all_of_a_serial_backend_comes_from_its_resource) {
  resource from;
  takes_all_from(frugal::serial_backend(from), from);
}

TEST(memory, all_of_a_tbb_backend_comes_from_its_resource) {
  resource from;
  takes_all_from(frugal::tbb_backend(from, 2), from);
}

TEST(memory, all_of_a_gpu_backend_comes_from_its_resource) {
  const frugal::emulated_backend device;
  resource from(device);
  const frugal::emulated_backend b({.seed = 1, .lanes = 4}, from);
  takes_all_from(b, from);
  const auto x = numbers(5000, 1);
  const there<float, frugal::emulated_backend> there_x(b, x);
  EXPECT_EQ(frugal::sum(b, there_x.all()), frugal::sum(frugal::serial_backend{}, x));
}

TEST(memory, without_a_resource_it_comes_from_operator_new) {
  const long before = aligned_news;
  frugal::adamw opt(frugal::serial_backend{}, 100);
  EXPECT_GT(aligned_news, before);
}

TEST(memory, the_bits_do_not_depend_on_it) {
  resource from;
  const auto steps = [](frugal::serial_backend b) {
    frugal::adamw opt(b, 5000, {}, frugal::blockwise8{});
    auto x = numbers(5000, 1);
    for (std::uint64_t t = 0; t < 3; ++t) opt.step(x, numbers(5000, t));
    return x;
  };
  EXPECT_TRUE(same_bits(steps(frugal::serial_backend{}), steps(frugal::serial_backend(from))));
}

TEST(memory, an_allocation_that_fails_leaves_nothing_behind) {
  for_each_object([&](char const* name, auto make) {
    SCOPED_TRACE(name);
    for (long k = 0;; ++k) {
      resource from;
      from.fails_at = k;
      bool made = false;
      try {
        auto object = make(frugal::serial_backend(from));
        made = true;
      } catch (std::bad_alloc const&) {
        EXPECT_EQ(from.live(), 0u) << "after allocation " << k << " failed";
      }
      if (made) {
        EXPECT_GT(k, 1);
        break;
      }
    }
  });
}

// The one step that takes memory: of more scalars than any before.
TEST(memory, a_step_that_found_none_can_be_made_again) {
  const auto run = [](frugal::serial_backend const& b, resource* from) {
    frugal::mezo zo(b, 1000, {.lr = 0.1}, frugal::spherical{});
    std::vector<float> x(1000, 1.f);
    zo.apply(x, zo.update({1}));
    const frugal::mezo_update many = zo.update({1, 2, 3, 4, 5});
    for (long k = 0; from && k < 2; ++k) {
      from->fails_at = from->taken + k;
      const std::vector<float> before = x;
      EXPECT_THROW(zo.apply(x, many), std::bad_alloc);
      EXPECT_EQ(x, before);
      EXPECT_EQ(zo.steps(), 1);
    }
    const long taken = from ? from->taken : 0;
    zo.apply(x, many);
    if (from) {
      EXPECT_EQ(from->taken, taken + 1) << "of two, the one that failed last";
    }
    return x;
  };
  resource from;
  EXPECT_TRUE(same_bits(run(frugal::serial_backend(), nullptr), run(frugal::serial_backend(from), &from)));
}

TEST(memory, null_is_a_failure_too) {
  struct : frugal::memory_resource {
    void* do_allocate(std::size_t) override { return nullptr; }
    void do_deallocate(void*, std::size_t) noexcept override { FAIL() << "of null"; }
  } none;
  EXPECT_THROW(frugal::adamw(frugal::serial_backend(none), 100), std::bad_alloc);
}

TEST(memory, another_alignment_is_refused_and_given_back) {
  resource from;
  from.off = 32;
  EXPECT_TRUE(refused([&] { frugal::adamw(frugal::serial_backend(from), 100); }, "memory of a memory_resource",
                      "an address that is a multiple of 64", "another"));
  EXPECT_EQ(from.live(), 0u);
}

}  // namespace
