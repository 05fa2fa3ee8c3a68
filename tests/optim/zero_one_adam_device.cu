// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/zero_one_adam.hpp>

#include "support/device.hpp"

namespace {
using namespace frugal_test;

// Steps and meetings of a rank that is alone; tensors in 8 bits and in full.
template <class Backend>
std::vector<float> meetings(Backend const& b) {
  const frugal::layout l{{"w", {300, 70}}, {"b", {70}}, {"v", {5000}}};
  frugal::buffer<float, Backend> x(b, device_numbers<float>(l.size(), 3)), g(b, l.size()), z(b, l.size());
  frugal::zero_one_adam opt(b, l, {.lr = 1e-2, .freeze_step = 2, .local_scaler = 1}, frugal::blockwise8{});
  for (std::uint32_t t = 1; t <= 6; ++t) {
    frugal::to_backend(b, g.view(), device_numbers<float>(l.size(), t));
    opt.step(x.view(), g.view());
    if (!opt.meets()) continue;
    opt.difference(x.view(), z.view());
    opt.meet(x.view(), z.view());
  }
  return frugal::to_host(b, x.view());
}
bool run(device_backend const& b) { return meetings(frugal::serial_backend{}) == meetings(b); }
[[maybe_unused]] const int added = add_device_check("zero_one_adam", &run);

}  // namespace
