// SPDX-License-Identifier: Apache-2.0
#include "projection/very_sparse_digest.hpp"
#include "support/device_check.hpp"

template class frugal::very_sparse<frugal_test::device_backend>;

namespace {
bool on_device(frugal_test::device_backend const& b) {
  return frugal_test::digest_of_products(b) == frugal_test::very_sparse_digest;
}
[[maybe_unused]] const int added = frugal_test::add_device_check("very_sparse", &on_device);
}  // namespace
