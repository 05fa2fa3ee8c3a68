// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/momentum.hpp>
#include <frugal/optim/sam.hpp>

#include "support/device.hpp"

namespace frugal_test {

// What SAM needs of a GPU, in float and bf16; a gradient that does not depend on x is enough.
template <class P, class Backend>
std::vector<P> sharpness_aware(Backend b, bool adaptive) {
  const frugal::layout l{{"w", {300, 70}}, {"b", {70}}, {"v", {5000}}};
  const auto numbers = device_numbers<P>(l.size(), 3);
  frugal::buffer<P, Backend> x(b, numbers), g(b, numbers), edge(b, numbers);
  frugal::sam opt(frugal::momentum(b, l, {.lr = 1e-2}, frugal::types<P>{}), {.rho = 5, .adaptive = adaptive});
  opt.step(x.view(), frugal::view<P const, typename Backend::space>(g.view()),
           [&] { b.copy(edge.data(), x.data(), x.bytes()); });
  auto both = frugal::to_host(b, x.view());
  for (P const& p : frugal::to_host(b, edge.view())) both.push_back(p);
  return both;
}
template <class P>
bool same_sharpness_aware(device_backend const& b) {
  for (bool adaptive : {false, true}) {
    const auto here = sharpness_aware<P>(frugal::serial_backend{}, adaptive), there = sharpness_aware<P>(b, adaptive);
    if (std::memcmp(here.data(), there.data(), here.size() * sizeof(P)) != 0) return false;
  }
  return true;
}
bool sam_on_device(device_backend const& b) {
  return same_sharpness_aware<float>(b) && same_sharpness_aware<frugal::bf16>(b);
}

}  // namespace frugal_test

[[maybe_unused]] static const int added = frugal_test::add_device_check("sam", &frugal_test::sam_on_device);
