// SPDX-License-Identifier: Apache-2.0
#include "support/device_check.hpp"
#include "zero_one_adam_on_device.hpp"

namespace {
using namespace frugal_test;
bool run(device_backend const& b) { return meetings(b) == zero_one_adam_digest; }
[[maybe_unused]] const int added = add_device_check("zero_one_adam", &run);
}  // namespace
