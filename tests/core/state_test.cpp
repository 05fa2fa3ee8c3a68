// SPDX-License-Identifier: Apache-2.0
// Saved states: what they hold, and which are refused. That a run goes on to the bit, on other backends too, is tested
// with every optimizer; here, that a refused state changes nothing.
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>

#include "support/bits.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::layout, frugal::snapshot;

layout two() { return {{"w", {50, 100}}, {"b", {300}}}; }

// Goes on for some steps with x = 1.
template <class Optimizer>
void train(Optimizer& opt, int steps = 2) {
  std::vector<float> x(std::size_t(opt.layout().size()), 1.f);
  for (int t = 1; t <= steps; ++t) opt.step(x, numbers(opt.layout().size(), std::uint64_t(t)));
}
template <class... Policies>
auto trained(layout const& l, Policies const&... policies) {
  frugal::adamw opt(frugal::serial_backend{}, l, {}, policies...);
  train(opt);
  return opt;
}
template <class... Policies>
snapshot saved(layout const& l, Policies const&... policies) {
  auto opt = trained(l, policies...);
  return frugal::save_state(opt);
}

// An object refuses the state with these words, and goes on like its twin.
template <class... Policies>
void expect_refusal(snapshot const& wrong, std::string const& about, std::string const& expected,
                    std::string const& got, layout const& l = two(), Policies const&... policies) {
  auto opt = trained(l, policies...), twin = trained(l, policies...);
  EXPECT_TRUE(refused([&] { frugal::restore_state(opt, wrong); }, about, expected, got));
  EXPECT_TRUE(same_bits(frugal::save_state(twin), frugal::save_state(opt)));
  train(opt, 1);
  train(twin, 1);
  EXPECT_TRUE(same_bits(frugal::save_state(twin), frugal::save_state(opt)));
}

// Name, type and count of each piece.
std::vector<std::string> pieces(snapshot const& s) {
  std::vector<std::string> out;
  for (auto const& p : s.pieces) {
    const char* const roles[] = {"counter", "clock", "moment", "codes", "scales"};
    out.push_back(p.name + " " + roles[int(p.role)] + " " + p.type + " " + std::to_string(p.count));
  }
  return out;
}
using strings = std::vector<std::string>;

TEST(state, pieces) {
  const snapshot full = saved(two()), bf16 = saved(two(), frugal::bf16_state{}),
                 coded = saved(two(), frugal::blockwise8{});
  EXPECT_EQ(full.algorithm, "adamw/full");
  EXPECT_EQ(bf16.algorithm, "adamw/bf16");
  EXPECT_EQ(coded.algorithm, "adamw/blockwise8");
  EXPECT_EQ(pieces(full), (strings{"step counter int64 1", "clock clock double 2", "m moment float 5308",
                                   "v moment float 5308"}));  // tensors begin at multiples of 16
  EXPECT_EQ(pieces(bf16), (strings{"step counter int64 1", "clock clock double 2", "m moment bf16 5324",
                                   "v moment bf16 5324"}));  // of 32
  EXPECT_EQ(pieces(coded), (strings{"step counter int64 1", "clock clock double 2", "m moment float 300",
                                    "m.codes codes uint8 5120", "m.scales scales float 20", "v moment float 300",
                                    "v.codes codes uint8 5120", "v.scales scales float 20"}));
  EXPECT_EQ(piece<std::int64_t>(full, "step"), std::vector<std::int64_t>{2});
  EXPECT_EQ(piece<double>(full, "clock"), (std::vector<double>{0.9 * 0.9, 0.999 * 0.999}));
  frugal::lion other(frugal::serial_backend{}, 10);
  EXPECT_EQ(pieces(frugal::save_state(other)),
            (strings{"step counter int64 1", "clock clock double 0", "m moment float 10"}));
}

TEST(state, of_another_kind_is_refused) {
  const std::string algorithm = "a saved state's algorithm and storage";
  frugal::lion lion(frugal::serial_backend{}, two());
  expect_refusal(frugal::save_state(lion), algorithm, "adamw/full", "lion/full");
  expect_refusal(saved(two(), frugal::blockwise8{}), algorithm, "adamw/full", "adamw/blockwise8");
  expect_refusal(saved(two()), algorithm, "adamw/bf16", "adamw/full", two(), frugal::bf16_state{});
  expect_refusal(saved(two(), frugal::bf16_state{}), algorithm, "adamw/blockwise8", "adamw/bf16", two(),
                 frugal::blockwise8{});
}

TEST(state, of_another_model_is_refused) {
  const std::string about = "a saved state's layout", expected = "the tensors and support of this object",
                    got = "others (hash ";
  for (const layout& other : {layout{{"w", {100, 50}}, {"b", {300}}}, layout{{"b", {300}}, {"w", {50, 100}}},
                              layout{{"w", {50, 100}}, {"c", {300}}}, layout(5300),
                              layout{{{"w", {50, 100}}, {"b", {300}, "f"}}, {{"f", 1., 1., true}}}})
    expect_refusal(saved(other), about, expected, got);
  expect_refusal(saved(two(), frugal::range{0, 5299}), about, expected, got);
  expect_refusal(saved(two(), frugal::range{1, 5300}), about, expected, got, two(), frugal::range{0, 5299});
  frugal::indices some{{1, 2, 3}}, others{{1, 2, 4}};
  expect_refusal(saved(two(), others), about, expected, got, two(), some);
  frugal::mask on{std::vector<std::uint8_t>(5300, 1)}, off = on;
  off.on[5] = 0;
  expect_refusal(saved(two(), off), about, expected, got, two(), on);
  // Which of two alike has its states in full.
  const auto in_full = [](char const* a, char const* b) {
    return layout{{{"a", {5000}, a}, {"b", {5000}, b}}, {{"full", 1., 1., false, true}}};
  };
  expect_refusal(saved(in_full("full", ""), frugal::blockwise8{}), about, expected, got, in_full("", "full"),
                 frugal::blockwise8{});
  // A rate of its own is not another model.
  auto opt = trained(two());
  frugal::restore_state(opt, saved({{{"w", {50, 100}}, {"b", {300}, "g"}}, {{"g", 0.5}}}));
}

TEST(state, damaged_is_refused) {
  const snapshot good = saved(two());
  const auto with = [&](auto const& change) {
    snapshot s = good;
    change(s.pieces);
    return s;
  };
  using list = std::vector<snapshot::piece>;
  expect_refusal(with([](list& p) { p.pop_back(); }), "a saved state", "v", "its end");
  expect_refusal(with([](list& p) { p.clear(); }), "a saved state", "step", "its end");
  expect_refusal(with([](list& p) { p.push_back(p[2]); }), "the count of pieces of a saved state", "4", "5");
  expect_refusal(with([](list& p) { std::swap(p[2], p[3]); }), "a piece of a saved state", "m", "v");
  expect_refusal(with([](list& p) { p[2].type = "double"; }), "the type of 'm' in a saved state", "float", "double");
  expect_refusal(with([](list& p) { p[2].role = frugal::role::scales; }), "the role of 'm' in a saved state", "", "");
  expect_refusal(with([](list& p) { p[3].count = 5307, p[3].bytes.resize(4 * 5307); }),
                 "the size of 'v' in a saved state", "5308", "5307");
  for (const std::int64_t n : {std::int64_t(-1), (std::int64_t(1) << 62) + 1})
    expect_refusal(with([&](list& p) { memcpy(p[0].bytes.data(), &n, 8); }), "the count 'step' in a saved state",
                   "[0, 2^62]", std::to_string(n));
  // 8-bit states from other tensors of the same model.
  const snapshot coded = saved(two(), frugal::blockwise8{.min_size = 1});
  expect_refusal(coded, "a piece of a saved state", "m", "m.codes", two(), frugal::blockwise8{});
}

// What was expected is not what was got, also where only the bytes are too few.
TEST(state, truncated_is_refused) {
  for (std::size_t piece : {0, 1, 2, 3})
    for (int more : {-1, 1}) {
      snapshot s = saved(two());
      s.pieces[piece].bytes.resize(std::size_t(int(s.pieces[piece].bytes.size()) + more));
      auto opt = trained(two()), twin = trained(two());
      try {
        frugal::restore_state(opt, s);
        ADD_FAILURE() << piece;
      } catch (frugal::invalid_argument const& e) {
        const std::string text = e.what(), name = "'" + s.pieces[piece].name + "'";
        const auto expected = text.find("expected "), got = text.find(", got ");
        ASSERT_NE(expected, std::string::npos) << text;
        ASSERT_NE(got, std::string::npos) << text;
        EXPECT_NE(text.find(name), std::string::npos) << text;
        EXPECT_NE(text.substr(expected + 9, got - expected - 9), text.substr(got + 6)) << text;
      }
      EXPECT_TRUE(same_bits(frugal::save_state(twin), frugal::save_state(opt)));
    }
}

// Saved from one backend, refused by another: nothing has changed there either.
TEST(state, refusals_on_a_device) {
  frugal::emulated_backend gpu;
  frugal::adamw opt(gpu, two(), {}, frugal::blockwise8{});
  const snapshot before = frugal::save_state(opt);
  snapshot s = saved(two(), frugal::blockwise8{});
  s.pieces.back().bytes.pop_back();
  EXPECT_THROW(frugal::restore_state(opt, s), frugal::invalid_argument);
  EXPECT_TRUE(same_bits(before, frugal::save_state(opt)));
}

}  // namespace
