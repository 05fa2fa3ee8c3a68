// SPDX-License-Identifier: Apache-2.0
#include "support/optimizer_suite.hpp"

#include <cmath>

#include "optimizer_digests.hpp"

namespace frugal_test {
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(optimizer_suite);  // tests of other methods do without
namespace {

const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();

subject const& optimizer() { return *optimizer_suite::GetParam(); }
auto start(machine const& m, frugal::layout const& l, stored s = stored::full, arrangement const& a = {}) {
  return optimizer().make(m, l, start_of(l), s, nullptr, a);
}
// The outcome of three steps.
outcome trial(machine const& m, frugal::layout const& l, stored s = stored::full, arrangement const& a = {}) {
  const auto d = start(m, l, s, a);
  take_steps(*d, l, 1, 3);
  return outcome_of(*d);
}
std::vector<float> times(float factor, std::vector<float> v) {
  for (float& x : v) x *= factor;
  return v;
}

// ---- golden trajectories --------------------------------------------------------------------------------------------
TEST_P(optimizer_suite, float_trajectories_to_the_bit) {
  for (golden_case const& c : read_golden(optimizer().name + ".txt")) {
    ASSERT_GE(c.count("step"), 20u);
    for (machine const& m : machines()) {
      SCOPED_TRACE(c.name + ", " + m.name);
      const auto d = optimizer().make(m, c.number<int>("n"), c.numbers<float>("x0"), stored::full, &c);
      for (std::size_t t = 0; t < c.count("step"); ++t) {
        d->lr() = c.number<double>("lr", t);
        d->step(c.numbers<float>("g", t));
        ASSERT_TRUE(same_bits(c.numbers<float>("x32", t), d->x())) << "step " << t + 1;
        const auto saved = d->save();
        for (std::string const& s : optimizer().states)
          ASSERT_TRUE(same_bits(c.numbers<float>(s + "32", t), piece<float>(saved, s))) << s << ", step " << t + 1;
      }
    }
  }
}

TEST_P(optimizer_suite, double_trajectories) {
  for (golden_case const& c : read_golden(optimizer().name + ".txt")) {
    const auto d = optimizer().make_double(c, c.numbers<double>("x0"));
    std::map<std::string, std::vector<double>> largest;  // so far: a number may pass near zero later
    const auto expect_close = [&](std::vector<double> const& want, std::vector<double> const& got,
                                  std::string const& what) {
      ASSERT_EQ(want.size(), got.size());
      auto& scale = largest[what];
      scale.resize(want.size());
      for (std::size_t i = 0; i < want.size(); ++i) {
        scale[i] = std::max(scale[i], std::abs(want[i]));
        ASSERT_NEAR(want[i], got[i], 1e-12 * scale[i]) << c.name << ", " << what << "[" << i << "]";
      }
    };
    for (std::size_t t = 0; t < c.count("step"); ++t) {
      d->lr() = c.number<double>("lr", t);
      d->step(c.numbers<double>("g", t));
      expect_close(c.numbers<double>("x64", t), d->x(), "x");
      const auto saved = d->save();
      for (std::string const& s : optimizer().states)
        expect_close(c.numbers<double>(s + "64", t), piece<double>(saved, s), s);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(optimizer_suite, trajectories_with_8_bit_states_to_the_bit) {
  const golden_case c = read_golden("blockwise8_" + optimizer().name + ".txt").at(0);
  const auto n = c.number<std::size_t>("n");
  ASSERT_GE(c.count("step"), 20u);
  for (machine const& m : machines()) {
    SCOPED_TRACE(m.name);
    const auto d = optimizer().make(m, n, c.numbers<float>("x0"), stored::in_8_bits, &c);
    for (std::size_t t = 0; t < c.count("step"); ++t) {
      SCOPED_TRACE(t + 1);
      d->lr() = c.number<double>("lr", t);
      d->step(c.numbers<float>("g", t));
      ASSERT_TRUE(same_bits(c.numbers<float>("x", t), d->x()));
      const auto saved = d->save();
      for (std::string const& s : optimizer().states) {
        auto codes = c.codes(s + "_codes", t);
        codes.resize((n + 255) / 256 * 256, s == "v" ? 0 : 127);  // zeros fill the last block
        ASSERT_TRUE(same_bits(codes, piece<std::uint8_t>(saved, s + ".codes"))) << s;
        ASSERT_TRUE(same_bits(c.numbers<float>(s + "_absmax", t), piece<float>(saved, s + ".scales"))) << s;
      }
    }
  }
}

// ---- equal bits: backends, alignments, moves, ways to pass tensors --------------------------------------------------
TEST_P(optimizer_suite, every_backend_gives_the_same_bits) {
  for (int n : {0, 1, 255, 256, 257, 4095, 4097, 100003})
    for (stored s : {stored::full, stored::bf16, stored::in_8_bits}) {
      const outcome expected = trial(serial(), n, s);
      EXPECT_TRUE(n == 0 || !same_bits(start_of(n), expected.x));
      for (machine const& m : machines())
        EXPECT_TRUE(same_bits(expected, trial(m, n, s))) << m.name << ", " << n << " elements, storage " << int(s);
    }
}

// Programs for devices compare with these bits.
TEST_P(optimizer_suite, digests_for_devices) {
  for (stored s : {stored::full, stored::bf16, stored::large_in_8_bits}) {
    std::uint64_t digest = 0;
    std::string algorithm;
    for (frugal::layout const& l : digest_models()) {
      const auto d = optimizer().make(serial(), l, device_numbers<float>(l.size(), 7), s);
      d->lr() = 0.01;
      d->weight_decay() = 0.05;
      d->set({.clip_norm = 1, .skip_nonfinite = true});
      frugal::snapshot saved;
      digest = digest_of_steps(
          l.size(), digest, [&](std::vector<float> const& g) { d->step(g); }, [&] { saved = d->save(); },
          [&] { d->restore(saved); }, [&] { return d->x(); });
      algorithm = d->save().algorithm;
    }
    if (const auto expected = digest_for(algorithm)) EXPECT_EQ(expected->value, digest) << algorithm;
    else std::cout << "no digest: {\"" << algorithm << "\", " << digest << "u},\n";
  }
}

TEST_P(optimizer_suite, alignment_does_not_matter) {
  on_cpu_and_device([](machine const& m, stored s) {
    const outcome expected = trial(serial(), 1003, s);
    for (frugal::index_t k = 1; k < (m.lanes > 0 ? 5 : 16); ++k)
      EXPECT_TRUE(same_bits(expected, trial(m, 1003, s, {.x_offset = k, .g_offset = 3 * k % 5}))) << k;
  });
}

TEST_P(optimizer_suite, parameters_and_object_may_move_between_steps) {
  const frugal::layout l{{"a", {333}}, {"b", {40, 5}}};
  on_cpu_and_device([&](machine const& m, stored s) {
    const auto still = start(m, l, s), moving = start(m, l, s);
    for (int t = 1; t <= 12; ++t) {
      moving->rearrange({.separate = t % 3 == 0, .x_offset = 5 * t % 17, .g_offset = t % 4});
      if (t % 4 == 1) moving->move_object();
      take_steps(*still, l, t, t);
      take_steps(*moving, l, t, t);
      ASSERT_TRUE(same_bits(outcome_of(*still), outcome_of(*moving))) << t;
    }
  });
}

frugal::layout some_tensors() {
  return {{"w", {300, 70}}, {"b", {70}}, {"scalar", {}}, {"none", {4, 0}}, {"v", {5000}}};
}

TEST_P(optimizer_suite, a_flat_vector_is_a_list_of_tensors) {
  const frugal::layout l = some_tensors();
  on_cpu_and_device([&](machine const& m, stored s) {
    const outcome expected = trial(serial(), l, s);
    EXPECT_TRUE(same_bits(expected, trial(m, l, s)));
    EXPECT_TRUE(same_bits(expected, trial(m, l, s, {.separate = true, .x_offset = 3, .g_offset = 1})));
  });
  if (optimizer().moves == reach::itself) {
    EXPECT_TRUE(same_bits(trial(serial(), l.size()).x, trial(serial(), l).x));
  }
}

TEST_P(optimizer_suite, a_model_without_tensors) {
  const frugal::layout none(std::vector<frugal::tensor_spec>{});
  on_cpu_and_device([&](machine const& m, stored s) {
    for (bool separate : {false, true}) {
      const auto d = start(m, none, s, {.separate = separate});
      d->set({.clip_norm = 1});
      take_steps(*d, none, 1, 2);
      EXPECT_EQ(d->report().steps, 2);
      EXPECT_EQ(d->report().gradient_norm, 0);
      EXPECT_EQ(d->state_bytes(), 0u);
    }
  });
}

// ---- groups ---------------------------------------------------------------------------------------------------------
frugal::layout grouped() {
  return {{{"a", {500}}, {"b", {300}, "slow"}, {"c", {5000}, "frozen"}, {"d", {257}, "slow"}, {"e", {100}, "plain"}},
          {{"slow", 0.5, 0.}, {"frozen", 1., 1., true}, {"plain"}}};
}

TEST_P(optimizer_suite, groups_have_rates_and_decays_of_their_own) {
  const frugal::layout l = grouped();
  on_cpu_and_device([&](machine const& m, stored s) {
    const auto d = start(m, l, s);
    take_steps(*d, l, 1, 3);
    const int changed = optimizer().remembers_rates ? 6 : 4;  // the first step with another factor
    if (changed < 6) d->set_group({"slow", 2., 1.});
    take_steps(*d, l, 4, 5);
    std::size_t bytes = 0;
    for (frugal::tensor const& t : l.tensors()) {
      const auto before = part(start_of(l), t), after = part(d->x(), t);
      if (t.name == "c") {
        EXPECT_TRUE(same_bits(before, after)) << "frozen";
        continue;
      }
      if (optimizer().moves == reach::the_model) continue;
      // Each tensor moves as one that has an optimizer of its own.
      const auto alone = optimizer().make(m, t.size, before, s);
      const double lr = alone->lr(), decay = alone->weight_decay();
      for (int step = 1; step <= 5; ++step) {
        const bool slow = t.name == "b" || t.name == "d";
        alone->lr() = !slow ? lr : step < changed ? lr / 2 : lr * 2;
        alone->weight_decay() = slow && step < changed ? 0 : decay;
        alone->step(part(gradient_of(l, step), t));
      }
      EXPECT_TRUE(same_bits(alone->x(), after)) << t.name;
      bytes += alone->state_bytes();
    }
    if (optimizer().moves == reach::the_model) return;
    // Between tensors a little memory is lost to alignment; the frozen tensor would have taken 5000 slots more.
    const std::size_t gaps = 16 * optimizer().states.size() + (optimizer().anchored ? 256 : 0);
    EXPECT_GE(d->state_bytes(), bytes);
    EXPECT_LT(d->state_bytes(), bytes + 4 * gaps * sizeof(float));
  });
}

TEST_P(optimizer_suite, a_wrong_group_is_refused) {
  const frugal::layout l = grouped();
  const auto d = start(serial(), l);
  const auto refused = [&](frugal::group const& g, std::string const& text) {
    try {
      d->set_group(g);
      ADD_FAILURE() << text;
    } catch (frugal::invalid_argument const& e) {
      EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
    }
  };
  refused({"fast"}, "expected one of the layout's groups, got 'fast'");
  refused({"slow", 1., 1., true}, "expected frozen as constructed, got a change");
  refused({"frozen"}, "expected frozen as constructed, got a change");
  refused({"slow", -0.5}, "lr factor: expected [0, 1e+300], got -0.5");
  refused({"slow", nan}, "lr factor: expected [0, 1e+300], got nan");
  refused({"slow", 1., -1.}, "weight_decay factor: expected [0, 1e+300], got -1");
  take_steps(*d, l, 1, 3);
  EXPECT_TRUE(same_bits(trial(serial(), l), outcome_of(*d)));
}

// ---- gradients: scale, clipping, skipped steps, what is not finite --------------------------------------------------
TEST_P(optimizer_suite, gradient_scale) {
  const frugal::layout l(1000);
  on_cpu_and_device([&](machine const& m, stored s) {
    const auto scaled = [&](float factor, switches const& how) {
      const auto d = start(m, l, s);
      d->set(how);
      for (int t = 1; t <= 3; ++t) d->step(times(factor, gradient_of(l, t)));
      return outcome_of(*d);
    };
    const outcome plain = trial(m, l, s);
    EXPECT_TRUE(same_bits(plain, scaled(1024, {.gradient_scale = 1. / 1024})));
    EXPECT_TRUE(same_bits(plain, scaled(1024, {.gradient_scale = 1. / 64, .more_scale = 1.f / 16})));
    EXPECT_TRUE(same_bits(plain, scaled(-1, {.gradient_scale = -1})));
    EXPECT_FALSE(same_bits(plain.x, scaled(-1, {}).x));
  });
}

TEST_P(optimizer_suite, clip_norm) {
  const frugal::layout l = some_tensors();
  double squares = 0;
  for (float g : gradient_of(l, 1)) squares += double(g) * g;
  const double scale = 0.25, norm = scale * std::sqrt(squares);
  on_cpu_and_device([&](machine const& m, stored s) {
    const auto step = [&](switches const& how) {
      auto d = start(m, l, s);
      d->set(how);
      d->step(gradient_of(l, 1));
      return d;
    };
    const auto clipped = step({.gradient_scale = -scale, .clip_norm = norm / 3});
    const double measured = clipped->report().gradient_norm;
    EXPECT_NEAR(measured, norm, 1e-6 * norm);
    const double factor = norm / 3 / (measured + 1e-6);
    EXPECT_TRUE(same_bits(outcome_of(*clipped), outcome_of(*step({.gradient_scale = -scale * factor}))));
    // A norm that is small enough changes nothing. Nobody asked for it: it is not measured.
    const auto large = step({.gradient_scale = scale, .clip_norm = 1.01 * norm});
    const auto unclipped = step({.gradient_scale = scale});
    EXPECT_TRUE(same_bits(outcome_of(*unclipped), outcome_of(*large)));
    EXPECT_NEAR(large->report().gradient_norm, norm, 1e-6 * norm);
    EXPECT_EQ(unclipped->report().gradient_norm, 0);
  });
}

TEST_P(optimizer_suite, the_norm_is_of_what_is_owned) {
  const frugal::layout l = grouped();
  on_cpu_and_device([&](machine const& m, stored s) {
    const auto d = start(m, l, s);
    d->set({.skip_nonfinite = true});
    d->step(std::vector<float>(std::size_t(l.size()), 3.f));
    EXPECT_EQ(d->report().gradient_norm, std::sqrt(9. * 1157));  // without the frozen 5000
  });
}

TEST_P(optimizer_suite, a_skipped_step_changes_nothing) {
  const frugal::layout l(700);
  on_cpu_and_device([&](machine const& m, stored s) {
    const auto d = start(m, l, s);
    take_steps(*d, l, 1, 2);
    const outcome before = outcome_of(*d);
    int skipped = 0;
    const auto expect_skip = [&](std::vector<float> const& g, switches const& how) {
      d->set(how);
      d->step(g);
      EXPECT_TRUE(same_bits(before, outcome_of(*d)));
      EXPECT_EQ(d->report().steps, 2);
      EXPECT_EQ(d->report().skipped, ++skipped);
    };
    for (float bad : {nan, inf, -inf, 1e30f}) {  // the square of the last is infinite
      auto g = gradient_of(l, 3);
      g[699] = bad;
      expect_skip(g, {.skip_nonfinite = true});
    }
    for (float found : {1.f, -1.f, 1e-30f, nan}) expect_skip(gradient_of(l, 3), {.found_inf = found});
    d->set({.skip_nonfinite = true, .found_inf = 0.f});
    d->step(gradient_of(l, 3));
    EXPECT_TRUE(same_bits(trial(m, l, s), outcome_of(*d)));
    EXPECT_EQ(d->report().steps, 3);
    EXPECT_EQ(d->report().skipped, skipped);
  });
}

TEST_P(optimizer_suite, a_nan_stays_where_it_is) {
  if (optimizer().moves != reach::itself) GTEST_SKIP() << "it reaches " << optimizer().name << "'s sums";
  const frugal::layout l(600);
  constexpr std::size_t at = 300;
  on_cpu_and_device([&](machine const& m, stored s) {
    const auto steps = [&](float first) {
      auto x0 = start_of(l);
      x0[at] = 0;  // the twin's state stays zero there, also with coupled decay
      const auto d = optimizer().make(m, l, x0, s);
      for (int t = 1; t <= 3; ++t) {
        auto g = gradient_of(l, t);
        g[at] = t == 1 ? first : 0;
        d->step(g);
      }
      return outcome_of(*d);
    };
    outcome lost = steps(nan);
    const outcome twin = steps(0);
    EXPECT_EQ(std::isnan(lost.x[at]), optimizer().nan_reaches_x);
    lost.x[at] = twin.x[at];
    EXPECT_TRUE(same_bits(twin.x, lost.x));
    if (s == stored::full) {
      for (std::string const& name : optimizer().states) {
        auto state = piece<float>(lost.state, name);
        EXPECT_TRUE(std::isnan(state[at])) << name;
        state[at] = 0;
        EXPECT_TRUE(same_bits(piece<float>(twin.state, name), state)) << name;
      }
    } else {  // that coordinate's state is lost, those of its block are not
      EXPECT_TRUE(same_bits(twin.state, lost.state));
    }
  });
}

TEST_P(optimizer_suite, the_rate_may_live_on_the_device) {
  on_cpu_and_device([&](machine const& m, stored s) {
    const auto d = start(m, 300, s);
    d->set({.lr = d->lr()});
    d->lr() *= 7;  // not read
    take_steps(*d, 300, 1, 3);
    EXPECT_TRUE(same_bits(trial(m, 300, s), outcome_of(*d)));
  });
}

TEST_P(optimizer_suite, a_rate_of_zero_moves_states_only) {
  on_cpu_and_device([&](machine const& m, stored s) {
    const auto d = start(m, 300, s);
    const auto before = d->save();
    d->lr() = 0;
    take_steps(*d, 300, 1, 3);
    EXPECT_TRUE(same_bits(start_of(300), d->x()));
    EXPECT_FALSE(same_bits(before, d->save()));
  });
}

// ---- states ---------------------------------------------------------------------------------------------------------
TEST_P(optimizer_suite, small_tensors_keep_full_states) {
  for (machine const& m : {serial(), emulated()}) {
    const outcome small = trial(m, 4095, stored::large_in_8_bits), full = trial(m, 4095);
    EXPECT_TRUE(same_bits(full.x, small.x)) << m.name;
    for (std::string const& s : optimizer().states)
      EXPECT_TRUE(same_bits(piece<float>(full.state, s), piece<float>(small.state, s))) << m.name;
    EXPECT_FALSE(same_bits(trial(m, 4096).x, trial(m, 4096, stored::large_in_8_bits).x)) << m.name;
  }
}

TEST_P(optimizer_suite, first_step_with_8_bit_states_is_exact) {
  for (machine const& m : {serial(), emulated()}) {
    const auto full = start(m, 5000), coded = start(m, 5000, stored::large_in_8_bits);
    take_steps(*full, 5000, 1, 1);
    take_steps(*coded, 5000, 1, 1);
    EXPECT_TRUE(same_bits(full->x(), coded->x())) << m.name;
  }
}

TEST_P(optimizer_suite, a_fresh_state_is_zero) {
  for (machine const& m : {serial(), emulated()})
    for (stored s : {stored::full, stored::bf16, stored::in_8_bits}) {
      const frugal::snapshot fresh = start(m, 300, s)->save();
      EXPECT_EQ(piece<std::int64_t>(fresh, "step"), std::vector<std::int64_t>{0}) << m.name;
      for (std::string const& name : optimizer().states) {
        for (float x : piece<float>(fresh, name)) EXPECT_EQ(x, 0) << m.name;
        for (float x : piece<float>(fresh, name + ".scales")) EXPECT_EQ(x, 0) << m.name;
        for (int code : piece<std::uint8_t>(fresh, name + ".codes")) EXPECT_EQ(code, name == "v" ? 0 : 127) << m.name;
        for (frugal::bf16 x : piece<frugal::bf16>(fresh, name)) EXPECT_EQ(x.bits, 0) << m.name;
      }
    }
}

TEST_P(optimizer_suite, bytes_of_state) {
  const std::size_t states = optimizer().states.size(),
                    copies = optimizer().anchored;  // in full, whatever the states are
  const auto bytes = [&](frugal::layout const& l, stored s) {
    const auto d = start(serial(), l, s);
    std::size_t copy = 0;
    if (copies > 0)
      for (auto const& p : d->save().pieces)
        copy += p.name.starts_with("anchor") && p.type == "float" ? p.bytes.size() : 0;
    return (d->state_bytes() - copy) / states;
  };
  for (std::size_t n : {0, 1, 255, 256, 257, 4095, 100003}) {
    EXPECT_EQ(bytes(n, stored::full), 4 * n);
    EXPECT_EQ(bytes(n, stored::bf16), 2 * n);
    EXPECT_EQ(bytes(n, stored::in_8_bits), (256 + 4) * ((n + 255) / 256));
  }
  EXPECT_EQ(bytes(4095, stored::large_in_8_bits), 4u * 4095);
  EXPECT_EQ(bytes(4096, stored::large_in_8_bits), 4096u + 4 * 16);
  EXPECT_EQ(bytes({{"small", {1000}}, {"large", {4096}}}, stored::large_in_8_bits), 4096u + 4 * 16 + 4 * 1000);
  EXPECT_EQ(start(serial(), 256, stored::full)->state_bytes(), 4 * 256 * (states + copies));
}

TEST_P(optimizer_suite, a_saved_state_continues_anywhere) {
  const frugal::layout l{{"w", {90, 50}}, {"b", {50}}};
  for (stored s : {stored::full, stored::bf16, stored::large_in_8_bits}) {
    const auto whole = start(serial(), l, s);
    take_steps(*whole, l, 1, 3);
    const outcome middle = outcome_of(*whole);
    take_steps(*whole, l, 4, 6);
    const outcome expected = outcome_of(*whole);
    for (machine const& m : machines()) {
      const auto d = start(m, l, s);
      take_steps(*d, l, 7, 7);  // is forgotten
      d->set_x(middle.x);
      d->restore(middle.state);
      EXPECT_TRUE(same_bits(middle.state, d->save())) << m.name;
      take_steps(*d, l, 4, 6);
      EXPECT_TRUE(same_bits(expected, outcome_of(*d))) << m.name;
    }
  }
}

TEST_P(optimizer_suite, steps_do_not_allocate) {
  const frugal::layout l = some_tensors();
  const long before = allocations;
  for (stored s : {stored::full, stored::bf16, stored::in_8_bits, stored::large_in_8_bits}) {
    const auto d = start(serial(), l, s);
    d->set({.clip_norm = 1, .skip_nonfinite = true});
    for (int t = 1; t <= 6; ++t) {
      d->lr() *= 0.9;
      if (t > 3) d->rearrange({.separate = true, .x_offset = t});
      take_steps(*d, l, t, t);
      EXPECT_EQ(d->allocated(), 0) << t;
    }
  }
  EXPECT_GT(allocations - before, 100) << "allocations are not counted";
}

}  // namespace
}  // namespace frugal_test
