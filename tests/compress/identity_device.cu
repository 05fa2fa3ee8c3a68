// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/identity.hpp>

#include "support/device_messages.hpp"

template class frugal::compressor<frugal::identity, frugal_test::device_backend>;

namespace {
bool on_device(frugal_test::device_backend const& b) {
  return frugal_test::compressor_on_device(b, frugal::identity{});
}
[[maybe_unused]] const int added = frugal_test::add_device_check("identity", &on_device);
}  // namespace
