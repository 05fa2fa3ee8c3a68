// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/shampoo.hpp>

#include "support/device_check.hpp"
#include "support/kronecker_training.hpp"

using namespace frugal_test;
template class frugal::shampoo<device_backend>;

namespace {
bool on_device(device_backend const& b) {
  const auto how = few_steps<frugal::shampoo_config>(32);
  return digest_of(trained<float>(frugal::shampoo(b, few_tensors(), how), 6)) == shampoo_digest;
}
[[maybe_unused]] const int added = add_device_check("shampoo", &on_device);
}  // namespace
