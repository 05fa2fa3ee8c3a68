// SPDX-License-Identifier: Apache-2.0
// Steps of what works on layers, saved and restored on the way: the same on a device as on the CPU.
#pragma once
#include "support/device.hpp"

namespace frugal_test {

inline const frugal::layout device_layers{
    {"a.weight", {300, 70}}, {"a.bias", {300}}, {"b.weight", {5, 300}}, {"c", {99}}};

template <class Pre>
std::vector<float> directions(Pre& pre) {
  auto const& b = pre.backend();
  using space = typename Pre::space;
  std::vector<float> all;
  const auto steps = [&](std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t t = first; t < last; ++t) {
      for (frugal::index_t l = 0; l < 2; ++l) {
        const frugal::index_t in = l ? 300 : 70, out = l ? 5 : 300;
        const frugal::buffer a(b, device_numbers<float>(20 * in, 10 * t + 1)),
            d(b, device_numbers<float>(20 * out, 10 * t + 2));
        pre.observe(l, frugal::mat_view<float, space>(a.data(), 20, in),
                    frugal::mat_view<float, space>(d.data(), 20, out));
      }
      const frugal::buffer g(b, device_numbers<float>(device_layers.size(), 10 * t));
      pre.precondition(g.view());
      const auto now = frugal::to_host(b, g.view());
      all.insert(all.end(), now.begin(), now.end());
    }
  };
  steps(0, 3);
  const frugal::snapshot saved = frugal::save_state(pre);
  steps(3, 5);
  frugal::restore_state(pre, saved);
  steps(3, 5);
  return all;
}

}  // namespace frugal_test
