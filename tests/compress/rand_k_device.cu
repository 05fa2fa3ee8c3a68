// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/rand_k.hpp>

#include "support/device_messages.hpp"

template class frugal::compressor<frugal::rand_k, frugal_test::device_backend>;

namespace {
bool on_device(frugal_test::device_backend const& b) {
  return frugal_test::compressor_on_device(b, frugal::rand_k{.ratio = 0.1, .seed = 3, .scaled = true});
}
[[maybe_unused]] const int added = frugal_test::add_device_check("rand_k", &on_device);
}  // namespace
