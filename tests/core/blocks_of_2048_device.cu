// SPDX-License-Identifier: Apache-2.0
// 8-bit states in blocks of 2048 on a GPU: a team of 512 threads, whose scratch has two states and drawn numbers.
#include <frugal/optim/adamw.hpp>

#include "support/device.hpp"

namespace {
using namespace frugal_test;

template <class Backend>
std::vector<unsigned char> steps(Backend const& b) {
  const frugal::layout l{{"w", {300, 71}}, {"v", {5000}}};
  std::vector<frugal::bf16> x;
  for (float f : device_numbers<float>(l.size(), 7)) x.push_back(frugal::to_bf16(f));
  frugal::buffer<frugal::bf16, Backend> there(b, x);
  frugal::buffer<float, Backend> g(b, l.size());
  frugal::adamw opt(b, l, {}, frugal::types<frugal::bf16, float>{}, frugal::stochastic{.seed = 7},
                    frugal::blockwise8_2048{});
  for (std::uint32_t t = 1; t <= 4; ++t) {
    frugal::to_backend(b, g.view(), device_numbers<float>(l.size(), t));
    opt.step(there.view(), g.view());
  }
  const auto now = frugal::to_host(b, there.view());
  auto const* bytes = reinterpret_cast<unsigned char const*>(now.data());
  return {bytes, bytes + now.size() * sizeof(frugal::bf16)};
}
bool run(device_backend const& b) { return steps(frugal::serial_backend{}) == steps(b); }
[[maybe_unused]] const int added = add_device_check("blocks of 2048", &run);

}  // namespace
