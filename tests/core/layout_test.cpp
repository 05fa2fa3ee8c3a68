// SPDX-License-Identifier: Apache-2.0
#include <frugal/core/layout.hpp>

#include <limits>

#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t, frugal::layout, frugal::tensor_spec;

TEST(layout, tensors_follow_each_other) {
  const layout l{{"w", {3, 5}}, {"scalar", {}}, {"none", {7, 0}}, {"b", {200}}, {"c", {128}}, {"d", {1, 1, 2}}};
  const std::vector<index_t> sizes{15, 1, 0, 200, 128, 2}, offsets{0, 15, 16, 16, 216, 344};
  const std::vector<std::uint64_t> addresses{0, 128, 256, 256, 512, 640};
  ASSERT_EQ(l.tensors().size(), 6u);
  EXPECT_EQ(l.size(), 346);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(l.tensors()[i].size, sizes[i]) << i;
    EXPECT_EQ(l.tensors()[i].offset, offsets[i]) << i;
    EXPECT_EQ(l.tensors()[i].address, addresses[i]) << i;
    EXPECT_EQ(l.tensors()[i].address % 128, 0u) << i;
    EXPECT_EQ(l.tensors()[i].group, 0) << i;
  }
  EXPECT_EQ(l.tensors()[0].name, "w");
  EXPECT_EQ(l.tensors()[0].shape, (std::vector<index_t>{3, 5}));
}

TEST(layout, of_a_count) {
  for (const layout& l : {layout(5), layout(5u), layout(std::size_t(5)), layout(short(5))}) {
    ASSERT_EQ(l.tensors().size(), 1u);
    EXPECT_EQ(l.size(), 5);
    EXPECT_EQ(l.tensors()[0].shape, std::vector<index_t>{5});
    EXPECT_EQ(l.hash(), layout(5).hash());
  }
  EXPECT_EQ(layout(0).size(), 0);
  EXPECT_EQ(layout(std::vector<tensor_spec>{}).tensors().size(), 0u);
  EXPECT_EQ(layout(index_t(1) << 60).size(), index_t(1) << 60);
}

TEST(layout, hash_is_of_names_shapes_and_order) {
  const std::vector<layout> all{{{"a", {2, 3}}, {"b", {4}}},
                                {{"b", {4}}, {"a", {2, 3}}},      // order
                                {{"a", {3, 2}}, {"b", {4}}},      // shape
                                {{"a", {6}}, {"b", {4}}},         // rank
                                {{"a", {2, 3}}, {"c", {4}}},      // name
                                {{"ab", {2, 3}}, {"", {4}}},      // where a name ends
                                {{"a", {2, 3}}},                  // count
                                {{"a", {2}}, {"b", {3, 4}}},      // where a shape ends
                                {{"a", {2, 3}}, {"b", {4, 1}}}};  // a trailing one
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t k = 0; k < all.size(); ++k) EXPECT_EQ(all[i].hash() == all[k].hash(), i == k) << i << " " << k;
  EXPECT_EQ(all[0].hash(), layout(std::vector<tensor_spec>{{"a", {2, 3}}, {"b", {4}}}).hash());
  // Two runs may treat the same tensors differently.
  EXPECT_EQ(all[0].hash(), (layout{{{"a", {2, 3}, "g"}, {"b", {4}}}, {{"g", 0.5}}}.hash()));
  // FNV-1a of both, computed elsewhere: saved states outlive a build.
  EXPECT_EQ(all[0].hash(), 253764637525427592u);
}

TEST(layout, groups) {
  const layout l{{{"a", {2}}, {"b", {3}, "slow"}, {"c", {4}, "default"}, {"d", {5}, "frozen"}},
                 {{"slow", 0.5, 0.}, {"frozen", 1., 1., true}, {"unused"}}};
  ASSERT_EQ(l.groups().size(), 4u);
  const auto of = [&](std::size_t i) { return l.groups()[std::size_t(l.tensors()[i].group)]; };
  EXPECT_EQ(of(0).name, "default");
  EXPECT_EQ(of(0).lr, 1);
  EXPECT_EQ(of(0).weight_decay, 1);
  EXPECT_FALSE(of(0).frozen);
  EXPECT_EQ(of(1).name, "slow");
  EXPECT_EQ(of(1).lr, 0.5);
  EXPECT_EQ(of(1).weight_decay, 0);
  EXPECT_EQ(of(2).name, "default");
  EXPECT_TRUE(of(3).frozen);
}

TEST(layout, of_marked_tensors) {
  const layout l{{{"a", {2}}, {"b", {3}, "slow"}, {"c", {4}}}, {{"slow", 0.5}}};
  const layout once = l.only_tensors({true, true, false}), twice = once.only_tensors({true, false, false});
  const auto frozen = [](layout const& of, std::size_t i) {
    return of.groups()[std::size_t(of.tensors()[i].group)].frozen;
  };
  EXPECT_TRUE(!frozen(once, 0) && !frozen(once, 1) && frozen(once, 2));
  EXPECT_TRUE(!frozen(twice, 0) && frozen(twice, 1) && frozen(twice, 2));
  EXPECT_EQ(once.groups().size(), 3u);
  EXPECT_EQ(twice.groups().size(), 3u) << "a name for each group";
  EXPECT_EQ(twice.hash(), l.hash());
  const layout taken{{{"a", {2}, "elsewhere"}, {"b", {3}}}, {{"elsewhere", 0.5}}};
  EXPECT_TRUE(refused(
      [&] {
        taken.only_tensors({true, false});
      },
      "group 'elsewhere'", "frozen: it takes what has no mark", "one that moves"));
}

TEST(layout, refusals) {
  const auto of = [](std::vector<tensor_spec> const& t, std::vector<frugal::group> const& g = {}) {
    return [=] { layout(t, g); };
  };
  const index_t big = index_t(1) << 40;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(refused([] { layout(-1); }, "an extent of tensor 'flat'", ">= 0", "-1"));
  EXPECT_TRUE(refused(of({{"w", {3, -2}}}), "an extent of tensor 'w'", ">= 0", "-2"));
  EXPECT_TRUE(refused(of({{"w", {big, big}}}), "the size of tensor 'w'", "at most 2^60", "more"));
  EXPECT_TRUE(refused([] { layout(~std::uint64_t(0) >> 1); }, "the size of tensor 'flat'", "at most 2^60", "more"));
  EXPECT_TRUE(refused(of({{"v", {index_t(1) << 60}}, {"w", {1}}}), "the size of the model", "at most 2^60", "more"));
  EXPECT_TRUE(refused(of({{"w", {3}}, {"v", {3}}, {"w", {2}}}), "tensor 'w'", "a name of its own", "a second one"));
  EXPECT_TRUE(refused(of({{"w", {3}, "fast"}}), "the group of tensor 'w'", "one of the layout's groups", "'fast'"));
  EXPECT_TRUE(refused(of({{"w", {3}}}, {{"g"}, {"h"}, {"g"}}), "group 'g'", "a name of its own", "a second one"));
  EXPECT_TRUE(refused(of({{"w", {3}}}, {{"default"}}), "group 'default'", "a name of its own", "a second one"));
  EXPECT_TRUE(refused(of({{"w", {3}}}, {{"g", -1.}}), "a group's lr factor", "[0, 1e+300]", "-1"));
  EXPECT_TRUE(refused(of({{"w", {3}}}, {{"g", nan}}), "a group's lr factor", "[0, 1e+300]", "nan"));
  EXPECT_TRUE(refused(of({{"w", {3}}}, {{"g", 1., -1.}}), "a group's weight_decay factor", "[0, 1e+300]", "-1"));
  EXPECT_TRUE(refused(of({{"w", {3}}}, {{"g", 1., 1e301}}), "a group's weight_decay factor", "[0, 1e+300]", "1e+301"));
}

}  // namespace
