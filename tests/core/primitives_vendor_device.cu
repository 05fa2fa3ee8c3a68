// SPDX-License-Identifier: Apache-2.0
// The primitives of CUB or of rocPRIM: the results of the serial backend's own, bit for bit.
// The kernels of CUB 3.0 and rocPRIM 5.3 spill no register; should those of others, they need a program without that
// gate.
#if defined(__HIP__)
#include <frugal/backend/rocprim.hpp>
using vendor_library = frugal::rocprim_library;
#else
#include <frugal/backend/cub.hpp>
using vendor_library = frugal::cub_library;
#endif
#include "core/primitives_bits.hpp"
#include "support/device.hpp"

template class frugal::library_backend<vendor_library>;
template class frugal::library_scan<std::int32_t, vendor_library>;
template class frugal::library_scan<std::uint32_t, vendor_library>;
template class frugal::library_scan<std::int64_t, vendor_library>;
template class frugal::library_select<vendor_library>;
template class frugal::library_histogram<vendor_library>;
template class frugal::library_sort<vendor_library>;
template class frugal::library_top_k<vendor_library>;

namespace frugal_test {

using vendor_backend = frugal::library_backend<vendor_library>;
static_assert(frugal::primitive_backend<vendor_backend>);

bool vendor_primitives_on_device(device_backend const& b) {
  return same_primitives(vendor_backend(b), {0, 1, 2, 1000, 16384, 70000, 1200000});
}

}  // namespace frugal_test

[[maybe_unused]] static const int added =
    frugal_test::add_device_check("primitives of a library", &frugal_test::vendor_primitives_on_device);
