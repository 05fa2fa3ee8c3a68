// SPDX-License-Identifier: Apache-2.0
// Runs every device check of this build. Without a device: says so and exits 77, which the tests report as skipped.
#include "support/device.hpp"

int main() {
  using namespace frugal_test;
  int failures = 0;
  try {
    const device_backend device;
    for (device_check const& c : device_checks()) {
      const bool ok = c.run(device);
      std::printf("%s %s\n", ok ? "ok    " : "FAILED", c.name.c_str());
      failures += !ok;
    }
  } catch (frugal::device_error const& e) {
    std::printf("skipped: %s\n", e.what());
    return 77;
  }
  std::printf("%d checks, %d failed\n", int(device_checks().size()), failures);
  return failures != 0 || device_checks().empty();
}
