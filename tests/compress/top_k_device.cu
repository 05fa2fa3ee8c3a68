// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/top_k.hpp>

#include "support/device_messages.hpp"

template class frugal::compressor<frugal::top_k, frugal_test::device_backend>;

namespace {
bool on_device(frugal_test::device_backend const& b) {
  return frugal_test::compressor_on_device(b, frugal::top_k{.ratio = 0.01}) &&
         frugal_test::compressor_on_device(b, frugal::top_k{.ratio = 0.5});
}
[[maybe_unused]] const int added = frugal_test::add_device_check("top_k", &on_device);
}  // namespace
