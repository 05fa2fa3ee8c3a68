// SPDX-License-Identifier: Apache-2.0
#include <frugal/projection/very_sparse.hpp>

#include "support/device.hpp"

template class frugal::very_sparse<frugal_test::device_backend>;

namespace {
template <class Backend>
std::vector<float> products(Backend b, frugal::index_t n, frugal::index_t k, double s) {
  using frugal_test::device_numbers;
  frugal::buffer<float, Backend> x(b, device_numbers<float>(n, 1)), y(b, k);
  frugal::very_sparse p(b, n, k, {.s = s, .seed = 6});
  p.apply(x.view(), y.view());
  auto all = frugal::to_host(b, y.view());
  p.add_transpose(y.view(), x.view(), 0.1);
  const auto more = frugal::to_host(b, x.view());
  p.apply_transpose(y.view(), x.view());
  const auto back = frugal::to_host(b, x.view());
  all.insert(all.end(), more.begin(), more.end());
  all.insert(all.end(), back.begin(), back.end());
  return all;
}
bool on_device(frugal_test::device_backend const& b) {
  for (auto [n, k] : {std::pair<frugal::index_t, frugal::index_t>{1, 1}, {1000, 70}, {70001, 259}})
    for (double s : {1., 3., 16., 100., 5000.})
      if (products(frugal::serial_backend{}, n, k, s) != products(b, n, k, s)) return false;
  return true;
}
[[maybe_unused]] const int added = frugal_test::add_device_check("very_sparse", &on_device);
}  // namespace
