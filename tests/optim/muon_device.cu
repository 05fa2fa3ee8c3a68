// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/muon.hpp>

#include "support/device.hpp"

namespace frugal_test {

template <class P, class Backend, class... Rounding>
std::vector<unsigned char> orthogonalised(Backend b, Rounding... rounding) {
  const frugal::layout l{{"wide", {70, 130}}, {"tall", {97, 12}}, {"kernel", {8, 3, 3}}};
  frugal::buffer<P, Backend> x(b, device_numbers<P>(l.size(), 7)), g(b, l.size());
  frugal::muon opt(b, l, {.lr = 1e-2, .weight_decay = 0.1}, frugal::types<P>{}, rounding...);
  opt.options().clip_norm = 1;
  for (std::uint32_t t = 1; t < 4; ++t) {
    frugal::to_backend(b, g.view(), device_numbers<P>(l.size(), t));
    opt.step(x.view(), frugal::view<P const, typename Backend::space>(g.view()));
  }
  const auto now = frugal::to_host(b, x.view());
  auto const* const p = reinterpret_cast<unsigned char const*>(now.data());
  return {p, p + now.size() * sizeof(P)};
}
template <class P, class... Rounding>
bool same_muon(device_backend const& b, Rounding... rounding) {
  return orthogonalised<P>(frugal::serial_backend{}, rounding...) == orthogonalised<P>(b, rounding...);
}
bool muon_on_device(device_backend const& b) {
  return same_muon<float>(b) && same_muon<frugal::bf16>(b, frugal::stochastic{1}) &&
         same_muon<frugal::bf16>(b, frugal::float_master{});
}

}  // namespace frugal_test

template class frugal::muon<frugal_test::device_backend>;
[[maybe_unused]] static const int added = frugal_test::add_device_check("muon", &frugal_test::muon_on_device);
