// SPDX-License-Identifier: Apache-2.0
/// @file The cuda backend with CUB's primitives. CUB comes with the CUDA toolkit.
#pragma once
#include "cuda.hpp"
#include "library.hpp"
// This header is the only one that includes CUB: it takes its time to compile.
#include <cub/device/device_histogram.cuh>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>
#include <cub/device/device_select.cuh>

namespace frugal {
inline namespace v0 {

/// CUB as a library of library_backend: names, no logic.
struct cub_library {
  using vendor = cuda_vendor;
  using stream = cudaStream_t;

  template <class U>
  static void exclusive_sum(void* room, std::size_t& bytes, U const* in, U* out, index_t n, stream s) {
    check(cub::DeviceScan::ExclusiveSum(room, bytes, in, out, std::uint32_t(n), s), "cub::DeviceScan::ExclusiveSum");
  }
  template <class In, class Out>
  static void select(void* room, std::size_t& bytes, In in, std::uint8_t const* flags, Out out, std::uint32_t* count,
                     index_t n, stream s) {
    check(cub::DeviceSelect::Flagged(room, bytes, in, flags, out, count, n, s), "cub::DeviceSelect::Flagged");
  }
  static void sort(void* room, std::size_t& bytes, library_pairs& p, index_t n, stream s) {
    cub::DoubleBuffer<std::uint32_t> keys(p.key, p.other_key), values(p.value, p.other_value);
    check(cub::DeviceRadixSort::SortPairs(room, bytes, keys, values, std::uint32_t(n), 0, 32, s),
          "cub::DeviceRadixSort::SortPairs");
    p = {keys.Current(), values.Current(), keys.Alternate(), values.Alternate()};
  }
  static void count(void* room, std::size_t& bytes, std::uint32_t const* keys, std::uint32_t* counts, index_t bins,
                    index_t n, stream s) {
    check(cub::DeviceHistogram::HistogramEven(room, bytes, keys, counts, int(bins) + 1, std::uint32_t(0),
                                              std::uint32_t(bins), n, s),
          "cub::DeviceHistogram::HistogramEven");
  }

 private:
  static void check(cudaError_t e, char const* call) {
    if (e != cudaSuccess) FRUGAL_THROW(device_error(vendor::name, call, int(e), cudaGetErrorString(e)));
  }
};

using cub_backend = library_backend<cub_library>;

}  // namespace v0
}  // namespace frugal
