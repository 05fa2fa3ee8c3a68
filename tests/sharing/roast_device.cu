// SPDX-License-Identifier: Apache-2.0
#include "sharing/roast_digest.hpp"
#include "support/device_check.hpp"

using namespace frugal_test;
template class frugal::roast<device_backend>;
template class frugal::roast<device_backend, roast_in_16_bits>;

namespace {
bool on_device(device_backend const& b) {
  return digest_of_floats(b) == roast_digest && digest_in_16_bits(b) == roast_digest_in_16_bits;
}
[[maybe_unused]] const int added = add_device_check("roast", &on_device);
}  // namespace
