// SPDX-License-Identifier: Apache-2.0
#include "training/mlp.hpp"

#include <gtest/gtest.h>

namespace {

TEST(mlp, gradient_by_hand_agrees_with_finite_differences) {
  for (std::uint64_t seed : {1, 2, 3}) EXPECT_LT(bench::gradient_error(seed), 1e-6);
}

TEST(mlp, shows_what_layers_are_given_and_the_derivatives_by_their_outputs) {
  using matrix = bench::mlp<double>::matrix;
  bench::mlp<double> net({6, 5, 4, 3});
  frugal::layout const layout = net.layout();
  std::vector<double> const p = net.initial(1);
  std::vector<double> g(p.size());
  matrix const x = matrix::Random(6, 7);
  std::uint8_t const labels[] = {0, 1, 2, 0, 1, 2, 0};
  std::vector<std::size_t> seen;
  std::vector<std::pair<frugal::index_t, matrix>> expected;
  net.loss(p, x, labels, g, [&](std::size_t layer, auto const& inputs, matrix const& derivatives) {
    seen.push_back(layer);
    auto const &weight = layout.tensors()[2 * layer], &bias = layout.tensors()[2 * layer + 1];
    matrix const of_weight = derivatives * inputs.transpose(), of_bias = derivatives.rowwise().sum();
    expected.push_back({weight.offset, of_weight});
    expected.push_back({bias.offset, of_bias});
  });
  EXPECT_EQ(seen, (std::vector<std::size_t>{2, 1, 0}));
  for (auto const& [offset, part] : expected)
    for (Eigen::Index i = 0; i < part.size(); ++i)
      EXPECT_NEAR(g[std::size_t(offset + i)], part.data()[i], 1e-14) << offset << " " << i;
}

}  // namespace
