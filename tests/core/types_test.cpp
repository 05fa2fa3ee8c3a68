// SPDX-License-Identifier: Apache-2.0
// Parameters and gradients of other types: widened, computed in float or double, rounded once.
#include <frugal/core/types.hpp>
#include <frugal/optim/momentum.hpp>

#include "support/backends.hpp"

namespace {
using namespace frugal_test;
using frugal::bf16, frugal::index_t;

constexpr index_t n = 5003;
constexpr int steps = 5;
const frugal::momentum_config config{.lr = 0.01, .weight_decay = 0.5};

template <class T>
std::vector<T> as(std::vector<float> const& from) {
  std::vector<T> out;
  for (float x : from) {
    if constexpr (std::is_same_v<T, bf16>) out.push_back(frugal::to_bf16(x));
    else out.push_back(T(x));
  }
  return out;
}
std::vector<float> widened(std::vector<bf16> const& from) {
  std::vector<float> out;
  for (bf16 x : from) out.push_back(frugal::to_float(x));
  return out;
}
std::vector<float> coarse(std::vector<float> const& from) { return widened(as<bf16>(from)); }

template <class P>
struct outcome {
  std::vector<P> x;
  frugal::snapshot state;
  friend testing::AssertionResult same_bits(outcome const& a, outcome const& b) {
    const auto same = frugal_test::same_bits(a.x, b.x);
    return same ? frugal_test::same_bits(a.state, b.state) : same;
  }
};

// Some steps on bf16 numbers, in these types; x is rounded to bf16 after each if `round`.
template <class P, class G, class Storage, class Backend>
outcome<P> run(Backend const& b, Storage const& storage, index_t offset = 0, bool round = false) {
  there<P, Backend> x(b, as<P>(coarse(numbers(n, 99))), offset);
  there<G, Backend> g(b, std::vector<G>(std::size_t(n)), offset / 2);
  frugal::momentum opt(b, n, config, storage, frugal::types<P, G>{});
  for (std::uint64_t t = 1; t <= steps; ++t) {
    g.set(as<G>(coarse(numbers(n, t))));
    opt.step(x.all(), g.constant());
    if constexpr (std::is_same_v<P, float>)
      if (round) x.set(coarse(x.get()));
  }
  return {x.get(), frugal::save_state(opt)};
}
// The same on the serial and the emulated backend, aligned and not.
template <class P, class G, class Storage>
outcome<P> run_everywhere(Storage const& storage) {
  const auto expected = run<P, G>(frugal::serial_backend{}, storage);
  for (index_t offset : {0, 1, 4, 7}) {
    EXPECT_TRUE(same_bits(expected, run<P, G>(frugal::serial_backend{}, storage, offset))) << offset;
    EXPECT_TRUE(same_bits(expected, run<P, G>(frugal::emulated_backend{}, storage, offset))) << offset;
  }
  return expected;
}

template <class Storage>
void check_bf16(Storage const& storage) {
  const auto plain = run<float, float>(frugal::serial_backend{}, storage);
  const auto rounded = run<float, float>(frugal::serial_backend{}, storage, 0, true);
  EXPECT_FALSE(same_bits(plain.x, rounded.x));
  const auto both = run_everywhere<bf16, bf16>(storage);
  EXPECT_TRUE(same_bits(rounded.x, widened(both.x)));
  EXPECT_TRUE(same_bits(rounded.state, both.state));
}
TEST(types, bf16_parameters_are_rounded_once_a_step) {
  check_bf16(frugal::full{});
  check_bf16(frugal::blockwise8{});
}
TEST(types, bf16_gradients_are_widened) {
  const auto plain = run<float, float>(frugal::serial_backend{}, frugal::full{});
  EXPECT_TRUE(same_bits(plain, (run_everywhere<float, bf16>(frugal::full{}))));
}
TEST(types, bf16_parameters_and_float_gradients) {
  EXPECT_TRUE(same_bits(run<bf16, bf16>(frugal::serial_backend{}, frugal::full{}),
                        (run_everywhere<bf16, float>(frugal::full{}))));
}
TEST(types, double_parameters_and_float_gradients) {
  EXPECT_TRUE(same_bits(run<double, double>(frugal::serial_backend{}, frugal::full{}),
                        (run_everywhere<double, float>(frugal::full{}))));
}

TEST(types, names) {
  EXPECT_STREQ(frugal::type_name<float>(), "float");
  EXPECT_STREQ(frugal::type_name<double>(), "double");
  EXPECT_STREQ(frugal::type_name<bf16>(), "bf16");
  EXPECT_STREQ(frugal::type_name<std::uint8_t>(), "uint8");
  EXPECT_STREQ(frugal::type_name<std::int64_t>(), "int64");
  static_assert(std::is_same_v<frugal::types<bf16>::compute, float>);
  static_assert(std::is_same_v<frugal::types<float, double>::compute, float>);
  static_assert(std::is_same_v<frugal::types<double, float>::compute, double>);
}

}  // namespace
