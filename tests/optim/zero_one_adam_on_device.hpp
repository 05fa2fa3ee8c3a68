// SPDX-License-Identifier: Apache-2.0
// Steps and meetings of 0/1 Adam, whose bits are the same everywhere. A test on the host holds serial to the digest
// here; a device is compared with it, in a program without the serial backend.
#pragma once
#include <frugal/optim/zero_one_adam.hpp>

#include "support/device_numbers.hpp"

namespace frugal_test {

inline constexpr std::uint64_t zero_one_adam_digest = 2215479518533556773u;

// A rank that is alone; tensors in 8 bits and in full.
template <class Backend>
std::uint64_t meetings(Backend const& b) {
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
  return digest_of(frugal::to_host(b, x.view()));
}

}  // namespace frugal_test
