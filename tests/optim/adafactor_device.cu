// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adafactor.hpp>

#include "support/device.hpp"

template class frugal::adafactor<frugal_test::device_backend>;
template class frugal::adafactor<frugal_test::device_backend, frugal::types<frugal::bf16>>;

namespace {

// Step, save, restore, continue: the parameters' bytes.
template <class P, class Backend>
std::vector<P> train(Backend b, frugal::layout const& l) {
  frugal::buffer<P, Backend> x(b, frugal_test::device_numbers<P>(l.size(), 7)), g(b, l.size());
  frugal::adafactor opt(b, l, {.lr = 1e-2, .weight_decay = 0.05}, frugal::types<P>{});
  frugal::adafactor other(b, l, {.lr = 1e-2, .weight_decay = 0.05}, frugal::types<P>{});
  for (std::uint32_t t = 1; t < 5; ++t) {
    frugal::to_backend(b, g.view(), frugal_test::device_numbers<P>(l.size(), t));
    if (t == 3) frugal::restore_state(other, frugal::save_state(opt));
    (t < 3 ? opt : other).step(x.view(), g.view());
  }
  return frugal::to_host(b, x.view());
}
template <class P>
bool same(frugal_test::device_backend const& b) {
  const frugal::layout l{{"w", {300, 4100}}, {"b", {70}}, {"v", {3, 5, 4}}};
  const auto here = train<P>(frugal::serial_backend{}, l), there = train<P>(b, l);
  return std::memcmp(here.data(), there.data(), here.size() * sizeof(P)) == 0;
}
bool adafactor_on_device(frugal_test::device_backend const& b) { return same<float>(b) && same<frugal::bf16>(b); }
[[maybe_unused]] const int added = frugal_test::add_device_check("adafactor", &adafactor_on_device);

}  // namespace
