// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/shampoo.hpp>

#include "support/kronecker_device.hpp"

using frugal_test::device_backend;
using narrow = frugal::types<frugal::bf16, float>;
template class frugal::shampoo<device_backend>;
template class frugal::shampoo<device_backend, narrow, frugal::stochastic>;

namespace {
const frugal::shampoo_config how{.lr = 0.01, .frequency = 2, .max_dim = 32};
bool on_device(device_backend const& b) {
  using frugal_test::few_tensors;
  using frugal_test::trained;
  const frugal::serial_backend cpu;
  return trained<float>(frugal::shampoo(cpu, few_tensors(), how), 6) ==
             trained<float>(frugal::shampoo(b, few_tensors(), how), 6) &&
         trained<frugal::bf16>(frugal::shampoo(cpu, few_tensors(), how, narrow{}, frugal::stochastic{3}), 4) ==
             trained<frugal::bf16>(frugal::shampoo(b, few_tensors(), how, narrow{}, frugal::stochastic{3}), 4);
}
[[maybe_unused]] const int added = frugal_test::add_device_check("shampoo", &on_device);
}  // namespace
