// SPDX-License-Identifier: Apache-2.0
// Parameters and gradients of other types: widened, computed in float or double, rounded once.
#include <frugal/core/types.hpp>
#include <frugal/optim/momentum.hpp>

#include "support/backends.hpp"

namespace {
using namespace frugal_test;
using frugal::bf16, frugal::half, frugal::index_t;

constexpr index_t n = 5003;
constexpr int steps = 5;
const frugal::momentum_config config{.lr = 0.01, .weight_decay = 0.5};

template <class T>
std::vector<T> as(std::vector<float> const& from) {
  std::vector<T> out;
  for (float x : from) {
    if constexpr (std::is_same_v<T, bf16>) out.push_back(frugal::to_bf16(x));
    else if constexpr (std::is_same_v<T, half>) out.push_back(frugal::to_half(x));
    else out.push_back(T(x));
  }
  return out;
}
template <class T>
std::vector<float> widened(std::vector<T> const& from) {
  std::vector<float> out;
  for (T x : from) {
    if constexpr (sizeof(T) == 2) out.push_back(frugal::to_float(x));
    else out.push_back(float(x));
  }
  return out;
}
template <class T>
std::vector<float> coarse(std::vector<float> const& from) {
  return widened(as<T>(from));
}
// Numbers that every type has.
std::vector<float> plain_numbers(std::uint64_t seed) { return coarse<half>(coarse<bf16>(numbers(n, seed))); }

template <class P>
struct outcome {
  std::vector<P> x;
  frugal::snapshot state;
  friend testing::AssertionResult same_bits(outcome const& a, outcome const& b) {
    const auto same = frugal_test::same_bits(a.x, b.x);
    return same ? frugal_test::same_bits(a.state, b.state) : same;
  }
};

// Some steps on plain numbers, in these types; x is rounded to Round after each.
template <class P, class G, class Round = P, class Storage, class Backend>
outcome<P> run(Backend const& b, Storage const& storage, index_t offset = 0) {
  there<P, Backend> x(b, as<P>(plain_numbers(99)), offset);
  there<G, Backend> g(b, std::vector<G>(std::size_t(n)), offset / 2);
  frugal::momentum opt(b, n, config, storage, frugal::types<P, G>{});
  opt.options().clip_norm = 30;  // a small part of the norm: it counts in every step
  for (std::uint64_t t = 1; t <= steps; ++t) {
    g.set(as<G>(plain_numbers(t)));
    opt.step(x.all(), g.constant());
    if constexpr (!std::is_same_v<P, Round>) x.set(coarse<Round>(x.get()));
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

template <class P, class Storage>
void check_narrow(Storage const& storage) {
  const auto plain = run<float, float>(frugal::serial_backend{}, storage);
  const auto rounded = run<float, float, P>(frugal::serial_backend{}, storage);
  EXPECT_FALSE(same_bits(plain.x, rounded.x));
  const auto both = run_everywhere<P, P>(storage);
  EXPECT_TRUE(same_bits(rounded.x, widened(both.x)));
  EXPECT_TRUE(same_bits(rounded.state, both.state));
}
TEST(types, bf16_parameters_are_rounded_once_a_step) {
  check_narrow<bf16>(frugal::full{});
  check_narrow<bf16>(frugal::blockwise8{});
}
TEST(types, half_parameters_are_rounded_once_a_step) { check_narrow<half>(frugal::full{}); }
// Gradients are widened: of any type, they do the same.
template <class P, class... G>
void check_gradients() {
  const auto expected = run<P, float>(frugal::serial_backend{}, frugal::full{});
  const auto check = [&]<class Each>(Each) {
    EXPECT_TRUE(same_bits(expected, run<P, Each>(frugal::serial_backend{}, frugal::full{}, 3)))
        << frugal::type_name<P>() << " " << frugal::type_name<Each>();
  };
  (check(G{}), ...);
}
TEST(types, gradients_are_widened) {
  check_gradients<float, float, double, bf16, half>();
  check_gradients<double, double, bf16, half>();
  check_gradients<bf16, double, bf16, half>();
  check_gradients<half, double, bf16>();
  const auto plain = run<float, float>(frugal::serial_backend{}, frugal::full{});
  EXPECT_TRUE(same_bits(plain, (run_everywhere<float, bf16>(frugal::full{}))));
  EXPECT_TRUE(same_bits(plain, (run_everywhere<float, half>(frugal::full{}))));
}

TEST(types, names) {
  EXPECT_STREQ(frugal::type_name<float>(), "float");
  EXPECT_STREQ(frugal::type_name<double>(), "double");
  EXPECT_STREQ(frugal::type_name<bf16>(), "bf16");
  EXPECT_STREQ(frugal::type_name<half>(), "half");
  EXPECT_STREQ(frugal::type_name<std::uint8_t>(), "uint8");
  EXPECT_STREQ(frugal::type_name<std::int64_t>(), "int64");
  static_assert(std::is_same_v<frugal::types<bf16>::compute, float>);
  static_assert(std::is_same_v<frugal::types<half, double>::compute, float>);
  static_assert(std::is_same_v<frugal::types<float, double>::compute, float>);
  static_assert(std::is_same_v<frugal::types<double, float>::compute, double>);
}

}  // namespace
