// SPDX-License-Identifier: Apache-2.0
// Steps of what works on layers, whose bits are the same everywhere. Tests on the host compare its backends with each
// other, and serial with the digests here; a device is compared with the digests, in a program without the serial
// backend.
#pragma once
#include <frugal/core/state.hpp>
#include <stdexcept>

#include "support/device_numbers.hpp"

namespace frugal_test {

inline constexpr std::uint64_t mkor_digest = 13931491620752914577u, mkor_digest_of_half = 15911080282036108750u,
                               kfac_digest = 2137611570093478384u;

inline const frugal::layout device_layers{
    {"a.weight", {300, 70}}, {"a.bias", {300}}, {"b.weight", {5, 300}}, {"c", {99}}};

// Five steps with the state saved and restored on the way, and what went into the last two once more: the directions,
// and the matrices after them. The layers are the layout's tensors of two axes or more.
template <class Pre>
std::vector<float> directions(Pre pre) {
  auto const& b = pre.backend();
  using space = typename Pre::space;
  std::vector<float> all;
  const auto append = [&](float const* p, frugal::index_t n) {
    const auto now = frugal::to_host(b, frugal::view<float const, space>(p, n));
    all.insert(all.end(), now.begin(), now.end());
  };
  const auto steps = [&](std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t t = first; t < last; ++t) {
      frugal::index_t l = 0;
      for (frugal::tensor const& weight : pre.layout().tensors()) {
        if (weight.shape.size() < 2) continue;
        const frugal::index_t rows = 20 - 7 * l, out = weight.shape[0], in = weight.size / out;
        const frugal::buffer a(b, device_numbers<float>(rows * in, 10 * t + 1)),
            d(b, device_numbers<float>(rows * out, 10 * t + 2));
        pre.observe(l++, frugal::mat_view<float, space>(a.data(), rows, in),
                    frugal::mat_view<float, space>(d.data(), rows, out));
      }
      const frugal::buffer g(b, device_numbers<float>(pre.layout().size(), 10 * t));
      pre.precondition(g.view());
      append(g.data(), g.size());
    }
  };
  steps(0, 3);
  const frugal::snapshot saved = frugal::save_state(pre);
  steps(3, 5);
  frugal::restore_state(pre, saved);
  steps(3, 5);
  const auto two = 2 * std::size_t(pre.layout().size());
  if (!std::equal(all.end() - std::ptrdiff_t(two), all.end(), all.end() - std::ptrdiff_t(2 * two)))
    throw std::runtime_error("a state that was restored leads elsewhere");
  for (frugal::index_t l = 0; l < pre.layers(); ++l)
    for (auto const& m : {pre.input_factor(l), pre.output_factor(l)}) append(m.data(), m.rows() * m.cols());
  return all;
}

}  // namespace frugal_test
