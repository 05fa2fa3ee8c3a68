// SPDX-License-Identifier: Apache-2.0
// Parameters of 16 bits on a GPU: half, and the roundings that draw and that keep a copy. One rule stands for all.
#include <frugal/optim/lion.hpp>

#include "support/device.hpp"

namespace {
using namespace frugal_test;
using frugal::bf16, frugal::half, frugal::index_t;

// Tensors whose addresses are not their offsets; lines of 4 are whole in some of them only.
template <class P, class Backend, class... Policies>
std::vector<unsigned char> steps(Backend const& b, Policies const&... policies) {
  const frugal::layout l{{"w", {300, 71}}, {"b", {71}}, {"v", {5000}}};
  std::vector<P> x;
  for (float f : device_numbers<float>(l.size(), 7)) {
    if constexpr (std::is_same_v<P, half>) x.push_back(frugal::to_half(f));
    else x.push_back(frugal::to_bf16(f));
  }
  frugal::buffer<P, Backend> there(b, x);
  frugal::buffer<float, Backend> g(b, l.size());
  frugal::lion opt(b, l, {.lr = 1e-3, .weight_decay = 0.05}, frugal::types<P, float>{}, policies...);
  for (std::uint32_t t = 1; t <= 4; ++t) {
    frugal::to_backend(b, g.view(), device_numbers<float>(l.size(), t));
    opt.step(there.view(), g.view());
  }
  const auto now = frugal::to_host(b, there.view());
  auto const* bytes = reinterpret_cast<unsigned char const*>(now.data());
  return {bytes, bytes + now.size() * sizeof(P)};
}
template <class P, class... Policies>
bool same(device_backend const& b, Policies const&... policies) {
  return steps<P>(frugal::serial_backend{}, policies...) == steps<P>(b, policies...);
}
bool run(device_backend const& b) {
  std::vector<index_t> some;
  for (index_t i = 0; i < 26000; i += 1 + i % 5) some.push_back(i);
  const frugal::stochastic random{.seed = 7};
  const frugal::float_master master;
  return same<half>(b) && same<half>(b, random) && same<half>(b, master) && same<bf16>(b, random) &&
         same<bf16>(b, master) && same<bf16>(b, random, frugal::blockwise8{}) &&
         same<bf16>(b, master, frugal::blockwise8{}) && same<half>(b, random, frugal::indices{some});
}
[[maybe_unused]] const int added = add_device_check("rounding", &run);

}  // namespace
