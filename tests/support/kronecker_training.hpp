// SPDX-License-Identifier: Apache-2.0
// Steps of SOAP and Shampoo, whose bits are the same everywhere. Tests on the host compare its backends with each
// other, and serial with the digests here; a device is compared with the digests, in a program without the serial
// backend.
#pragma once
#include <frugal/core/policy.hpp>
#include <frugal/core/state.hpp>

#include "device_numbers.hpp"

namespace frugal_test {

inline constexpr std::uint64_t soap_digest = 9792257524375188346u, soap_digest_in_16_bits = 15419750749443078867u,
                               shampoo_digest = 9928902501720976277u;

inline frugal::layout const& few_tensors() {
  static const frugal::layout l{{"w", {60, 41}}, {"t", {5, 6, 7}}, {"b", {300}}};
  return l;
}
template <class Config>
Config few_steps(frugal::index_t max_dim = Config{}.max_dim) {
  return {.lr = 0.01, .frequency = 2, .max_dim = max_dim};
}
using in_16_bits = frugal::types<frugal::bf16, float>;
inline constexpr frugal::stochastic at_random{3};

// Steps, saved and restored in the middle: parameters and state.
template <class P, class Optimizer>
std::vector<unsigned char> trained(Optimizer opt, int steps) {
  auto const& b = opt.backend();
  using B = std::decay_t<decltype(b)>;
  const frugal::index_t n = opt.layout().size();
  frugal::buffer<P, B> x(b, device_numbers<P>(n, 1));
  frugal::buffer<float, B> g(b, n);
  for (int t = 1; t <= steps; ++t) {
    frugal::to_backend(b, g.view(), device_numbers<float>(n, std::uint32_t(t + 1)));
    opt.step(x.view(), frugal::view<float const, typename B::space>(g.view()));
    if (t == steps / 2) frugal::restore_state(opt, frugal::save_state(opt));
  }
  std::vector<unsigned char> all;
  const auto add = [&](void const* p, std::size_t bytes) {
    all.insert(all.end(), static_cast<unsigned char const*>(p), static_cast<unsigned char const*>(p) + bytes);
  };
  const auto now = frugal::to_host(b, x.view());
  add(now.data(), now.size() * sizeof(P));
  const frugal::snapshot s = frugal::save_state(opt);
  for (auto const& p : s.pieces) add(p.bytes.data(), p.bytes.size());
  return all;
}

}  // namespace frugal_test
