// SPDX-License-Identifier: Apache-2.0
#include "decentralized/choco_digest.hpp"
#include "support/device_check.hpp"

template class frugal::choco<frugal::scaled_sign, frugal_test::device_backend, frugal::loopback_transport>;

namespace {
bool on_device(frugal_test::device_backend const& b) {
  return frugal_test::digest_of_rounds(b) == frugal_test::choco_digest;
}
[[maybe_unused]] const int added = frugal_test::add_device_check("choco", &on_device);
}  // namespace
