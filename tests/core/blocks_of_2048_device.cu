// SPDX-License-Identifier: Apache-2.0
// 8-bit states in blocks of 2048 on a GPU: a team of 512 threads. A rule that measures, and one with drawn numbers.
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lamb.hpp>

#include "support/device.hpp"

namespace {
using namespace frugal_test;

template <class Backend>
std::vector<frugal::bf16> rounded_at_random(Backend const& b) {
  const frugal::index_t n = 5000;
  std::vector<frugal::bf16> x;
  for (float f : device_numbers<float>(n, 7)) x.push_back(frugal::to_bf16(f));
  frugal::buffer<frugal::bf16, Backend> there(b, x);
  frugal::buffer<float, Backend> g(b, device_numbers<float>(n, 1));
  frugal::adamw opt(b, n, {}, frugal::types<frugal::bf16, float>{}, frugal::stochastic{.seed = 7},
                    frugal::blockwise8_2048{});
  for (int t = 0; t < 3; ++t) opt.step(there.view(), g.view());
  return frugal::to_host(b, there.view());
}
bool run(device_backend const& b) {
  const auto here = rounded_at_random(frugal::serial_backend{}), there = rounded_at_random(b);
  return same_on_device<frugal::lamb>(b, frugal::blockwise8_2048{}) &&
         std::memcmp(here.data(), there.data(), here.size() * sizeof(frugal::bf16)) == 0;
}
[[maybe_unused]] const int added = add_device_check("blocks of 2048", &run);

}  // namespace
