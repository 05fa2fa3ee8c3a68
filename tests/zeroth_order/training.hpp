// SPDX-License-Identifier: Apache-2.0
// A few steps of MeZO as a digest: what a device and this processor's widest registers give is what a test on the host
// holds serial to.
#pragma once
#include <frugal/core/hash.hpp>
#include <frugal/zeroth_order/mezo.hpp>

#include "support/device_numbers.hpp"

namespace frugal_test {

inline const frugal::mezo_config few_steps{
    .lr = 1e-2, .epsilon = 0.1, .weight_decay = 0.1, .momentum = 0.5, .directions = 2, .seed = 5};
inline frugal::layout few_tensors() { return {{"w", {300, 70}}, {"b", {70}}, {"v", {5001}}}; }

constexpr std::uint64_t mezo_digest = 0x0c31c337ab8aa192, mezo_digest_of_signs = 0x62e88ff7da2e450a,
                        mezo_digest_of_signs_in_16_bits = 0x7bbdaa5c78334517;

// Probes, steps, several directions in a pass, a gradient; between(zo) is called in the middle.
template <class Backend, class Types, class Between>
std::uint64_t trained(frugal::detail::mezo_of_any_direction<Backend, Types>& zo, Between const& between) {
  using P = typename Types::param;
  Backend const& b = zo.backend();
  const frugal::index_t n = zo.layout().size();
  frugal::buffer<P, Backend> x(b, device_numbers<P>(n, 7)), g(b, n);
  double loss = 1;
  for (int t = 0; t < 4; ++t) {
    if (t == 2) between(zo);
    zo.step(x.view(), [&] { return loss = 1.25 * loss - 2; });
    zo.apply(x.view(), zo.update(std::vector<double>(11, 0.1 * t)));
  }
  zo.gradient(g.view(), {1, -2});
  const std::vector<P> there = frugal::to_host(b, x.view()), gradient = frugal::to_host(b, g.view());
  const std::size_t bytes = there.size() * sizeof(P);
  return frugal::word_hash(gradient.data(), bytes, frugal::word_hash(there.data(), bytes));
}

}  // namespace frugal_test
