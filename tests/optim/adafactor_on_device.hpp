// SPDX-License-Identifier: Apache-2.0
// Steps of Adafactor, whose bits are the same everywhere. A test on the host holds serial to the digests here; a device
// is compared with them, in a program without the serial backend.
#pragma once
#include <frugal/core/hash.hpp>
#include <frugal/optim/adafactor.hpp>

#include "support/device_numbers.hpp"

namespace frugal_test {

inline constexpr std::uint64_t adafactor_digest = 9800089067014275461u, drawn_adafactor_digest = 9007646986686219370u,
                               copied_adafactor_digest = 976480207639656786u;

// Steps of clipped gradients, relative or not, saved and restored in the middle: parameters and states.
template <class P, class Backend, class... Rounding>
std::uint64_t trained_adafactor(Backend const& b, Rounding... rounding) {
  const frugal::layout l{{"w", {70, 4100}}, {"b", {70}}, {"v", {3, 5, 4}}};
  frugal::buffer<P, Backend> x(b, device_numbers<P>(l.size(), 7)), g(b, l.size());
  frugal::adafactor opt(b, l, {.lr = 1e-2, .weight_decay = 0.05}, frugal::types<P>{}, rounding...);
  opt.options().clip_norm = 1;
  for (std::uint32_t t = 1; t < 5; ++t) {
    frugal::to_backend(b, g.view(), device_numbers<P>(l.size(), t));
    opt.config().relative_step = t % 2 == 0;
    opt.step(x.view(), g.view());
    if (t == 2) frugal::restore_state(opt, frugal::save_state(opt));
  }
  std::uint64_t digest = digest_of(frugal::to_host(b, x.view()));
  for (auto const& p : frugal::save_state(opt).pieces)
    digest = frugal::word_hash(p.bytes.data(), p.bytes.size(), digest);
  return digest;
}

}  // namespace frugal_test
