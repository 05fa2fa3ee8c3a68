// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adamr.hpp>

#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>

#include "adamr_on_device.hpp"
#include "support/experiments.hpp"
#include "support/optimizer_suite.hpp"

namespace {
using namespace frugal_test;

struct adamr {
  template <class B, class S, class P, class T>
  using optimizer = frugal::adamr<B, S, P, T>;
  using config = frugal::adamr_config;
  static constexpr char const* name = "adamr";
  static constexpr bool nan_reaches_x = true;
  static constexpr reach moves = reach::the_model;
  static constexpr bool anchored = true;
  static std::vector<std::string> states() { return {"m", "v"}; }
  static config from(golden_case const& c) {
    return {c.config("lr"),           c.config("beta1"),   c.config("beta2"),     c.config("eps"),
            c.config("weight_decay"), c.config("l1") != 0, c.config("clamp") != 0};
  }
  static config usual() { return {.lr = 0.01, .weight_decay = 0.5}; }
};
struct amsgrad {
  template <class B, class S, class P, class T>
  using optimizer = frugal::adamr_amsgrad<B, S, P, T>;
  using config = frugal::adamr_config;
};
// In 8 bits, or, of the same type, all tensors being small, in full.
std::unique_ptr<driver<float>> make_amsgrad(machine const& m, frugal::layout const& l, std::vector<float> const& x0,
                                            frugal::adamr_config const& c, bool in_8_bits) {
  return make_with<amsgrad>(m, l, x0, c, frugal::blockwise8{.min_size = in_8_bits ? 1 : 1 << 30}, frugal::all{});
}

TEST(adamr, defaults) {
  const frugal::adamr_config c;
  EXPECT_EQ(c.lr, 1e-3);
  EXPECT_EQ(c.beta1, 0.9);
  EXPECT_EQ(c.beta2, 0.999);
  EXPECT_EQ(c.epsilon, 1e-8);
  EXPECT_EQ(c.weight_decay, 1e-4);
  EXPECT_EQ(c.l1, false);
  EXPECT_EQ(c.clamp, false);
}

using frugal::serial_backend;
const frugal::types<double> doubles{};

TEST(adamr, worked_number) {
  frugal::adamr opt(serial_backend{}, frugal::layout{{"a", {2}}, {"b", {1}}}, {.lr = 0.1, .weight_decay = 0.2},
                    doubles);
  std::vector<double> x{1, 2, 3};
  opt.anchor(std::vector<double>{0.5, 2.5, 2});
  opt.step(x, std::vector<double>{0.3, -0.4, 1.2});
  EXPECT_NEAR(x[0], 0.8866765356, 5e-11);
  EXPECT_NEAR(x[1], 2.1133234653, 5e-11);
  EXPECT_NEAR(x[2], 2.8733530653, 5e-11);
}

TEST(adamr, without_decay_it_is_adam) {
  int checked = 0;
  for (golden_case const& c : read_golden("adam.txt")) {
    if (c.config("weight_decay") != 0) continue;
    ++checked;
    const auto d = make<adamr>(serial(), c.number<int>("n"), c.numbers<float>("x0"),
                               {c.config("lr"), c.config("beta1"), c.config("beta2"), c.config("eps"), 0});
    for (std::size_t t = 0; t < c.count("step"); ++t) {
      d->lr() = c.number<double>("lr", t);
      d->step(c.numbers<float>("g", t));
      ASSERT_TRUE(same_bits(c.numbers<float>("x32", t), d->x())) << c.name << ", step " << t + 1;
    }
  }
  EXPECT_GE(checked, 2);
}

// A NaN makes s one, which is nothing to a group that does not decay.
TEST(adamr, without_decay_a_nan_stays_where_it_is) {
  const frugal::layout l{{{"a", {3}}, {"b", {2}, "free"}}, {{.name = "free", .weight_decay = 0}}};
  const auto step = [&](double first, double decay) {
    frugal::adamr opt(serial_backend{}, l, {.lr = 0.1, .weight_decay = decay}, doubles);
    std::vector<double> x{1, 2, 3, 4, 5};
    opt.anchor(std::vector<double>(5));
    opt.step(x, std::vector<double>{first, 1, -1, 2, 0});
    return x;
  };
  for (double decay : {0., 0.5}) {
    const auto lost = step(NAN, decay), twin = step(0, decay);
    for (std::size_t i = 1; i < 5; ++i) {
      if (decay == 0 || i >= 3) EXPECT_EQ(lost[i], twin[i]) << i;
      else EXPECT_TRUE(std::isnan(lost[i])) << i;
    }
  }
}

// Without gradients s is 1, and what is left is the pull.
TEST(adamr, without_gradients_the_distance_shrinks) {
  for (bool l1 : {false, true}) {
    frugal::adamr opt(serial_backend{}, 2, {.lr = 0.5, .weight_decay = 0.25, .l1 = l1}, doubles);
    std::vector<double> x{3, -4}, zero(2);
    opt.anchor(std::vector<double>{1, 1});
    for (int t = 1; t <= 3; ++t) opt.step(x, zero);
    EXPECT_DOUBLE_EQ(x[0], l1 ? 3 - 0.375 : 1 + 2 * std::pow(0.875, 3));
    EXPECT_DOUBLE_EQ(x[1], l1 ? -4 + 0.375 : 1 - 5 * std::pow(0.875, 3));
  }
}

// s is of the model: x and the anchor moved alike, or another cut into tensors, change nothing.
TEST(adamr, shifts_and_cuts) {
  const frugal::layout l(1000), cut{{"a", {300}}, {"b", {200, 3}}, {"c", {100}}};
  const auto run = [&](frugal::layout const& layout, double shift) {
    auto x = numbers<double>(1000, 99);
    for (double& v : x) v += shift;
    const auto d = make<adamr, double>(serial(), layout, x, {.lr = 0.01, .weight_decay = 3});
    for (std::uint64_t t = 1; t <= 5; ++t) d->step(numbers<double>(1000, t));
    return d->x();
  };
  const auto plain = run(l, 0), moved = run(l, 4), pieces = run(cut, 0);
  for (std::size_t i = 0; i < 1000; ++i) {
    ASSERT_NEAR(plain[i] + 4, moved[i], 1e-13);
    ASSERT_NEAR(plain[i], pieces[i], 1e-14);
  }
}

TEST(adamr, a_device_gives_the_bits_of_serial) {  // which are these
  EXPECT_EQ(trained_adamr(serial_backend{}), adamr_digest);
  EXPECT_EQ(trained_amsgrad(serial_backend{}), amsgrad_digest);
}

// The anchor is where the parameters were at the first step, or what was given; it is a part of the state.
TEST(adamr, the_anchor) {
  const frugal::layout l{{"a", {40, 10}}, {"b", {5000}}};
  const auto on = [&](auto cpu) {
    const auto run = [&](bool given, bool list, bool resumed) {
      frugal::adamr opt(cpu, l, {.lr = 0.01, .weight_decay = 100}, frugal::blockwise8{});
      there<float, decltype(cpu)> x(cpu, start_of(l)), g(cpu, start_of(l));
      const auto constant = x.constant();
      if (given && !list) opt.anchor(constant);
      using view = decltype(x.constant());
      if (list) opt.anchor(std::vector<view>{view(constant.data(), 400), view(constant.data() + 400, 5000)});
      if (given) x.set(numbers(l.size(), 98));
      for (int t = 1; t <= 2; ++t) {
        g.set(gradient_of(l, t));
        opt.step(x.all(), g.constant());
      }
      if (resumed) {
        frugal::adamr again(cpu, l, {.lr = 0.01, .weight_decay = 100}, frugal::blockwise8{});
        frugal::restore_state(again, frugal::save_state(opt));
        again.step(x.all(), g.constant());
      } else {
        opt.step(x.all(), g.constant());
      }
      return x.get();
    };
    const auto plain = run(false, false, false), given = run(true, false, false);
    EXPECT_TRUE(same_bits(plain, run(false, false, true)));
    EXPECT_TRUE(same_bits(given, run(true, false, true)));
    EXPECT_TRUE(same_bits(given, run(true, true, false)));
    EXPECT_FALSE(same_bits(plain, given));
    return given;
  };
  const auto host = on(serial_backend{});
  EXPECT_TRUE(same_bits(host, on(frugal::emulated_backend({.seed = 1, .lanes = 5}))));
}

// A fresh state that is restored asks for the anchor again.
TEST(adamr, a_fresh_state_has_no_anchor) {
  frugal::adamr opt(serial_backend{}, 300, {.lr = 0.01, .weight_decay = 100}),
      other(serial_backend{}, 300, {.lr = 0.01, .weight_decay = 100});
  const auto fresh = frugal::save_state(opt);
  auto x = start_of(300), y = numbers(300, 5);
  opt.step(y, gradient_of(300, 1));
  frugal::restore_state(opt, fresh);
  y = x;
  for (int t = 1; t <= 3; ++t) {
    opt.step(y, gradient_of(300, t));
    other.step(x, gradient_of(300, t));
  }
  EXPECT_TRUE(same_bits(x, y));
}

TEST(adamr, a_wrong_anchor_is_refused) {
  frugal::adamr opt(serial_backend{}, 300);
  EXPECT_THROW(opt.anchor(std::vector<float>(299)), frugal::invalid_argument);
  EXPECT_THROW(opt.anchor(frugal::view<float const>(nullptr, 300)), frugal::invalid_argument);
  auto x = start_of(300), y = x;
  opt.step(x, gradient_of(300, 1));
  frugal::adamr(serial_backend{}, 300).step(y, gradient_of(300, 1));
  EXPECT_TRUE(same_bits(x, y));
}

// Only what is owned counts: it moves as it would alone.
TEST(adamr, s_is_of_what_is_owned) {
  std::vector<std::uint8_t> on(5000);
  for (std::size_t i = 0; i < on.size(); i += 3) on[i] = 1;
  const auto owned = [&](std::vector<double> const& v) {
    std::vector<double> out;
    for (std::size_t i = 0; i < on.size(); ++i)
      if (on[i]) out.push_back(v[i]);
    return out;
  };
  const frugal::adamr_config c{.lr = 0.01, .weight_decay = 10};
  auto x = numbers<double>(5000, 99), alone = owned(x);
  frugal::adamr masked(serial_backend{}, 5000, c, doubles, frugal::mask{on});
  frugal::adamr all(serial_backend{}, frugal::index_t(alone.size()), c, doubles);
  for (std::uint64_t t = 1; t <= 3; ++t) {
    masked.step(x, numbers<double>(5000, t));
    all.step(alone, owned(numbers<double>(5000, t)));
  }
  const auto moved = owned(x);
  for (std::size_t i = 0; i < moved.size(); ++i) ASSERT_NEAR(moved[i], alone[i], 1e-14);
}

// The stronger the pull, the closer x stays to its anchor.
TEST(adamr, the_distance_falls_with_the_pull) {
  double last = 1e9;
  for (double decay : {0., 0.01, 0.1, 1., 10.}) {
    const auto d = make<adamr, double>(serial(), 5, {1, -2, 3, 0.5, -0.1}, {.lr = 0.02, .weight_decay = decay});
    const auto start = d->x();
    on_quadratic(d, {0.1, 1, 3, 10, 100}, 300, [](int) {});
    double distance = 0;
    for (std::size_t i = 0; i < 5; ++i) distance += std::pow(d->x()[i] - start[i], 2);
    EXPECT_LT(distance, last) << decay;
    last = distance;
  }
}

// ---- AMSGrad --------------------------------------------------------------------------------------------------------
TEST(adamr_amsgrad, worked_number) {
  const auto d =
      make_amsgrad(serial(), 1, {1}, {.lr = 0.1, .beta1 = 0, .beta2 = 0.5, .epsilon = 0, .weight_decay = 0}, false);
  d->step({1});
  EXPECT_NEAR(d->x()[0], 0.9, 1e-7);
  d->step({0.5f});  // v = 3/8, its maximum 1/2, which is divided by 3/4
  EXPECT_NEAR(d->x()[0], 0.8387627564, 1e-7);
  EXPECT_EQ(piece<float>(d->save(), "v"), std::vector<float>{0.375f});
  EXPECT_EQ(piece<float>(d->save(), "max_v"), std::vector<float>{0.5f});
}

TEST(adamr_amsgrad, trajectories_to_the_bit) {
  for (golden_case const& c : read_golden("adamr_amsgrad.txt")) {
    ASSERT_GE(c.count("step"), 20u);
    for (machine const& m : machines()) {
      SCOPED_TRACE(c.name + ", " + m.name);
      const auto d = make_amsgrad(m, c.number<int>("n"), c.numbers<float>("x0"), adamr::from(c), false);
      for (std::size_t t = 0; t < c.count("step"); ++t) {
        d->lr() = c.number<double>("lr", t);
        d->step(c.numbers<float>("g", t));
        ASSERT_TRUE(same_bits(c.numbers<float>("x32", t), d->x())) << "step " << t + 1;
        if (t > 0 && m.name == serial().name) {
          EXPECT_EQ(d->allocated(), 0);
        }
        const auto saved = d->save();
        for (std::string const s : {"m", "v", "max_v"})
          ASSERT_TRUE(same_bits(c.numbers<float>(s + "32", t), piece<float>(saved, s))) << s << ", step " << t + 1;
      }
    }
  }
}

TEST(adamr_amsgrad, trajectories_with_8_bit_states_to_the_bit) {
  const golden_case c = read_golden("blockwise8_adamr_amsgrad.txt").at(0);
  const auto n = c.number<std::size_t>("n");
  ASSERT_GE(c.count("step"), 20u);
  for (machine const& m : machines()) {
    SCOPED_TRACE(m.name);
    const auto d = make_amsgrad(m, n, c.numbers<float>("x0"), adamr::from(c), true);
    for (std::size_t t = 0; t < c.count("step"); ++t) {
      SCOPED_TRACE(t + 1);
      d->step(c.numbers<float>("g", t));
      ASSERT_TRUE(same_bits(c.numbers<float>("x", t), d->x()));
      const auto saved = d->save();
      for (std::string const s : {"m", "v", "max_v"}) {
        auto codes = c.codes(s + "_codes", t);
        codes.resize((n + 255) / 256 * 256, s == "m" ? 127 : 0);  // zeros fill the last block
        ASSERT_TRUE(same_bits(codes, piece<std::uint8_t>(saved, s + ".codes"))) << s;
        ASSERT_TRUE(same_bits(c.numbers<float>(s + "_absmax", t), piece<float>(saved, s + ".scales"))) << s;
      }
    }
  }
}

// Every backend, from a state of the serial one.
TEST(adamr_amsgrad, a_saved_state_continues_anywhere) {
  for (bool in_8_bits : {false, true})
    for (int n : {0, 1, 256, 257, 4097, 20011}) {
      const auto whole = make_amsgrad(serial(), n, start_of(n), adamr::usual(), in_8_bits);
      EXPECT_EQ(whole->state_bytes(), std::size_t(in_8_bits ? 3 * 260 + 4 * 256 : 0) * std::size_t((n + 255) / 256) +
                                          std::size_t(in_8_bits ? 0 : 16 * n));
      take_steps(*whole, n, 1, 2);
      const outcome middle = outcome_of(*whole);
      take_steps(*whole, n, 3, 4);
      const outcome expected = outcome_of(*whole);
      for (machine const& m : machines()) {
        SCOPED_TRACE(m.name + ", " + std::to_string(n));
        const auto d = make_amsgrad(m, n, start_of(n), adamr::usual(), in_8_bits);
        take_steps(*d, n, 7, 7);  // is forgotten
        d->set_x(middle.x);
        d->restore(middle.state);
        EXPECT_TRUE(same_bits(middle.state, d->save()));
        take_steps(*d, n, 3, 4);
        EXPECT_TRUE(same_bits(expected, outcome_of(*d)));
      }
    }
}

// While v rises it is its own maximum; without gradients it falls, and the maximum stays, in 8 bits too.
TEST(adamr_amsgrad, the_maximum) {
  const frugal::layout l(5000);
  for (bool in_8_bits : {false, true}) {
    const auto d = make_amsgrad(serial(), l, start_of(l), adamr::usual(), in_8_bits);
    const auto plain = make_with<adamr>(serial(), l, start_of(l), adamr::usual(),
                                        frugal::blockwise8{.min_size = in_8_bits ? 1 : 1 << 30}, frugal::all{});
    for (int t = 1; t <= 4; ++t) {
      auto g = gradient_of(l, 1);
      for (float& x : g) x *= float(t);
      d->step(g);
      plain->step(g);
    }
    EXPECT_TRUE(same_bits(plain->x(), d->x()));
    const auto top = d->save();
    for (int t = 1; t <= 10; ++t) d->step(std::vector<float>(5000));
    const auto now = d->save();
    for (std::string const s : {"", ".codes", ".scales"}) {
      if (in_8_bits == s.empty()) continue;
      const auto bytes = [&](frugal::snapshot const& from, std::string const& name) {
        for (auto const& p : from.pieces)
          if (p.name == name + s) return p.bytes;
        throw std::runtime_error("no " + name);
      };
      EXPECT_TRUE(bytes(top, "v") == bytes(top, "max_v"));
      EXPECT_TRUE(bytes(top, "max_v") == bytes(now, "max_v"));
      if (s != ".codes") {
        EXPECT_FALSE(bytes(now, "v") == bytes(now, "max_v"));
      }
    }
  }
}

TEST(adamr_amsgrad, takes_no_state_without_the_maximum) {
  const auto d = make_amsgrad(serial(), 300, start_of(300), adamr::usual(), true);
  const auto plain = make<adamr>(serial(), 300, start_of(300), adamr::usual(), stored::in_8_bits);
  take_steps(*d, 300, 1, 1);
  const outcome before = outcome_of(*d);
  EXPECT_THROW(d->restore(plain->save()), frugal::invalid_argument);
  EXPECT_THROW(plain->restore(before.state), frugal::invalid_argument);
  EXPECT_TRUE(same_bits(before, outcome_of(*d)));
}

}  // namespace

namespace frugal_test {
INSTANTIATE_TEST_SUITE_P(adamr, optimizer_suite, the<adamr>());
}
