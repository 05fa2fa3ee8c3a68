// SPDX-License-Identifier: Apache-2.0
#include <frugal/core/permutation.hpp>
#include <frugal/core/primitives.hpp>

#include "core/primitives_bits.hpp"
#include "support/device.hpp"

template class frugal::exclusive_scan<std::int32_t, frugal_test::device_backend>;
template class frugal::exclusive_scan<std::uint32_t, frugal_test::device_backend>;
template class frugal::exclusive_scan<std::int64_t, frugal_test::device_backend>;
template class frugal::ordered_select<frugal_test::device_backend>;
template class frugal::histogram<frugal_test::device_backend>;
template class frugal::pair_sort<frugal_test::device_backend>;
template class frugal::top_k_select<frugal_test::device_backend>;

namespace frugal_test {

static_assert(frugal::primitive_backend<device_backend>);

struct permuted {
  frugal::permutation p;
  FRUGAL_FN bool operator()(frugal::index_t i) const { return p(std::uint32_t(i)) % 3 == 0; }
};

template <class Backend>
std::vector<std::uint32_t> drawn(Backend b, frugal::index_t n) {
  frugal::buffer<std::uint32_t, Backend> at(b, n);
  at.fill(0);
  frugal::ordered_select<Backend> select(b, n);
  select(n, permuted{frugal::permutation(1, 2, std::uint64_t(n))}, at.view());
  return frugal::to_host(b, at.view());
}
bool primitives_on_device(device_backend const& b) {
  return same_primitives(b, {0, 1, 1000, 70000, 300000}) && drawn(b, 70000) == drawn(frugal::serial_backend{}, 70000);
}

}  // namespace frugal_test

[[maybe_unused]] static const int added =
    frugal_test::add_device_check("primitives", &frugal_test::primitives_on_device);
