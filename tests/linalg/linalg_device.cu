// SPDX-License-Identifier: Apache-2.0
#include "linalg/linalg_bits.hpp"
#include "support/device.hpp"

namespace frugal_test {

using on_device = frugal::linalg<device_backend>;
using on_host = frugal::linalg<frugal::serial_backend>;

template <class T>
bool same_dense_algebra(device_backend const& b) {
  const on_device device(b);
  const on_host host(frugal::serial_backend{});
  return products<T>(device, 70, 33, 100) == products<T>(host, 70, 33, 100) &&
         factorizations<T>(device, 41) == factorizations<T>(host, 41);
}
bool linalg_on_device(device_backend const& b) { return same_dense_algebra<float>(b) && same_dense_algebra<double>(b); }

}  // namespace frugal_test

template class frugal::thin_qr<float, frugal_test::device_backend, frugal::builtin_linalg>;
template class frugal::symmetric_eigen<float, frugal_test::device_backend, frugal::builtin_linalg>;
template class frugal::cholesky<float, frugal_test::device_backend, frugal::builtin_linalg>;
template class frugal::inverse_root<float, frugal_test::device_backend, frugal::builtin_linalg>;

[[maybe_unused]] static const int added = frugal_test::add_device_check("linalg", &frugal_test::linalg_on_device);
