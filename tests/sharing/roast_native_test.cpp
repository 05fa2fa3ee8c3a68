// SPDX-License-Identifier: Apache-2.0
// This processor's widest registers against loops over single weights: the bits are the same.
#include <frugal/sharing/roast.hpp>

#include <cmath>

#include "support/backends.hpp"

namespace {
using namespace frugal_test;
using frugal::index_t;
using frugal::detail::cyclic_fold;
using frugal::detail::product;

// Weights, and then sums over slots, as the formulas have them.
std::vector<float> by_single_weights(frugal::layout const& l, cyclic_fold const& map, std::vector<double> const& scales,
                                     std::vector<float> const& z, std::vector<float> const& g) {
  const auto m = std::size_t(map.slots);
  std::vector<float> w, dz(m);
  std::vector<double> gamma(m), count(m);
  for (auto const& t : l.tensors())
    for (index_t j = t.offset; j < t.offset + t.size; ++j) {
      const auto i = std::size_t((map.rotation(j / map.slots) + j % map.slots) % map.slots);
      const auto lambda = float(scales[std::size_t(&t - l.tensors().data())]);
      const float factor = map.signs.word(0, std::uint64_t(j / 32)) >> (j % 32) & 1 ? -lambda : lambda;
      w.push_back(product(factor, z[i]));
      dz[i] += product(factor, g[std::size_t(j)]);
      gamma[i] += double(lambda);
      count[i] += 1;
    }
  for (std::size_t i = 0; i < m; ++i)
    if (count[i] > 0) dz[i] /= float(product(gamma[i], gamma[i]) / count[i]);
  w.insert(w.end(), dz.begin(), dz.end());
  return w;
}

TEST(roast_native, gives_the_same_bits) {
  const frugal::serial_backend cpu;
  const std::vector<double> scales{0.3, 2, 1.1};
  for (auto const& l : {frugal::layout{{"a", {300}}, {"b", {70, 31}}, {"c", {5}}},
                        frugal::layout{{"a", {40000}}, {"b", {3}}, {"c", {20001}}}})
    for (index_t m : {17, 1000, 5000, 30000}) {
      frugal::roast r(cpu, l, {.slots = m, .seed = 2, .scales = scales});
      std::vector<float> z(static_cast<std::size_t>(m));
      r.initialise(z);
      const frugal::random_stream first{frugal::random_stream{2}.derive(cyclic_fold::tag + 2)};
      for (index_t i = 0; i < m; ++i)
        ASSERT_EQ(z[std::size_t(i)], product(0.05f, frugal::u11(first.word(0, std::uint64_t(i)))));
      const auto g = numbers(l.size(), 9);
      const auto expected = by_single_weights(l, cyclic_fold(l.size(), m, 2), scales, z, g);
      for (index_t offset : {0, 3}) {
        using memory = there<float, frugal::serial_backend>;
        const memory from(cpu, z, offset), gradient(cpu, g, offset);
        const memory w(cpu, g, offset), dz(cpu, z);
        r.forward(from.constant(), w.all());
        r.backward(gradient.constant(), dz.all());
        std::vector<float> got = w.get();
        for (float x : dz.get()) got.push_back(x);
        EXPECT_TRUE(same_bits(expected, got)) << m << " slots, offset " << offset;
      }
    }
}

}  // namespace
