// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/ef21_sgdm.hpp>
#include <frugal/compress/rand_k.hpp>

#include "support/device_messages.hpp"

template class frugal::ef21_sgdm<frugal::rand_k, frugal_test::device_backend>;

namespace {
bool on_device(frugal_test::device_backend const& b) {
  return frugal_test::feedback_on_device<frugal::ef21_sgdm>(b, frugal::rand_k{.ratio = 0.1});
}
[[maybe_unused]] const int added = frugal_test::add_device_check("ef21_sgdm", &on_device);
}  // namespace
