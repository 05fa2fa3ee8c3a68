// SPDX-License-Identifier: Apache-2.0
// A processor that flushes subnormal numbers to zero changes what docs/determinism.md says, and nothing else.
#include <gtest/gtest.h>

#include <frugal/backend/serial.hpp>
#include <frugal/core/normal.hpp>
#include <frugal/core/random_format.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/optim/momentum.hpp>
#include <functional>

#include "support/bits.hpp"

#if !defined(__x86_64__)
TEST(flush_to_zero, is_set_by_another_register_here) { GTEST_SKIP() << "the mode is set by MXCSR, which is x86-64's"; }
#else
namespace {
using namespace frugal;
using floats = std::vector<float>;
const serial_backend cpu;
constexpr float smallest = 0x1p-126f;  // normal number

// f, with subnormal results (FTZ) and operands (DAZ) taken for zero.
template <class F>
auto flushed(F const& f) {
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);
  auto result = f();
  _mm_setcsr(before);
  return result;
}
// What f gives in the two modes.
template <class F>
auto both(F const& f) {
  auto subnormal = f();
  return std::pair(std::move(subnormal), flushed(f));
}
std::vector<std::uint32_t> bits_of(floats const& x) {
  std::vector<std::uint32_t> b(x.size());
  std::memcpy(b.data(), x.data(), x.size() * 4);
  return b;
}
bool same(std::pair<floats, floats> const& p) { return bits_of(p.first) == bits_of(p.second); }

// The parameters after steps with these gradients, from 0 or x, and then the states as floats.
template <class Optimizer>
floats run(Optimizer opt, std::vector<floats> const& gradients, floats x = {}) {
  x.resize(gradients[0].size());
  for (floats const& g : gradients) opt.step(x, g);
  for (auto const& piece : save_state(opt).pieces) {
    if (piece.role != role::moment) continue;
    const std::size_t n = x.size();
    x.resize(n + std::size_t(piece.count));
    std::memcpy(x.data() + n, piece.bytes.data(), piece.bytes.size());
  }
  return x;
}
floats ordinary(index_t n, std::uint64_t direction) {
  floats x(static_cast<std::size_t>(n));
  for (index_t i = 0; i < n; ++i) x[std::size_t(i)] = normal(random_stream{3}, direction, std::uint64_t(i));
  return x;
}
constexpr momentum_config plain{.lr = 1, .momentum = 0.5};

TEST(flush_to_zero, the_mode_is_on) {
  const volatile float tiny = smallest, half = 0.5f;
  const auto [with, without] = both([&] { return floats{tiny * half}; });
  EXPECT_GT(with[0], 0);
  EXPECT_EQ(without[0], 0);
}

TEST(flush_to_zero, ordinary_steps_do_not_change) {
  std::vector<floats> g;
  for (std::uint64_t t = 0; t < 30; ++t) g.push_back(ordinary(1000, t));
  const auto check = [&](auto storage) {
    EXPECT_TRUE(same(both([&] { return run(momentum(cpu, 1000, {}, storage), g, ordinary(1000, 99)); })));
    EXPECT_TRUE(same(both([&] { return run(adamw(cpu, 1000, {}, storage), g, ordinary(1000, 99)); })));
    EXPECT_TRUE(same(both([&] { return run(lion(cpu, 1000, {}, storage), g, ordinary(1000, 99)); })));
  };
  check(full{});
  check(bf16_state{});
  check(blockwise8{.min_size = 1});
}

TEST(flush_to_zero, sums_and_random_numbers_do_not_change) {
  const floats x = ordinary(100003, 0);
  const auto [with, without] = both([&] { return std::pair(sum(cpu, x), sum_of_squares(cpu, x)); });
  EXPECT_EQ(with, without);
  EXPECT_TRUE(same(both([] { return ordinary(100003, 5); })));
  EXPECT_NO_THROW(flushed([] { return require_random_format(cpu), 0; }));
}

TEST(flush_to_zero, bf16_conversions_are_integer_operations) {
  const auto all = [] {
    std::vector<std::uint32_t> r;
    for (std::uint32_t i = 0; i < 0x10000; ++i) {
      bf16 b;
      b.bits = std::uint16_t(i);
      const float f = to_float(b);
      r.push_back(detail::bit_cast<std::uint32_t>(f));
      r.push_back(to_bf16(f).bits);
      r.push_back(to_bf16(detail::bit_cast<float>(i << 8 | 0x8000u)).bits);
    }
    return r;
  };
  const auto [with, without] = both(all);
  EXPECT_EQ(with, without);
}

// v takes (1 - beta2) g^2, which is subnormal where g is below 1.1e-19 / sqrt(1 - beta2).
TEST(flush_to_zero, small_squares_are_lost) {
  const auto after = [](float g) { return both([=] { return run(adamw(cpu, 1), {{g}}); }); };  // x, m, v
  EXPECT_TRUE(same(after(3.5e-18f)));
  const auto [with, without] = after(3.3e-18f);
  EXPECT_GT(with[2], 0);
  EXPECT_EQ(without[2], 0);
  EXPECT_EQ(with[1], without[1]);
}

TEST(flush_to_zero, moments_decay_to_zero) {
  const auto after = [](std::size_t steps) {
    std::vector<floats> g(steps, floats{0});
    g[0] = {1};
    return both([&] { return run(momentum(cpu, 1, plain), g); });  // x, m = 2^(1 - steps)
  };
  EXPECT_TRUE(same(after(127)));
  const auto [with, without] = after(128);
  EXPECT_EQ(with[1], smallest / 2);
  EXPECT_EQ(without[1], 0);
}

// Blocks of 8-bit states: step 2 begins with what was stored in step 1.
std::pair<floats, floats> two_steps_in_8_bits(float largest, float other) {
  return both([=] {
    floats g(256, other);
    g[0] = largest;
    return run(momentum(cpu, 256, plain, blockwise8{.min_size = 1}), {g, floats(256, 0.f)});
  });
}
TEST(flush_to_zero, eight_bit_states_of_small_blocks_are_lost) {
  EXPECT_TRUE(same(two_steps_in_8_bits(1e-30f, 1e-36f)));
  EXPECT_FALSE(same(two_steps_in_8_bits(2e-32f, 1.2e-38f)));
  EXPECT_TRUE(same(two_steps_in_8_bits(1e-37f, 0.9e-37f)));  // but not those near the largest, which are normal
}
TEST(flush_to_zero, eight_bit_states_of_huge_blocks_are_lost) {
  EXPECT_TRUE(same(two_steps_in_8_bits(0x1p126f, 0x1p125f)));
  const auto [with, without] = two_steps_in_8_bits(0x1p127f, 0x1p125f);
  EXPECT_NE(with[1], without[1]);
}

TEST(flush_to_zero, rates_below_the_smallest_normal_number_are_zero) {
  const auto after = [](double lr) { return both([=] { return run(lion(cpu, 1, {.lr = lr}), {{1}}); }); };
  EXPECT_TRUE(same(after(1.2e-38)));
  EXPECT_FALSE(same(after(1.1e-38)));
}

}  // namespace
#endif
