// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/stable_embedding.hpp>

#include "stable_embedding_on_device.hpp"
#include "support/device_check.hpp"

using namespace frugal_test;

namespace {
bool on_device(device_backend const& b) {
  return embedded<float>(b) == embedding_digest && embedded<frugal::bf16>(b) == embedding_digest_of_bf16;
}
[[maybe_unused]] const int added = add_device_check("stable_embedding", &on_device);
}  // namespace
