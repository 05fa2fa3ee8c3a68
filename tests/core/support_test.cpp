// SPDX-License-Identifier: Apache-2.0
// What a support makes of a layout: segments, and the table that kernels read.
#include <frugal/core/support.hpp>

#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t, frugal::layout, frugal::segment;

layout four() {
  return {{{"a", {10}}, {"none", {0}}, {"b", {2, 3}, "g"}, {"c", {5}}}, {{"g"}}};  // [0, 10), [10, 16), [16, 21)
}

template <class Support>
std::vector<segment> segments(Support const& s, layout const& l = four()) {
  std::vector<segment> out;
  frugal::detail::support_traits<Support>::segments(s, l, out);
  return out;
}
template <class Support>
auto table(Support const& s, layout const& l = four()) {
  return frugal::detail::support_traits<Support>::table(s, l);
}
// Segments as numbers: tensor, size, flat, inner, listed, group.
std::vector<std::vector<index_t>> shown(std::vector<segment> const& all) {
  std::vector<std::vector<index_t>> out;
  for (segment const& s : all) out.push_back({s.tensor, s.size, s.flat, s.inner, s.listed, s.group});
  return out;
}
using rows = std::vector<std::vector<index_t>>;

TEST(support, all) {
  EXPECT_EQ(shown(segments(frugal::all{})),
            (rows{{0, 10, 0, 0, 0, 0}, {1, 0, 10, 0, 0, 0}, {2, 6, 10, 0, 0, 1}, {3, 5, 16, 0, 0, 0}}));
  EXPECT_TRUE(table(frugal::all{}).empty());
}

TEST(support, range) {
  EXPECT_EQ(shown(segments(frugal::range{0, 21})),
            (rows{{0, 10, 0, 0, 0, 0}, {2, 6, 10, 0, 0, 1}, {3, 5, 16, 0, 0, 0}}));
  EXPECT_EQ(shown(segments(frugal::range{3, 12})), (rows{{0, 7, 3, 3, 0, 0}, {2, 2, 10, 0, 0, 1}}));
  EXPECT_EQ(shown(segments(frugal::range{11, 13})), (rows{{2, 2, 11, 1, 0, 1}}));
  EXPECT_EQ(shown(segments(frugal::range{16, 21})), (rows{{3, 5, 16, 0, 0, 0}}));
  for (index_t at : {0, 5, 10, 21}) EXPECT_TRUE(segments(frugal::range{at, at}).empty());
}

TEST(support, mask) {
  frugal::mask m{std::vector<std::uint8_t>(21)};
  m.on[4] = 1;
  m.on[17] = 255;
  EXPECT_EQ(shown(segments(m)), shown(segments(frugal::all{})));
  EXPECT_EQ(table(m), m.on);
}

TEST(support, indices) {
  const frugal::indices list{{0, 3, 9, 12, 16, 20}};
  EXPECT_EQ(shown(segments(list)), (rows{{0, 3, 0, 0, 0, 0}, {2, 1, 10, 0, 3, 1}, {3, 2, 16, 0, 4, 0}}));
  EXPECT_EQ(table(list), (std::vector<std::uint32_t>{0, 3, 9, 2, 0, 4}));  // counted in their tensors
  EXPECT_EQ(shown(segments(frugal::indices{{15}})), (rows{{2, 1, 10, 0, 0, 1}}));
  EXPECT_TRUE(segments(frugal::indices{}).empty());
  // Coordinates past 2^32 in the model, small in their tensors.
  const layout large{{"a", {index_t(1) << 33, 0}}, {"b", {index_t(1) << 32}}, {"c", {10}}};
  const frugal::indices far{{(index_t(1) << 32) - 1, (index_t(1) << 32) + 9}};
  EXPECT_EQ(shown(segments(far, large)), (rows{{1, 1, 0, 0, 0, 0}, {2, 1, index_t(1) << 32, 0, 1, 0}}));
  EXPECT_EQ(table(far, large), (std::vector<std::uint32_t>{0xffffffff, 9}));
}

TEST(support, refusals) {
  const auto of = [](auto const& s) { return [=] { segments(s); }; };
  const std::string bounds = "0 <= begin <= end <= 21";
  EXPECT_TRUE(refused(of(frugal::range{-1, 5}), "a range", bounds, "[-1, 5)"));
  EXPECT_TRUE(refused(of(frugal::range{5, 4}), "a range", bounds, "[5, 4)"));
  EXPECT_TRUE(refused(of(frugal::range{5, 22}), "a range", bounds, "[5, 22)"));
  EXPECT_TRUE(refused(of(frugal::range{22, 22}), "a range", bounds, "[22, 22)"));
  EXPECT_TRUE(refused(of(frugal::mask{std::vector<std::uint8_t>(20)}), "the size of a mask", "21", "20"));
  EXPECT_TRUE(refused(of(frugal::mask{}), "the size of a mask", "21", "0"));
  const std::string ascending = "strictly ascending coordinates below 21";
  EXPECT_TRUE(refused(of(frugal::indices{{3, 2}}), "an index list", ascending, "2 after 3"));
  EXPECT_TRUE(refused(of(frugal::indices{{3, 3}}), "an index list", ascending, "3 after 3"));
  EXPECT_TRUE(refused(of(frugal::indices{{3, 21}}), "an index list", ascending, "21 after 3"));
  EXPECT_TRUE(refused(of(frugal::indices{{-1}}), "an index list", ascending, "-1"));
  EXPECT_TRUE(refused(
      [] {
        segments(frugal::indices{{0}}, {{"w", {(index_t(1) << 32) + 1}}});
      },
      "the size of a tensor with an index list", "at most 2^32", "4294967297"));
}

}  // namespace
