// SPDX-License-Identifier: Apache-2.0
#include <frugal/sharing/roast.hpp>

#include "support/device.hpp"

template class frugal::roast<frugal_test::device_backend>;
template class frugal::roast<frugal_test::device_backend, frugal::types<frugal::bf16>>;

namespace frugal_test {

// The first shared vector, the weights, and what their gradient comes to.
template <class Types, class Backend>
std::vector<std::uint32_t> shared(Backend b, frugal::layout const& l, frugal::roast_config const& c) {
  using P = typename Types::param;
  frugal::roast map(b, l, c, Types{});
  frugal::buffer<float, Backend> z(b, map.slots()), dz(b, map.slots());
  frugal::buffer<P, Backend> w(b, l.size()), g(b, device_numbers<P>(l.size(), 5));
  map.initialise(z.view());
  map.forward(z.view(), w.view());
  map.backward(g.view(), dz.view());
  std::vector<std::uint32_t> bits;
  const auto keep = [&](auto const& v) {
    for (auto x : frugal::to_host(b, v))
      bits.push_back(frugal::detail::bit_cast<std::uint32_t>(frugal::detail::widen<float>(x)));
  };
  keep(z.view());
  keep(w.view());
  keep(dz.view());
  return bits;
}
bool roast_on_device(device_backend const& b) {
  const frugal::layout l{{"w", {300, 70}}, {"b", {70}}, {"v", {50000}}};
  const auto same = [&]<class Types>(Types, frugal::roast_config const& c) {
    return shared<Types>(frugal::serial_backend{}, l, c) == shared<Types>(b, l, c);
  };
  for (frugal::index_t m : {1000, 5000, 8885, 71070})
    if (!same(frugal::types<>{}, {.slots = m, .seed = 4, .scales = {1, 0.3, 7}}) ||
        !same(frugal::types<frugal::bf16>{}, {.slots = m, .scaling = frugal::gradient_scaling::v4}))
      return false;
  return true;
}
[[maybe_unused]] const int roast_added = add_device_check("roast", &roast_on_device);

}  // namespace frugal_test
