// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/schedule_free_adamw.hpp>

#include "support/device.hpp"

namespace frugal_test {

// Steps, and the average in place: of 8-bit states, which small tensors have in full.
template <class Backend>
std::vector<float> averages(Backend b) {
  const frugal::layout l{{"w", {300, 70}}, {"b", {70}}, {"v", {5000}}};
  const auto numbers = device_numbers<float>(l.size(), 3);
  frugal::buffer<float, Backend> y(b, numbers), g(b, numbers);
  frugal::schedule_free_adamw opt(b, l, {.lr = 1e-2, .warmup = 2}, frugal::blockwise8{});
  for (int t = 0; t < 3; ++t) opt.step(y.view(), g.view());
  opt.evaluation_mode(y.view(), g.view());
  return frugal::to_host(b, y.view());
}
bool schedule_free_on_device(device_backend const& b) {
  return optimizer_on_device<frugal::schedule_free_adamw>(b, {.warmup = 2}) &&
         averages(frugal::serial_backend{}) == averages(b);
}

}  // namespace frugal_test

FRUGAL_TEST_INSTANTIATE(frugal::schedule_free_adamw_rule)
[[maybe_unused]] static const int added =
    frugal_test::add_device_check("schedule_free_adamw", &frugal_test::schedule_free_on_device);
