// SPDX-License-Identifier: Apache-2.0
// Parameters of 16 bits: to nearest, at random, or from a float master; trajectories of an independent script.
#include <frugal/core/rounding.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>

#include <bit>
#include <cmath>

#include "support/backends.hpp"
#include "support/golden.hpp"

namespace {
using namespace frugal_test;
using frugal::bf16, frugal::half, frugal::index_t, frugal::layout;
using frugal::nearest, frugal::stochastic, frugal::float_master;
using floats = std::vector<float>;

constexpr stochastic seven{.seed = 7};
const frugal::serial_backend cpu;

template <class P>
P narrow(float x) {
  return frugal::detail::narrow<P>(x);
}
template <class P>
std::vector<P> narrow(floats const& from) {
  std::vector<P> out;
  for (float x : from) out.push_back(narrow<P>(x));
  return out;
}
template <class P>
floats wide(std::vector<P> const& from) {
  floats out;
  for (P x : from) out.push_back(frugal::to_float(x));
  return out;
}

// ---- trajectories to the bit ----------------------------------------------------------------------------------------
template <class P, class Optimizer, class Config, class Rounding>
void follow(golden_case const& c, Rounding const& rounding) {
  static const golden_case gradients = read_golden("types.txt").at(0);
  Optimizer opt(cpu, {{"a", {10}}, {"b", {14}}}, Config{.weight_decay = c.config("weight_decay")},
                frugal::types<P, float>{}, rounding);
  std::vector<P> x;
  for (auto b : c.numbers<std::uint64_t>("x0")) x.push_back({std::uint16_t(b)});
  ASSERT_GE(c.count("x"), 20u);
  for (std::size_t t = 0, wrote = 0; t < c.count("x"); ++t) {
    for (; wrote < c.count("wrote") && c.numbers<std::uint64_t>("wrote", wrote)[0] == t + 1; ++wrote) {
      const auto w = c.numbers<std::uint64_t>("wrote", wrote);
      x[w[1]].bits = std::uint16_t(w[2]);
    }
    opt.config().lr = c.number<double>("lr", t);
    opt.step(x, gradients.numbers<float>("g", t));
    const auto want = c.numbers<std::uint64_t>("x", t);
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(want[i], x[i].bits) << "step " << t + 1 << ", x[" << i << "]";
    if (c.count("master") > 0) {  // 16 slots, then those of the second tensor
      auto master = piece<float>(frugal::save_state(opt), "master");
      master.erase(master.begin() + 10, master.begin() + 16);
      ASSERT_TRUE(same_bits(c.numbers<float>("master", t), master)) << "step " << t + 1;
    }
  }
}
template <class Optimizer, class Config>
void follow_in_double(golden_case const& c) {
  static const golden_case gradients = read_golden("types.txt").at(0);
  Optimizer opt(cpu, 24, Config{.weight_decay = c.config("weight_decay")}, frugal::types<double, float>{});
  auto x = c.numbers<double>("x0");
  for (std::size_t t = 0; t < 25; ++t) {
    opt.config().lr = c.number<double>("lr", t);
    opt.step(x, gradients.numbers<float>("g", t));
    ASSERT_TRUE(same_bits(c.numbers<double>("x", t), x)) << "step " << t + 1;
  }
}
template <template <class...> class Optimizer, class Config>
void follow_all(std::string const& rule) {
  const auto with = [&]<class P, class R>(golden_case const& c, P, R const& r) {
    using optimizer = Optimizer<frugal::serial_backend, frugal::full, frugal::all, frugal::types<P, float>, R>;
    follow<P, optimizer, Config>(c, r);
  };
  const stochastic random{.seed = 0x123456789abcdef0u};
  int followed = 0;
  for (golden_case const& c : read_golden("types.txt")) {
    SCOPED_TRACE(c.name);
    const auto is = [&](char const* name) { return c.name.starts_with(rule + "_" + name); };
    followed += is("");
    if (is("double"))
      follow_in_double<Optimizer<frugal::serial_backend, frugal::full, frugal::all, frugal::types<double, float>>,
                       Config>(c);
    else if (is("bf16_nearest")) with(c, bf16{}, nearest{});
    else if (is("bf16_stochastic")) with(c, bf16{}, random);
    else if (is("bf16_float_master")) with(c, bf16{}, float_master{});
    else if (is("half_nearest")) with(c, half{}, nearest{});
    else if (is("half_stochastic")) with(c, half{}, random);
    else if (is("half_float_master")) with(c, half{}, float_master{});
    else continue;
    --followed;
  }
  EXPECT_EQ(followed, 0);
}
TEST(rounding, trajectories_of_adamw_to_the_bit) { follow_all<frugal::adamw, frugal::adamw_config>("adamw"); }
TEST(rounding, trajectories_of_lion_to_the_bit) { follow_all<frugal::lion, frugal::lion_config>("lion"); }

// ---- the function that rounds at random -----------------------------------------------------------------------------
template <class P, class V>
std::uint16_t once(float x, std::uint32_t w) {
  alignas(64) P to[V::width];
  frugal::detail::rounded_at_random<P>(V(x), typename V::integer(std::int32_t(w))).store(to);
  for (P p : to) EXPECT_EQ(p.bits, to[0].bits);
  return to[0].bits;
}
// By the definition, in double.
template <class P>
double by_definition(float x, std::uint32_t w) {
  constexpr bool is_half = std::is_same_v<P, half>;
  constexpr int precision = is_half ? 11 : 8, least = is_half ? -14 : -126, most = is_half ? 15 : 127;
  const double size = std::abs(double(x));
  const int e = size > 0 ? std::max(std::ilogb(size), least) : least, bits = !is_half ? 16 : size < 0x1p-14 ? 20 : 13;
  const double unit = std::ldexp(1, e + 1 - precision), k = std::floor(size / unit);
  const double fraction = std::floor(std::ldexp(size / unit - k, bits));
  const double r = (fraction + double(w >> (32 - bits)) >= std::ldexp(1, bits) ? k + 1 : k) * unit;
  return std::copysign(r >= std::ldexp(1, most + 1) ? double(INFINITY) : r, double(x));
}
template <class P>
void check_rounding() {
  using one = frugal::lanes<float, 1>;
  using four = frugal::lanes<float, 4>;
  using wide = frugal::cpu_value<frugal::native_isa, float>;
  dice d(3);
  const int middle = std::is_same_v<P, half> ? 0x60 : 0;  // exponents near those of half, or all
  std::vector<float> xs{0,
                        0x1p-14f,
                        std::nextafterf(0x1p-14f, 0),
                        65504,
                        65519.9f,
                        65520,
                        std::nextafterf(65536, 0),
                        65536,
                        0x1p-24f,
                        0x1p-25f,
                        0x1p-44f,
                        0x1p-45f,
                        0x1p-149f,
                        0x1p-126f,
                        std::numeric_limits<float>::max(),
                        INFINITY};
  for (int k = 0; k < 20000; ++k) {
    const auto r = std::uint32_t(d.bits());
    const float x =
        std::bit_cast<float>((r & 0x7fffff) | std::uint32_t(middle + int(r >> 24 & (middle ? 0x2f : 0xfe))) << 23);
    xs.push_back(x);
  }
  for (float x : xs)
    for (std::uint32_t w : {0u, ~0u, std::uint32_t(d.bits())}) {
      const std::uint16_t got = once<P, one>(x, w);
      ASSERT_EQ(double(frugal::to_float(P{got})), std::isinf(x) ? x : by_definition<P>(x, w)) << x << ", " << w;
      ASSERT_EQ((once<P, one>(-x, w)), got | 0x8000) << x;
      ASSERT_EQ((once<P, four>(x, w)), got) << x;
      ASSERT_EQ((once<P, wide>(x, w)), got) << x;
    }
  for (std::uint32_t u : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xff800001u, 0xffffffffu}) {  // as nearest has them
    const float nan = std::bit_cast<float>(u);
    for (std::uint32_t w : {0u, ~0u}) {
      ASSERT_EQ((once<P, one>(nan, w)), narrow<P>(nan).bits);
      ASSERT_EQ((once<P, wide>(nan, w)), narrow<P>(nan).bits);
    }
  }
  for (std::uint32_t u = 0; u < 0x10000; ++u) {  // what the type has stays
    const float x = frugal::to_float(P{std::uint16_t(u)});
    if (!std::isnan(x)) {
      ASSERT_EQ((once<P, wide>(x, ~0u)), u);
    }
  }
}
TEST(rounding, at_random_is_as_defined) {
  check_rounding<bf16>();
  check_rounding<half>();
}
// Over all random bits, the number of those that round up is exactly the fraction.
TEST(rounding, at_random_is_exact_in_the_mean) {
  const auto up = []<class P>(P, float x, int bits, float below) {
    long n = 0;
    for (std::uint32_t r = 0; r < 1u << bits; ++r)
      n += frugal::to_float(P{once<P, frugal::lanes<float, 1>>(x, r << (32 - bits))}) != below;
    return n;
  };
  EXPECT_EQ(up(bf16{}, std::bit_cast<float>(0x3f801234u), 16, 1), 0x1234);
  EXPECT_EQ(up(bf16{}, std::bit_cast<float>(0x0000fffeu), 16, 0), 0xfffe);
  EXPECT_EQ(up(half{}, 1 + 1234 * 0x1p-23f, 13, 1), 1234);
  EXPECT_EQ(up(half{}, 0x1p-21f + 77777 * 0x1p-44f, 20, 0x1p-21f), 77777);
  EXPECT_EQ(up(half{}, 3 * 0x1p-46f, 20, 0), 0);  // what is below 2^-44 is not seen
}

// ---- steps ----------------------------------------------------------------------------------------------------------
TEST(rounding, steps_too_small_for_nearest_are_kept_in_the_mean) {
  constexpr index_t n = 20000;
  constexpr int steps = 100;
  const double step = 0x1p-12, unit = 0x1p-8;  // below 1
  const auto mean = [&](auto const& rounding) {
    frugal::lion opt(cpu, n, {.lr = step}, frugal::types<bf16>{}, rounding);
    std::vector<bf16> x(n, narrow<bf16>(1)), g(n, narrow<bf16>(1));
    for (int t = 0; t < steps; ++t) opt.step(x, g);
    double sum = 0;
    for (bf16 each : x) sum += double(frugal::to_float(each));
    return sum / n;
  };
  EXPECT_EQ(mean(nearest{}), 1);
  EXPECT_EQ(mean(float_master{}), double(frugal::to_float(narrow<bf16>(float(1 - steps * step)))));
  const double p = step / unit, deviation = unit * std::sqrt(steps * p * (1 - p) / n);
  for (std::uint64_t seed : {1, 2, 3, 4, 5})
    EXPECT_NEAR(mean(stochastic{seed}), 1 - steps * step, 5 * deviation) << seed;
  EXPECT_NE(mean(stochastic{1}), mean(stochastic{2}));
}

template <class P>
struct outcome {
  std::vector<P> x;
  frugal::snapshot state;
  friend testing::AssertionResult same_bits(outcome const& a, outcome const& b) {
    const auto same = frugal_test::same_bits(a.x, b.x);
    return same ? frugal_test::same_bits(a.state, b.state) : same;
  }
};
layout tensors() {
  return {{{"w", {300, 71}}, {"none", {0}}, {"b", {71}}, {"f", {500}, "frozen"}, {"v", {5003}}},
          {{"frozen", 1., 1., true}}};
}
floats gradient(index_t n, int t) { return numbers(n, std::uint64_t(t)); }
template <class P>
std::vector<P> start(index_t n) {
  return narrow<P>(numbers(n, 99));
}
template <class Opt, class P, class B>
void take(Opt& opt, there<P, B>& x, B const& b, int first, int last, index_t offset = 0) {
  for (int t = first; t <= last; ++t) {
    there<float, B> g(b, gradient(x.all().size(), t), offset);
    opt.step(x.all(), g.constant());
  }
}
// Four steps of Lion.
template <class P, class B, class... Policies>
outcome<P> train(B const& b, layout const& l, index_t offset, Policies const&... policies) {
  frugal::lion opt(b, l, {.lr = 1e-3, .weight_decay = 0.5}, frugal::types<P, float>{}, policies...);
  there<P, B> x(b, start<P>(l.size()), offset);
  take(opt, x, b, 1, 4, offset / 2);
  return {x.get(), frugal::save_state(opt)};
}
template <class P, class... Policies>
void check_backends(Policies const&... policies) {
  const auto expected = same_on_every_backend([&](auto const& b) { return train<P>(b, tensors(), 0, policies...); });
  for (index_t offset : {1, 4, 7}) {
    EXPECT_TRUE(same_bits(expected, train<P>(cpu, tensors(), offset, policies...))) << offset;
    EXPECT_TRUE(same_bits(expected, train<P>(frugal::emulated_backend(), tensors(), offset, policies...))) << offset;
  }
}
TEST(rounding, every_backend_and_alignment_gives_the_same_bits) {
  check_backends<bf16>(seven);
  check_backends<bf16>(float_master{});
}
TEST(rounding, with_8_bit_states_too) {
  check_backends<bf16>(seven, frugal::blockwise8{});  // large tensors only: both kinds of kernels
  check_backends<bf16>(float_master{}, frugal::blockwise8{});
}
TEST(rounding, storages_do_not_change_how_it_rounds) {
  // The sign of the first step does not depend on the storage of a zero state.
  const auto first = [](auto const&... policies) {
    frugal::lion opt(cpu, 5003, {.lr = 1e-3}, frugal::types<half, float>{}, policies...);
    auto x = start<half>(5003);
    opt.step(x, gradient(5003, 1));
    return x;
  };
  EXPECT_TRUE(same_bits(first(seven), first(seven, frugal::bf16_state{})));
  EXPECT_TRUE(same_bits(first(seven), first(seven, frugal::blockwise8{})));
  EXPECT_TRUE(same_bits(first(float_master{}), first(float_master{}, frugal::bf16_state{})));
  EXPECT_FALSE(same_bits(first(seven), first(nearest{})));
  EXPECT_FALSE(same_bits(first(seven), first(stochastic{8})));
}

// Shards, lists and masks move what they own as the whole does, and leave the rest.
template <class Rounding>
void check_supports(Rounding const& rounding) {
  const layout l = tensors();
  const auto before = start<bf16>(l.size()), whole = train<bf16>(cpu, l, 0, rounding).x;
  std::vector<index_t> at;
  frugal::mask some{std::vector<std::uint8_t>(std::size_t(l.size()))};
  for (index_t i = 0; i < l.size(); ++i)
    if (i % 7 == 3 || i % 1000 > 700) at.push_back(i), some.on[std::size_t(i)] = 1;
  const auto moved = [&](auto const& owns) {
    auto x = before;
    for (index_t i = 0; i < l.size(); ++i)
      if (owns(i)) x[std::size_t(i)] = whole[std::size_t(i)];
    return x;
  };
  const auto listed = moved([&](index_t i) { return some.on[std::size_t(i)] != 0; });
  const frugal::range shard{12346, 21402};
  const auto part = moved([&](index_t i) { return shard.begin <= i && i < shard.end; });
  EXPECT_FALSE(same_bits(before, part));
  const auto check = [&](auto const& b) {
    EXPECT_TRUE(same_bits(listed, train<bf16>(b, l, 0, rounding, frugal::indices{at}).x));
    EXPECT_TRUE(same_bits(part, train<bf16>(b, l, 0, rounding, shard).x));
  };
  check(cpu);
  check(frugal::emulated_backend());
  const auto masked = train<bf16>(cpu, l, 0, rounding, some);
  EXPECT_TRUE(same_bits(listed, masked.x));
  if (std::is_same_v<Rounding, float_master>) {
    const auto master = piece<float>(masked.state, "master");  // the first tensor's slots are its coordinates
    for (std::size_t i = 0; i < 21300; ++i) ASSERT_TRUE(some.on[i] || master[i] == 0) << i;
  }
  // A list of tensors is the flat vector.
  frugal::lion opt(cpu, l, {.lr = 1e-3, .weight_decay = 0.5}, frugal::types<bf16, float>{}, rounding);
  auto x = before;
  for (int t = 1; t <= 4; ++t) {
    auto g = gradient(l.size(), t);
    std::vector<frugal::view<bf16>> xs;
    std::vector<frugal::view<float const>> gs;
    for (auto const& each : l.tensors()) {
      xs.emplace_back(x.data() + each.offset, each.size);
      gs.emplace_back(g.data() + each.offset, each.size);
    }
    opt.step(xs, gs);
  }
  EXPECT_TRUE(same_bits(whole, x));
}
TEST(rounding, shards_and_lists_round_as_the_whole) {
  check_supports(seven);
  check_supports(float_master{});
}

// ---- states ---------------------------------------------------------------------------------------------------------
template <class... Policies>
void check_restore(Policies const&... policies) {
  const layout l = tensors();
  const auto go = [&](auto const& b) {
    auto make = [&] { return frugal::lion(b, l, {.lr = 1e-3}, frugal::types<bf16, float>{}, policies...); };
    auto opt = make(), other = make();
    there x(b, start<bf16>(l.size()));
    take(opt, x, b, 1, 3);
    const auto saved = frugal::save_state(opt);
    const auto at_save = x.get();
    take(opt, x, b, 4, 6);
    there y(b, at_save);
    frugal::restore_state(other, saved);
    take(other, y, b, 4, 6);
    EXPECT_TRUE(same_bits(x.get(), y.get()));
    EXPECT_TRUE(same_bits(frugal::save_state(opt), frugal::save_state(other)));
    // A skipped step draws nothing and changes nothing.
    other.options().skip_nonfinite = true;
    there<float, std::remove_cvref_t<decltype(b)>> bad(b, floats(std::size_t(l.size()), INFINITY));
    other.step(y.all(), bad.constant());
    EXPECT_TRUE(same_bits(x.get(), y.get()));
    other.options().skip_nonfinite = false;
    take(opt, x, b, 7, 7);
    take(other, y, b, 7, 7);
    EXPECT_TRUE(same_bits(x.get(), y.get()));
  };
  go(cpu);
  go(frugal::emulated_backend());
}
TEST(rounding, a_saved_run_goes_on) {
  check_restore(seven);
  check_restore(float_master{});
  check_restore(float_master{}, frugal::blockwise8{});
}
TEST(rounding, states) {
  const auto make = [](auto const&... policies) {
    return frugal::lion(cpu, 1000, {}, frugal::types<bf16>{}, policies...);
  };
  auto plain = make();
  auto random = make(seven);
  auto copied = make(float_master{});
  auto blocks = make(float_master{}, frugal::blockwise8{1});
  EXPECT_EQ(plain.algorithm(), "lion/full");
  EXPECT_EQ(random.algorithm(), "lion/full/stochastic");
  EXPECT_EQ(copied.algorithm(), "lion/full/float_master");
  EXPECT_EQ(blocks.algorithm(), "lion/blockwise8/float_master");
  EXPECT_EQ(plain.state_bytes(), 4000u);
  EXPECT_EQ(random.state_bytes(), 4000u);
  EXPECT_EQ(copied.state_bytes(), 8000u);
  EXPECT_EQ(blocks.state_bytes(), 1024u + 16 + 4096);
  EXPECT_EQ(piece<float>(frugal::save_state(copied), "master").size(), 1000u);
  EXPECT_EQ(piece<float>(frugal::save_state(blocks), "master.blocks").size(), 1024u);
  for (auto const& other : {frugal::save_state(plain), frugal::save_state(random)})
    EXPECT_THROW(frugal::restore_state(copied, other), frugal::invalid_argument);
}
TEST(rounding, objects_and_parameters_move) {
  auto opt =
      frugal::lion(cpu, tensors(), {.lr = 1e-3, .weight_decay = 0.5}, frugal::types<bf16, float>{}, float_master{});
  there x(cpu, start<bf16>(tensors().size()));
  take(opt, x, cpu, 1, 2);
  auto moved = std::move(opt);
  there y(cpu, x.get(), 5);  // elsewhere: states move with the parameters
  take(moved, y, cpu, 3, 4);
  EXPECT_TRUE(same_bits(train<bf16>(cpu, tensors(), 0, float_master{}).x, y.get()));
}

}  // namespace
