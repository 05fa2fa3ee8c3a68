// SPDX-License-Identifier: Apache-2.0
// 8-bit states in blocks of 2048, and which tensors keep full states. What 8-bit states are is tested in
// dynamic_code_test.cpp, and in blocks of 256 with every optimizer.
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lamb.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/optim/schedule_free_adamw.hpp>

#include "support/backends.hpp"
#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t, frugal::layout, frugal::blockwise8, frugal::blockwise8_2048;
using floats = std::vector<float>;
const frugal::serial_backend cpu;

// tbb has the loops of the serial backend: one rule is tried there, too.
template <class F>
auto same_on_cpu_and_device(F const& run) {
  const auto expected = run(cpu);
  for (auto const& s : {frugal::emulated_stream{.seed = 1, .lanes = 5}, {.seed = 3, .lanes = 64}})
    EXPECT_TRUE(same_bits(expected, run(frugal::emulated_backend(s)))) << s.lanes << " lanes";
  return expected;
}

struct outcome {
  floats x;
  frugal::snapshot state;
  friend testing::AssertionResult same_bits(outcome const& a, outcome const& b) {
    const auto x = frugal_test::same_bits(a.x, b.x);
    return x ? frugal_test::same_bits(a.state, b.state) : x;
  }
};
// Steps of an optimizer with gradients that depend on where it is.
template <class Optimizer>
outcome train(Optimizer opt, int steps = 3, frugal::snapshot const* from = nullptr, floats x = {}, int first = 1) {
  using B = std::remove_cvref_t<decltype(opt.backend())>;
  const B b = opt.backend();
  const index_t n = opt.layout().size();
  if (x.empty()) x = numbers(n, 99);
  if (from) frugal::restore_state(opt, *from);
  for (int t = first; t < first + steps; ++t) {
    const there<float, B> at(b, x), g(b, numbers(n, std::uint64_t(t)));
    opt.step(at.all(), g.constant());
    x = at.get();
  }
  return {x, frugal::save_state(opt)};
}

// ---- blocks of 2048
float u(index_t i, int t) {
  const auto h = std::uint32_t(std::uint64_t(i + 5000 * t) * 2654435761u) >> 8;
  return float(std::int32_t(h) - (1 << 23)) * 0x1p-23f;
}
template <class Make>
void check_golden(golden_case const& c, std::vector<std::string> const& states, Make const& make) {
  ASSERT_EQ(c.count("x"), 25u);
  same_on_cpu_and_device([&](auto const& b) {
    constexpr index_t n = 5000;
    auto opt = make(b);
    floats x(n), g(n);
    for (index_t i = 0; i < n; ++i) x[std::size_t(i)] = u(i, 0);
    double rate = 0.01;
    for (int t = 1; t <= 25; ++t, rate *= 0.9) {
      for (index_t i = 0; i < n; ++i) g[std::size_t(i)] = (x[std::size_t(i)] + u(i, t)) * (1.f / float(1 << i % 8));
      opt.config().lr = rate;
      const there<float, std::remove_cvref_t<decltype(b)>> at(b, x), gradient(b, g);
      opt.step(at.all(), gradient.constant());
      x = at.get();
      std::uint64_t h = 0xcbf29ce484222325;
      for (float f : x)
        for (int k = 0; k < 32; k += 8)
          h = (h ^ (frugal::detail::bit_cast<std::uint32_t>(f) >> k & 255)) * 0x100000001b3;
      char digest[17];
      std::snprintf(digest, sizeof digest, "%016llx", static_cast<unsigned long long>(h));
      EXPECT_EQ(c.words("x", std::size_t(t - 1)).at(0), digest) << "step " << t;
      const auto saved = frugal::save_state(opt);
      for (std::string const& s : states) {
        EXPECT_TRUE(same_bits(c.numbers<float>(s + "_scales", std::size_t(t - 1)), piece<float>(saved, s + ".scales")));
        if (t < 25) continue;
        auto codes = c.codes(s + "_codes");
        codes.resize(3 * 2048, s == "v" ? 0 : 127);  // zeros fill the last block
        EXPECT_TRUE(same_bits(codes, piece<std::uint8_t>(saved, s + ".codes"))) << s;
      }
    }
    return x;
  });
}
TEST(blocks_of_2048, golden_trajectories) {
  const auto cases = read_golden("blockwise8_2048.txt");
  ASSERT_EQ(cases.size(), 2u);
  check_golden(cases[0], {"m", "v"},
               [](auto const& b) { return frugal::adamw(b, 5000, {.weight_decay = 0.1}, blockwise8_2048{}); });
  check_golden(cases[1], {"m"},
               [](auto const& b) { return frugal::lion(b, 5000, {.weight_decay = 0.1}, blockwise8_2048{}); });
}

TEST(blocks_of_2048, every_backend_and_size) {
  for (index_t n : {0, 1, 255, 257, 2047, 2048, 2049, 4097, 16384 + 2049, 40003})
    same_on_every_backend(
        [&](auto const& b) { return train(frugal::lion(b, n, {.lr = 0.01}, blockwise8_2048{.min_size = 1})); });
}

// What is quantised enters with the second step; the first is that of full states, whatever a rule measures or draws.
TEST(blocks_of_2048, the_first_step_is_that_of_full_states) {
  const layout l{{"w", {300, 70}}, {"b", {70}}, {"v", {5000}}};
  EXPECT_TRUE(
      same_bits(train(frugal::adamw(cpu, l, {}), 1).x, train(frugal::adamw(cpu, l, {}, blockwise8_2048{}), 1).x));
  EXPECT_FALSE(
      same_bits(train(frugal::adamw(cpu, l, {}), 2).x, train(frugal::adamw(cpu, l, {}, blockwise8_2048{}), 2).x));
  const outcome lamb =
      same_on_cpu_and_device([&](auto const& b) { return train(frugal::lamb(b, l, {}, blockwise8_2048{}), 1); });
  EXPECT_TRUE(same_bits(train(frugal::lamb(cpu, l, {}), 1).x, lamb.x));
  same_on_cpu_and_device([&](auto const& b) { return train(frugal::lamb(b, l, {}, blockwise8_2048{}), 3); });

  const auto narrow = [&](auto const& b, int steps, auto storage) {
    using B = std::remove_cvref_t<decltype(b)>;
    std::vector<frugal::bf16> x(std::size_t(l.size()));
    const there<frugal::bf16, B> at(b, x);
    frugal::lion opt(b, l, {.lr = 0.01}, frugal::types<frugal::bf16, float>{}, frugal::stochastic{.seed = 3}, storage);
    for (int t = 1; t <= steps; ++t) {
      const there<float, B> g(b, numbers(l.size(), std::uint64_t(t)));
      opt.step(at.all(), g.constant());
    }
    return at.get();
  };
  EXPECT_TRUE(same_bits(narrow(cpu, 1, frugal::full{}), narrow(cpu, 1, blockwise8_2048{})));
  same_on_cpu_and_device([&](auto const& b) { return narrow(b, 3, blockwise8_2048{}); });
}

TEST(blocks_of_2048, one_scale_a_block) {
  const frugal::adamw opt(cpu, 5000, {}, blockwise8_2048{});
  const frugal::adamw small(cpu, 5000, {}, blockwise8{});
  EXPECT_EQ(opt.state_bytes(), std::size_t(2 * (3 * 2048 + 3 * 4)));
  EXPECT_EQ(small.state_bytes(), std::size_t(2 * (20 * 256 + 20 * 4)));
  // An outlier coarsens its block, and no other.
  const auto codes = [](index_t at) {
    frugal::lion lion(cpu, 3 * 2048, {.beta2 = 0}, blockwise8_2048{});
    floats x(3 * 2048), g = numbers(3 * 2048, 1);
    if (at >= 0) g[std::size_t(at)] = 1e6f;
    lion.step(x, g);
    return piece<std::uint8_t>(frugal::save_state(lion), "m.codes");
  };
  const auto before = codes(-1), after = codes(2048 + 2047);
  int changed = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    ASSERT_TRUE(i / 2048 == 1 || before[i] == after[i]) << i;
    changed += before[i] != after[i];
  }
  EXPECT_GT(changed, 1500);
}

TEST(blocks_of_2048, the_average_of_schedule_free) {
  const auto average = [](auto storage) {
    constexpr index_t n = 5000;
    frugal::schedule_free_adamw opt(cpu, n, {.lr = 0.01}, storage);
    floats y = numbers(n, 9), x(n);
    for (int t = 1; t <= 3; ++t) opt.step(y, numbers(n, std::uint64_t(t)));
    opt.average(y, x);
    return x;
  };
  const floats got = average(blockwise8_2048{}), full = average(frugal::full{});
  EXPECT_FALSE(same_bits(got, full));
  for (std::size_t i = 0; i < full.size(); ++i) ASSERT_NEAR(got[i], full[i], 0.02) << i;
}

TEST(blocks_of_2048, states_come_back_and_belong_to_their_blocks) {
  const layout l{{"w", {90, 70}}, {"b", {70}}};
  const auto made = [&] { return frugal::adamw(cpu, l, {}, blockwise8_2048{}); };
  const outcome three = train(made()), five = train(made(), 5);
  EXPECT_TRUE(same_bits(five, train(made(), 2, &three.state, three.x, 4)));

  EXPECT_EQ(three.state.algorithm, "adamw/blockwise8_2048");
  frugal::adamw other(cpu, l, {}, blockwise8{});
  const auto untouched = frugal::save_state(other);
  EXPECT_TRUE(refused([&] { frugal::restore_state(other, three.state); }, "a saved state's algorithm and storage",
                      "adamw/blockwise8", "adamw/blockwise8_2048"));
  EXPECT_TRUE(same_bits(untouched, frugal::save_state(other)));
  auto opt = made();
  EXPECT_TRUE(refused([&] { frugal::restore_state(opt, untouched); }, "a saved state's algorithm and storage",
                      "adamw/blockwise8_2048", "adamw/blockwise8"));
}

// ---- who keeps full states
layout with_embedding(bool full_states) {
  return {{{"embedding", {100, 60}, "embedding"}, {"w", {90, 70}}, {"b", {70}}, {"v", {4095}}},
          {{.name = "embedding", .lr = 0.5, .full_states = full_states}}};
}
floats part(floats const& v, index_t from, index_t to) { return {v.begin() + from, v.begin() + to}; }

TEST(full_states, of_small_tensors_and_of_groups) {
  const outcome mixed = train(frugal::adamw(cpu, with_embedding(true), {}, blockwise8{})),
                coded = train(frugal::adamw(cpu, with_embedding(false), {}, blockwise8{})),
                full = train(frugal::adamw(cpu, with_embedding(true), {}));
  constexpr index_t e = 6000, w = e + 6300, n = w + 70 + 4095;
  EXPECT_TRUE(same_bits(part(full.x, 0, e), part(mixed.x, 0, e)));
  EXPECT_FALSE(same_bits(part(full.x, 0, e), part(coded.x, 0, e)));
  EXPECT_TRUE(same_bits(part(coded.x, e, n), part(mixed.x, e, n)));
  EXPECT_FALSE(same_bits(part(full.x, e, w), part(mixed.x, e, w)));
  EXPECT_TRUE(same_bits(part(full.x, w, n), part(mixed.x, w, n)));
  // Codes of w alone; floats of the others, which begin at multiples of 16.
  EXPECT_EQ(piece<std::uint8_t>(mixed.state, "v.codes").size(), 25 * 256u);
  EXPECT_EQ(piece<float>(mixed.state, "v").size(), 6000 + 80 + 4095u);
  EXPECT_EQ(piece<std::uint8_t>(coded.state, "v.codes").size(), (24 + 25) * 256u);
}
TEST(full_states, are_settled_at_construction) {
  frugal::adamw opt(cpu, with_embedding(true), {}, blockwise8{});
  const auto before = frugal::save_state(opt);
  EXPECT_TRUE(refused([&] { opt.set_group({.name = "embedding", .lr = 0.1}); }, "the states of group 'embedding'",
                      "stored as constructed", "a change"));
  opt.set_group({.name = "embedding", .lr = 0.1, .full_states = true});
  const outcome other = train(frugal::adamw(cpu, with_embedding(false), {}, blockwise8{}));
  EXPECT_TRUE(refused([&] { frugal::restore_state(opt, other.state); }, "a saved state's layout",
                      "the tensors and support of this object", "others (hash "));
  EXPECT_TRUE(same_bits(before, frugal::save_state(opt)));
}

}  // namespace
