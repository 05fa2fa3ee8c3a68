// SPDX-License-Identifier: Apache-2.0
/// @file The hip backend with rocPRIM's primitives.
#pragma once
#include <iostream>  // rocPRIM 5.3 forgets it

#include "hip.hpp"
#include "library.hpp"
// This header is the only one that includes rocPRIM: it takes its time to compile.
#include <rocprim/device/device_histogram.hpp>
#include <rocprim/device/device_radix_sort.hpp>
#include <rocprim/device/device_scan.hpp>
#include <rocprim/device/device_select.hpp>

namespace frugal {
inline namespace v0 {

/// rocPRIM as a library of library_backend: names, no logic.
struct rocprim_library {
  using vendor = hip_vendor;
  using stream = hipStream_t;

  template <class U>
  static void exclusive_sum(void* room, std::size_t& bytes, U const* in, U* out, index_t n, stream s) {
    check(rocprim::exclusive_scan(room, bytes, in, out, U(0), std::size_t(n), rocprim::plus<U>(), s),
          "rocprim::exclusive_scan");
  }
  template <class In, class Out>
  static void select(void* room, std::size_t& bytes, In in, std::uint8_t const* flags, Out out, std::uint32_t* count,
                     index_t n, stream s) {
    check(rocprim::select(room, bytes, in, flags, out, count, std::size_t(n), s), "rocprim::select");
  }
  static void sort(void* room, std::size_t& bytes, library_pairs& p, index_t n, stream s) {
    rocprim::double_buffer<std::uint32_t> keys(p.key, p.other_key), values(p.value, p.other_value);
    check(rocprim::radix_sort_pairs(room, bytes, keys, values, std::uint32_t(n), 0, 32, s),
          "rocprim::radix_sort_pairs");
    p = {keys.current(), values.current(), keys.alternate(), values.alternate()};
  }
  static void count(void* room, std::size_t& bytes, std::uint32_t const* keys, std::uint32_t* counts, index_t bins,
                    index_t n, stream s) {
    check(rocprim::histogram_even(room, bytes, keys, unsigned(n), counts, unsigned(bins) + 1, std::uint32_t(0),
                                  std::uint32_t(bins), s),
          "rocprim::histogram_even");
  }

 private:
  static void check(hipError_t e, char const* call) {
    if (e != hipSuccess) FRUGAL_THROW(device_error(vendor::name, call, int(e), hipGetErrorString(e)));
  }
};

using rocprim_backend = library_backend<rocprim_library>;

}  // namespace v0
}  // namespace frugal
