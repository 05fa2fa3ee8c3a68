// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/backend/tbb.hpp>
#include <frugal/optim/momentum.hpp>

#include <limits>

#include "support/bits.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;

TEST(error, messages_say_what_was_expected_and_what_was_got) {
  const auto message = [](auto const& f) {
    try {
      f();
    } catch (std::invalid_argument const& e) {  // the standard's
      return std::string(e.what());
    }
    return std::string("nothing");
  };
  using frugal::require, frugal::require_range;
  EXPECT_EQ(message([] { require(false, "a thing", "one", std::string("two")); }),
            "frugal: a thing: expected one, got two");
  EXPECT_EQ(message([] { require(false, "a count", 3, std::size_t(4)); }), "frugal: a count: expected 3, got 4");
  EXPECT_EQ(message([] { require(true, "a count", 3, 4); }), "nothing");
  EXPECT_EQ(message([] { require_range("beta", 1, 0, 1); }), "frugal: beta: expected [0, 1), got 1");
  EXPECT_EQ(message([] { require_range("lr", -1e-8, 0, 0.5, true); }), "frugal: lr: expected [0, 0.5], got -1e-08");
  EXPECT_EQ(message([] { require_range("lr", std::numeric_limits<double>::quiet_NaN(), 0, 1); }),
            "frugal: lr: expected [0, 1), got nan");
  EXPECT_EQ(message([] { require_range("lr", 0.5, 0, 0.5, true); }), "nothing");
  EXPECT_EQ(message([] { require_range("lr", 0, 0, 0.5); }), "nothing");
}

TEST(error, of_a_device) {
  const frugal::device_error e("cuda", "cudaMalloc", 2, "out of memory");
  EXPECT_STREQ(e.what(), "frugal: cuda: cudaMalloc failed with code 2: out of memory");
  EXPECT_EQ(e.code(), 2);
  const frugal::emulated_backend gpu;
  EXPECT_TRUE(throws<frugal::device_error>([&] { gpu.allocate(std::size_t(1) << 60); },
                                           {"frugal: emulated: allocate failed with code 2: out of memory"}));
}

TEST(error, a_pool_without_threads) {
  EXPECT_TRUE(refused([] { frugal::tbb_backend(0); }, "the number of threads", "at least 1", "0"));
  EXPECT_TRUE(refused([] { frugal::tbb_backend(-2); }, "the number of threads", "at least 1", "-2"));
}

TEST(error, copies_of_other_sizes) {
  const frugal::serial_backend cpu;
  const frugal::buffer<float, frugal::serial_backend> b(cpu, 3);
  EXPECT_TRUE(refused([&] { frugal::to_backend(cpu, b.view(), std::vector<float>(4)); }, "the size of a copy's source",
                      "3", "4"));
}

// A step of momentum 0 and rate 1 from zero: x = -g, or with another rate or scale what that makes of it.
float step_with(frugal::step_options<frugal::host_space> const& options) {
  frugal::momentum opt(frugal::serial_backend{}, 1, {.lr = 1, .momentum = 0});
  opt.options() = options;
  std::vector<float> x{0}, g{-1};
  opt.step(x, g);
  return x[0];
}
TEST(error, options_that_are_no_numbers) {
  EXPECT_EQ(step_with({}), 1);
  EXPECT_TRUE(refused([] { step_with({.lr = {nullptr, 1}}); }, "lr", "a pointer", "null"));
  EXPECT_TRUE(refused([] { step_with({.more_scale = {nullptr, 1}}); }, "more_scale", "a pointer", "null"));
  EXPECT_TRUE(refused([] { step_with({.found_inf = {nullptr, 1}}); }, "found_inf", "a pointer", "null"));
  EXPECT_TRUE(refused([] { step_with({.lr = std::vector<double>{1, 2}}); }, "lr", "one number", "2"));
  EXPECT_TRUE(refused([] { step_with({.more_scale = std::vector<float>{1, 2}}); }, "more_scale", "one number", "2"));
  // Nothing is read from an empty view, wherever it points.
  const double rate = 5;
  const float five = 5;
  EXPECT_EQ(step_with({.lr = {&rate, 0}}), 1);
  EXPECT_EQ(step_with({.more_scale = {&five, 0}}), 1);
  EXPECT_EQ(step_with({.found_inf = {&five, 0}}), 1);
  EXPECT_EQ(step_with({.lr = {&rate, 1}}), 5);
}

}  // namespace
