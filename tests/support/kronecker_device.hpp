// SPDX-License-Identifier: Apache-2.0
// SOAP and Shampoo on the GPU of this build's vendor: parameters and states must be those of the serial backend, bit
// for bit.
#pragma once
#include "device.hpp"

namespace frugal_test {

// Steps, saved and restored in the middle.
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
inline frugal::layout const& few_tensors() {
  static const frugal::layout l{{"w", {60, 41}}, {"t", {5, 6, 7}}, {"b", {300}}};
  return l;
}

}  // namespace frugal_test
