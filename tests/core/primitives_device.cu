// SPDX-License-Identifier: Apache-2.0
#include <frugal/core/permutation.hpp>
#include <frugal/core/primitives.hpp>

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

// All of them, one after the other: the bytes that come out.
template <class Backend>
std::vector<std::uint32_t> primitives_of(Backend b, frugal::index_t n, frugal::index_t k) {
  using words = frugal::buffer<std::uint32_t, Backend>;
  std::vector<std::uint32_t> out;
  const auto keep = [&](auto const& v) {
    for (auto x : frugal::to_host(b, v)) out.push_back(frugal::detail::bit_cast<std::uint32_t>(x));
  };
  std::vector<std::uint32_t> start;
  for (float x : device_numbers<float>(n, 5)) start.push_back(frugal::detail::bit_cast<std::uint32_t>(x) % 100000);
  words x(b, start), y(b, n), counts(b, 1000), at(b, k);
  frugal::buffer<float, Backend> f(b, device_numbers<float>(n, 6)), values(b, k);
  frugal::exclusive_scan<std::uint32_t, Backend> scan(b, n);
  frugal::ordered_select<Backend> select(b, n);
  frugal::histogram<Backend> histogram(b, n, 1000);
  frugal::pair_sort<Backend> sort(b, n);
  frugal::top_k_select<Backend> top(b, n, k);
  scan(x.view(), y.view());
  keep(y.view());
  keep(scan.total());
  y.fill(0);
  select(n, permuted{frugal::permutation(1, 2, std::uint64_t(n))}, y.view());
  keep(y.view());
  keep(select.count());
  histogram(x.view(), counts.view());
  keep(counts.view());
  sort(x.view(), y.view());
  keep(x.view());
  keep(y.view());
  top(f.view(), at.view(), values.view());
  keep(at.view());
  keep(values.view());
  return out;
}
bool primitives_on_device(device_backend const& b) {
  for (frugal::index_t n : {1, 1000, 70000, 300000})
    for (frugal::index_t k : {frugal::index_t(1), n / 100 + 1, n / 2 + 1})
      if (primitives_of(frugal::serial_backend{}, n, k) != primitives_of(b, n, k)) return false;
  return true;
}

}  // namespace frugal_test

[[maybe_unused]] static const int added =
    frugal_test::add_device_check("primitives", &frugal_test::primitives_on_device);
