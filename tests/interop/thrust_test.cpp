// SPDX-License-Identifier: Apache-2.0
// Thrust on processors: its policies run everything with the bits of the serial backend, its containers are arguments,
// its memory resources give memory.
#define THRUST_DEVICE_SYSTEM THRUST_DEVICE_SYSTEM_TBB
#include <frugal/backend/serial.hpp>
#include <frugal/core/primitives.hpp>
#include <frugal/interop/thrust.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/zeroth_order/mezo.hpp>

#include <tbb/global_control.h>
#include <thrust/device_vector.h>
#include <thrust/host_vector.h>
#include <thrust/mr/new.h>
#include <thrust/system/tbb/execution_policy.h>
#include <thrust/universal_vector.h>
#if defined(_OPENMP)
#include <thrust/system/omp/execution_policy.h>
#endif

#include "support/bits.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t, frugal::view;

// As many threads as are asked for, on a small machine too.
const oneapi::tbb::global_control threads(oneapi::tbb::global_control::max_allowed_parallelism, 4);

// A clipped step (a sum, a rule), 8-bit states, forward passes along drawn directions, a selection.
template <class Backend>
std::vector<float> results(Backend const& b) {
  constexpr index_t n = 40003;
  std::vector<float> x = numbers(n, 1);
  const std::vector<float> g = numbers(n, 2);
  frugal::adamw opt(b, n, {.lr = 1e-2}, frugal::blockwise8{});
  opt.options().clip_norm = 1;
  for (int t = 0; t < 3; ++t) opt.step(x, g);
  x.push_back(float(opt.report().gradient_norm));
  frugal::mezo zo(b, 5000, {.epsilon = 1e-2});
  zo.step(view<float>(x.data(), 5000), [&] { return double(x[3]) - x[4000]; });
  frugal::buffer<std::uint32_t, Backend> at(b, 300);
  frugal::buffer<float, Backend> values(b, 300);
  frugal::top_k_select select(b, n + 1, 300);
  select(x, at.view(), values.view());
  for (std::uint32_t i : frugal::to_host(b, at.view())) x.push_back(float(i));
  for (float v : frugal::to_host(b, values.view())) x.push_back(v);
  return x;
}

template <class Policy>
void expect_the_bits(Policy policy) {
  static const std::vector<float> expected = results(frugal::serial_backend{});
  auto b = frugal::thrust_backend(policy);
  static_assert(frugal::team_backend<decltype(b)>);
  EXPECT_GE(b.concurrency(), 1);
  EXPECT_TRUE(same_bits(expected, results(b)));
  for (index_t n : {0, 1, 2, 63, 64, 65, 1000}) {
    for (index_t grain : {1, 7, 64}) {
      std::vector<int> visits(std::size_t(n), 0);
      b.share(n, grain, [&](index_t begin, index_t end) {
        for (index_t i = begin; i < end; ++i) ++visits[std::size_t(i)];
      });
      EXPECT_EQ(visits, std::vector<int>(std::size_t(n), 1)) << n << " by " << grain;
    }
  }
}
TEST(thrust, cpp) { expect_the_bits(thrust::cpp::par); }
TEST(thrust, tbb) { expect_the_bits(thrust::tbb::par); }
TEST(thrust, omp) {
#if defined(_OPENMP)
  expect_the_bits(thrust::omp::par);
#else
  GTEST_SKIP() << "compiled without -fopenmp";
#endif
}

TEST(thrust, policies) {
  static_assert(std::is_same_v<decltype(frugal::thrust_backend(thrust::host)),
                               decltype(frugal::thrust_backend(thrust::cpp::par))>);
  static_assert(std::is_same_v<decltype(frugal::thrust_backend(thrust::device)),
                               decltype(frugal::thrust_backend(thrust::tbb::par))>);
  EXPECT_EQ(frugal::thrust_backend(thrust::seq).concurrency(), 1);
  EXPECT_EQ(frugal::thrust_backend(thrust::host).concurrency(), 1);
  thrust::device_allocator<int> memory;
  std::vector<float> x(10, 1.f), g(10, 1.f);
  frugal::lion(frugal::thrust_backend(thrust::tbb::par(memory)), 10, {.lr = 0.5}).step(x, g);
  EXPECT_EQ(x, std::vector<float>(10, 0.5f));
}

// Thrust's own references to elements are not to be had under UndefinedBehaviorSanitizer.
void expect_all(view<float const> v, float x) {
  EXPECT_EQ(std::vector(v.begin(), v.end()), std::vector<float>(1000, x));
}

TEST(thrust, containers_and_pointers_are_arguments) {
  thrust::device_vector<float> x(1000, 1.f), g(1000, 1.f);
  thrust::universal_vector<float> u(1000, 1.f);
  thrust::host_vector<float> h(1000, 1.f);
  frugal::lion opt(frugal::thrust_backend(thrust::device), 1000, {.lr = 0.125});
  opt.step(x, g);
  opt.step(x, std::as_const(g));
  opt.step({x.data(), 1000}, {std::as_const(g).data(), 1000});
  expect_all(x, 0.625f);
  opt.step(u, h);
  opt.step(h, u);
  expect_all(u, 0.875f);
  expect_all(h, 0.875f);
  frugal::lion pair(frugal::serial_backend{}, frugal::layout{{"a", {600}}, {"b", {400}}}, {.lr = 0.125});
  const std::vector<view<float>> xs{{x.data(), 600}, {x.data() + 600, 400}}, gs{{g.data(), 600}, {g.data() + 500, 400}};
  pair.step(xs, gs);
  expect_all(x, 0.5f);
  EXPECT_TRUE(refused([&] { opt.step({x.data(), 999}, g); }, "parameter vector", "1000 elements", "999"));
  EXPECT_TRUE(refused([&] { opt.step(x, x); }, "parameters and gradients", "memory of their own each", "an overlap"));

  static_assert(!std::is_constructible_v<view<float>, thrust::device_vector<float> const&>);
  static_assert(std::is_constructible_v<view<float const>, thrust::device_vector<float> const&>);
  static_assert(!std::is_constructible_v<view<float>, thrust::device_vector<double>&>);
  static_assert(!std::is_constructible_v<view<float const>, thrust::device_vector<float>>);  // gone soon
  static_assert(!std::is_constructible_v<view<float>, thrust::device_ptr<float const>, index_t>);
  static_assert(!std::is_constructible_v<view<float>, thrust::device_ptr<double>, index_t>);
}

// What memory is asked for, and given back.
struct counting : thrust::mr::memory_resource<> {
  std::size_t now = 0, calls = 0;
  thrust::mr::new_delete_resource from;
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    now += bytes, ++calls;
    return from.do_allocate(bytes, alignment);
  }
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
    now -= bytes;
    from.do_deallocate(p, bytes, alignment);
  }
};
TEST(thrust, memory_resources) {
  counting from;
  frugal::thrust_memory memory(from);
  frugal::memory_resource& resource = memory;
  {
    std::vector<float> x(1000, 1.f), g(1000, 1.f);
    frugal::lion opt(frugal::thrust_backend(thrust::device, resource), 1000, {.lr = 0.5});
    EXPECT_GE(from.now, 4000u);
    const std::size_t calls = from.calls;
    opt.step(x, g);
    EXPECT_EQ(from.calls, calls);
    EXPECT_EQ(x[999], 0.5f);
  }
  EXPECT_EQ(from.now, 0u);
}

}  // namespace
