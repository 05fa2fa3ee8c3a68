// SPDX-License-Identifier: Apache-2.0
// The GPU of this build's vendor, and what is checked on it. The same source is compiled for CUDA and for HIP. Results
// must be those of the serial backend, bit for bit: computed beside them (device.hpp), or by a test on the host that
// has the same digest.
#pragma once
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#if defined(__HIP__)
#include <frugal/backend/hip.hpp>
namespace frugal_test {
using device_backend = frugal::hip_backend;
}
#else
#include <frugal/backend/cuda.hpp>
namespace frugal_test {
using device_backend = frugal::cuda_backend;
}
#endif

namespace frugal_test {

struct device_check {
  std::string name;
  bool (*run)(device_backend const&);
};
inline std::vector<device_check>& device_checks() {
  static std::vector<device_check> all;
  return all;
}
inline int add_device_check(std::string name, bool (*run)(device_backend const&)) {
  device_checks().push_back({std::move(name), run});
  return 0;
}

}  // namespace frugal_test
