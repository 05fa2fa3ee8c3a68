// SPDX-License-Identifier: Apache-2.0
#include "support/device_check.hpp"
#include "training.hpp"

namespace {
using namespace frugal_test;
bool on_device(device_backend const& b) {
  const auto saved = [](auto& zo) { frugal::restore_state(zo, frugal::save_state(zo)); };
  frugal::mezo normals(b, few_tensors(), few_steps);
  frugal::mezo signs(b, few_tensors(), few_steps, frugal::rademacher{}, frugal::types<frugal::bf16>{});
  return trained(normals, saved) == mezo_digest && trained(signs, saved) == mezo_digest_of_signs_in_16_bits;
}
[[maybe_unused]] const int added = add_device_check("mezo", &on_device);
}  // namespace
