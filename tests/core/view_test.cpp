// SPDX-License-Identifier: Apache-2.0
// What a step accepts, and what it refuses: with what was expected and what was got, and nothing changed.
#include <frugal/backend/serial.hpp>
#include <frugal/core/view.hpp>
#include <frugal/optim/adam.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/optim/momentum.hpp>

#include <Eigen/Dense>
#include <array>
#include <limits>
#include <span>

#include "support/bits.hpp"

namespace {
using namespace frugal_test;
using frugal::serial_backend;
using frugal::view;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// f() is refused with a text that holds all of `words`.
template <class F>
void refused(F const& f, std::initializer_list<char const*> words) {
  try {
    f();
    ADD_FAILURE() << "accepted";
  } catch (frugal::invalid_argument const& e) {
    for (char const* word : words) EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << e.what();
  }
}

TEST(view, is_made_from_what_holds_contiguous_elements) {
  const auto sum = [](view<float const> v) {
    float s = 0;
    for (float x : v) s += x;
    return s;
  };
  std::vector<float> vector{1, 2, 3};
  std::array<float, 3> array{1, 2, 3};
  Eigen::VectorXf eigen = Eigen::VectorXf::LinSpaced(3, 1, 3);
  Eigen::MatrixXf matrix = Eigen::MatrixXf::Constant(2, 3, 1);
  EXPECT_EQ(sum(vector), 6);
  EXPECT_EQ(sum(array), 6);
  EXPECT_EQ(sum(std::span<float>(vector)), 6);
  EXPECT_EQ(sum(std::span<float const, 2>(array.data(), 2)), 3);
  EXPECT_EQ(sum({vector.data(), 2}), 3);
  EXPECT_EQ(sum(eigen), 6);
  EXPECT_EQ(sum(Eigen::Map<Eigen::VectorXf>(vector.data(), 3)), 6);
  EXPECT_EQ(sum(matrix), 6);
  EXPECT_EQ(sum(view<float>(vector)), 6);
  EXPECT_EQ(sum(std::vector<float>{}), 0);
  static_assert(!std::is_convertible_v<std::vector<double>&, view<float>>);
  static_assert(!std::is_convertible_v<std::vector<float> const&, view<float>>);
  static_assert(!std::is_convertible_v<view<float const>, view<float>>);
}

TEST(view, a_strided_map_is_refused) {
  std::vector<float> v(12);
  const auto take = [](view<float const> x) { return x.size(); };
  Eigen::Map<Eigen::VectorXf, 0, Eigen::InnerStride<>> strided(v.data(), 4, Eigen::InnerStride<>(3));
  refused([&] { take(strided); }, {"Eigen", "contiguous", "stride"});
  Eigen::MatrixXf m(4, 3);
  refused([&] { take(m.topRows(2)); }, {"contiguous"});
  EXPECT_EQ(take(m.leftCols(2)), 8);
  EXPECT_EQ(take(m.col(1)), 4);
}

TEST(step, refuses_wrong_sizes_null_and_overlaps_and_changes_nothing) {
  std::vector<float> x = numbers(100, 1), g = numbers(100, 2), both(200, 1.f);
  frugal::adamw opt(serial_backend{}, 100, {});
  frugal::adamw twin(serial_backend{}, 100, {});
  const auto before = x;
  refused([&] { opt.step({x.data(), 99}, g); }, {"expected 100 elements", "got 99"});
  refused([&] { opt.step(x, {g.data(), 101}); }, {"gradient", "expected 100 elements", "got 101"});
  refused([&] { opt.step({x.data(), -1}, g); }, {"expected 100 elements", "got -1"});
  refused([&] { opt.step({nullptr, 100}, g); }, {"expected a pointer", "got null"});
  refused([&] { opt.step(x, {nullptr, 100}); }, {"expected a pointer", "got null"});
  refused([&] { opt.step(x, x); }, {"overlap"});
  refused([&] { opt.step({both.data(), 100}, {both.data() + 99, 100}); }, {"overlap"});
  EXPECT_TRUE(same_bits(x, before));
  opt.step({both.data(), 100}, {both.data() + 100, 100});  // neighbours do not overlap
  twin.step(std::vector<float>(100, 1.f), std::vector<float>(100, 1.f));
  EXPECT_TRUE(same_bits(frugal::save_state(opt), frugal::save_state(twin)));
}

TEST(step, refuses_overlaps_in_a_list_of_tensors) {
  frugal::lion opt(serial_backend{}, frugal::layout{{"a", {10}}, {"b", {10}}}, {});
  std::vector<float> x(20), g(20);
  const std::vector<view<float>> good{{x.data(), 10}, {x.data() + 10, 10}}, same{{x.data(), 10}, {x.data() + 5, 10}};
  const std::vector<view<float>> grads{{g.data(), 10}, {g.data() + 10, 10}}, crossed{{g.data(), 10}, {x.data(), 10}};
  opt.step(good, grads);
  refused([&] { opt.step(same, grads); }, {"overlap"});
  refused([&] { opt.step(good, crossed); }, {"overlap"});
  refused([&] { opt.step(std::vector{good[0]}, grads); }, {"count of parameter tensors", "expected 2", "got 1"});
  refused([&] { opt.step(good, std::vector{grads[0], view<float>(g.data(), 9)}); }, {"b", "expected 10", "got 9"});
  opt.step(good, std::vector{grads[0], grads[0]});  // gradients may share memory
  EXPECT_EQ(opt.report().steps, 2);
}

// A hyper-parameter set to each of `values` is refused at construction and at the next step; nothing changes.
template <template <class...> class Optimizer, class Config, class Field>
void refuses(Config const& good, Field Config::*field, std::initializer_list<Field> values, char const* name) {
  using optimizer = Optimizer<serial_backend, frugal::full, frugal::all, frugal::types<>>;
  for (Field value : values) {
    Config bad = good;
    bad.*field = value;
    refused([&] { optimizer(serial_backend{}, 4, bad); }, {name, "expected", "got"});
    optimizer opt(serial_backend{}, 4, good);
    std::vector<float> x(4, 1.f), g(4, 1.f);
    opt.config().*field = value;
    refused([&] { opt.step(x, g); }, {name, "expected", "got"});
    EXPECT_TRUE(same_bits(x, std::vector<float>(4, 1.f)));
    EXPECT_EQ(opt.report().steps, 0);
  }
}

TEST(step, refuses_hyper_parameters_out_of_range) {
  using frugal::adam_config, frugal::adamw_config, frugal::lion_config, frugal::momentum_config;
  const double inf = std::numeric_limits<double>::infinity();
  const auto common = [&]<template <class...> class O, class C>(C const& c) {
    refuses<O>(c, &C::lr, {-1e-9, nan, inf}, "lr");
    refuses<O>(c, &C::weight_decay, {-1e-9, nan, inf}, "weight_decay");
  };
  common.operator()<frugal::momentum>(momentum_config{});
  common.operator()<frugal::adam>(adam_config{});
  common.operator()<frugal::adamw>(adamw_config{});
  common.operator()<frugal::lion>(lion_config{});
  refuses<frugal::momentum>(momentum_config{}, &momentum_config::momentum, {-0.1, 1.0, nan}, "momentum");
  refuses<frugal::momentum>(momentum_config{.momentum = 0}, &momentum_config::nesterov, {true}, "nesterov");
  refuses<frugal::adam>(adam_config{}, &adam_config::beta1, {-0.1, 1.0, nan}, "beta1");
  refuses<frugal::adam>(adam_config{}, &adam_config::beta2, {-0.1, 1.0, nan}, "beta2");
  refuses<frugal::adam>(adam_config{}, &adam_config::epsilon, {-1e-9, nan, inf}, "epsilon");
  refuses<frugal::adamw>(adamw_config{}, &adamw_config::beta1, {-0.1, 1.0, nan}, "beta1");
  refuses<frugal::adamw>(adamw_config{}, &adamw_config::beta2, {-0.1, 1.0, nan}, "beta2");
  refuses<frugal::adamw>(adamw_config{}, &adamw_config::epsilon, {-1e-9, nan, inf}, "epsilon");
  refuses<frugal::adamw>(adamw_config{.lr = 0.1}, &adamw_config::weight_decay, {10.1}, "lr * weight_decay");
  refuses<frugal::lion>(lion_config{}, &lion_config::beta1, {-0.1, 1.0, nan}, "beta1");
  refuses<frugal::lion>(lion_config{}, &lion_config::beta2, {-0.1, 1.0, nan}, "beta2");
  refuses<frugal::lion>(lion_config{.lr = 0.1}, &lion_config::weight_decay, {10.1}, "lr * weight_decay");
}

TEST(step, the_limit_of_rate_times_decay_is_each_group_s) {
  const frugal::layout two({{"a", {4}}, {"b", {4}, "fast"}}, {{.name = "fast", .lr = 200}});
  refused([&] { frugal::lion(serial_backend{}, two, {.lr = 0.1, .weight_decay = 0.1}); },
          {"lr * weight_decay", "got 2"});
  EXPECT_NO_THROW(frugal::lion(serial_backend{}, two, {.lr = 0.1, .weight_decay = 0.04}));
}

TEST(step, refuses_options_out_of_range) {
  frugal::lion opt(serial_backend{}, 4, {});
  std::vector<float> x(4), g(4), two(2);
  const auto step = [&] { opt.step(x, g); };
  opt.options().gradient_scale = nan;
  refused(step, {"gradient_scale", "finite"});
  opt.options() = {};
  for (double bad : {0.0, -1.0, nan}) {
    opt.options().clip_norm = bad;
    refused(step, {"clip_norm", "> 0"});
  }
  opt.options() = {};
  opt.options().found_inf = two;
  refused(step, {"found_inf", "got 2"});
  opt.options() = {};
  EXPECT_NO_THROW(step());
}

}  // namespace
