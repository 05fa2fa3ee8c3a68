// SPDX-License-Identifier: Apache-2.0
// The rules compiled for this processor, where products and sums could be fused: every bit is what plain arithmetic
// gives.
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adam.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/optim/momentum.hpp>

#include <cmath>

#include "support/bits.hpp"
#include "support/golden.hpp"

namespace {
using namespace frugal_test;
using floats = std::vector<float>;

// The trajectories of a golden file, with full states or with 8-bit states.
template <template <class...> class Optimizer, class Storage, class Config>
void check(std::string const& file, std::string const& suffix, Config const& from) {
  const bool full = std::is_same_v<Storage, frugal::full>;
  for (golden_case const& c : read_golden(file)) {
    Storage storage;
    if constexpr (std::is_same_v<Storage, frugal::blockwise8>) storage.min_size = 1;
    Optimizer<frugal::serial_backend, Storage, frugal::all, frugal::types<>> opt(
        frugal::serial_backend{}, c.number<std::size_t>("n"), from(c), storage);
    auto x = c.numbers<float>("x0");
    ASSERT_GE(c.count("step"), 20u);
    for (std::size_t t = 0; t < c.count("step"); ++t) {
      opt.config().lr = c.number<double>("lr", t);
      opt.step(x, c.numbers<float>("g", t));
      ASSERT_TRUE(same_bits(c.numbers<float>("x" + suffix, t), x)) << file << ", " << c.name << ", step " << t + 1;
      const auto m = piece<float>(frugal::save_state(opt), full ? "m" : "m.scales");
      ASSERT_TRUE(same_bits(c.numbers<float>(full ? "m32" : "m_absmax", t), m)) << file << ", step " << t + 1;
    }
  }
}
template <template <class...> class Optimizer, class Config>
void check_both(std::string const& name, Config const& from) {
  check<Optimizer, frugal::full>(name + ".txt", "32", from);
  check<Optimizer, frugal::blockwise8>("blockwise8_" + name + ".txt", "", from);
}

frugal::moment_start start_of(golden_case const& c) {
  return c.config("first_gradient") != 0 ? frugal::moment_start::first_gradient : frugal::moment_start::zero;
}

TEST(rules, golden_trajectories) {
  check_both<frugal::momentum>("momentum", [](golden_case const& c) {
    return frugal::momentum_config{c.config("lr"), c.config("mu"), c.config("weight_decay"), c.config("nesterov") != 0};
  });
  check_both<frugal::adam>("adam", [](golden_case const& c) {
    return frugal::adam_config{c.config("lr"),  c.config("beta1"),        c.config("beta2"),
                               c.config("eps"), c.config("weight_decay"), start_of(c)};
  });
  check_both<frugal::adamw>("adamw", [](golden_case const& c) {
    return frugal::adamw_config{c.config("lr"),  c.config("beta1"),        c.config("beta2"),
                                c.config("eps"), c.config("weight_decay"), start_of(c)};
  });
  check_both<frugal::lion>("lion", [](golden_case const& c) {
    return frugal::lion_config{c.config("lr"), c.config("beta1"), c.config("beta2"), c.config("weight_decay")};
  });
}

// One operation at a time, through memory: nothing can be fused.
template <class T>
T once(T x) {
  volatile T v = x;
  return v;
}

// AdamW for 2000 steps of a falling rate, coefficients included, against the same in plain C++. In double, where
// nothing that is derived on the way is rounded again.
template <class T>
void check_long_run() {
  constexpr std::size_t n = 40;
  const frugal::adamw_config c{.lr = 0.01, .weight_decay = 0.1};
  frugal::adamw opt(frugal::serial_backend{}, n, c, frugal::types<T>{});
  std::vector<T> x = numbers<T>(n, 99), want = x, m(n), v(n);
  double power1 = 1, power2 = 1;
  for (int t = 1; t <= 2000; ++t) {
    const auto g = numbers<T>(n, std::uint64_t(t));
    const double lr = 0.01 / std::sqrt(double(t));
    opt.config().lr = lr;
    opt.step(x, g);

    power1 = once(power1 * c.beta1);
    power2 = once(power2 * c.beta2);
    const T rate = T(once(lr / once(1 - power1))), unbias = T(once(1 / once(std::sqrt(once(1 - power2)))));
    const T decayed = T(once(1 - once(lr * c.weight_decay)));
    const T b1 = T(c.beta1), o1 = T(1 - c.beta1), b2 = T(c.beta2), o2 = T(1 - c.beta2);
    for (std::size_t i = 0; i < n; ++i) {
      m[i] = once(b1 * m[i]) + once(o1 * g[i]);
      v[i] = once(b2 * v[i]) + once(o2 * once(g[i] * g[i]));
      const T root = once(unbias * once(std::sqrt(v[i])));
      const T step = once(rate * once(m[i] / once(root + T(c.epsilon))));
      want[i] = once(decayed * want[i]) - step;
    }
    ASSERT_TRUE(same_bits(want, x)) << "step " << t;
  }
  EXPECT_TRUE(same_bits(m, piece<T>(frugal::save_state(opt), "m")));
  EXPECT_TRUE(same_bits(v, piece<T>(frugal::save_state(opt), "v")));
  EXPECT_TRUE(same_bits(std::vector<double>{power1, power2}, piece<double>(frugal::save_state(opt), "clock")));
}
TEST(rules, a_long_run_is_plain_arithmetic) {
  check_long_run<float>();
  check_long_run<double>();
}

}  // namespace
