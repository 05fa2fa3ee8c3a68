// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/ef14.hpp>
#include <frugal/compress/rand_k.hpp>
#include <frugal/compress/scaled_sign.hpp>

#include "support/device_messages.hpp"

template class frugal::ef14<frugal::scaled_sign, frugal_test::device_backend>;

namespace {
bool on_device(frugal_test::device_backend const& b) {
  return frugal_test::feedback_on_device<frugal::ef14>(b, frugal::rand_k{.ratio = 0.1},
                                                       frugal::scaled_sign{.block = 4096});
}
[[maybe_unused]] const int added = frugal_test::add_device_check("ef14", &on_device);
}  // namespace
