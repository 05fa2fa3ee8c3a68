// SPDX-License-Identifier: Apache-2.0
#include <frugal/zeroth_order/mezo.hpp>

#include "support/device.hpp"

namespace {
using namespace frugal_test;
using frugal::bf16;
using frugal::types;

// Probes, steps, save, restore, steps; several directions in a pass.
template <class Types, class Direction, class Restoration, class Backend>
std::vector<typename Types::param> trained(Backend b, Direction kind, Restoration back) {
  using P = typename Types::param;
  const frugal::layout l{{"w", {300, 70}}, {"b", {70}}, {"v", {5001}}};
  frugal::buffer<P, Backend> x(b, device_numbers<P>(l.size(), 7)), g(b, l.size());
  frugal::mezo zo(b, l, {.lr = 1e-2, .epsilon = 0.1, .weight_decay = 0.1, .momentum = 0.5, .directions = 2, .seed = 5},
                  kind, Types{}, back);
  double loss = 1;
  for (int t = 0; t < 4; ++t) {
    if (t == 2) frugal::restore_state(zo, frugal::save_state(zo));
    zo.step(x.view(), [&] { return loss = 1.25 * loss - 2; });
    zo.apply(x.view(), zo.update(std::vector<double>(11, 0.1 * t)));
  }
  zo.gradient(g.view(), {1, -2});
  auto all = frugal::to_host(b, x.view());
  for (P v : frugal::to_host(b, g.view())) all.push_back(v);
  return all;
}
template <class Types, class Direction, class Restoration>
bool same(device_backend const& b, Direction kind, Restoration back) {
  const auto here = trained<Types>(frugal::serial_backend{}, kind, back), there = trained<Types>(b, kind, back);
  return here.size() == there.size() && std::memcmp(here.data(), there.data(), here.size() * sizeof here[0]) == 0;
}
bool on_device(device_backend const& b) {
  return same<types<>>(b, frugal::gaussian{}, frugal::restored_in_place{}) &&
         same<types<bf16>>(b, frugal::rademacher{}, frugal::restored_from_copy{});
}
[[maybe_unused]] const int added = add_device_check("mezo", &on_device);
}  // namespace
