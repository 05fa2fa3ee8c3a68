// SPDX-License-Identifier: Apache-2.0
// Steps of AdamR, whose bits are the same everywhere. A test on the host holds serial to the digests here; a device is
// compared with them, in a program without the serial backend.
#pragma once
#include <frugal/core/hash.hpp>
#include <frugal/optim/adamr.hpp>

#include "support/device_numbers.hpp"

namespace frugal_test {

inline constexpr std::uint64_t adamr_digest = 8672954710040789913u, amsgrad_digest = 8080417706399715998u;

using in_16_bits = frugal::types<frugal::bf16, float>;
// Tensors with states in full and in 8 bits, of several tiles and of less than one.
inline frugal::layout const& large_and_small() {
  static const frugal::layout l{{"w", {300, 70}}, {"b", {70}}, {"v", {5000}}};
  return l;
}
inline constexpr frugal::adamr_config strong_pull{.lr = 0.01, .beta2 = 0.9, .weight_decay = 0.5};

// Steps, saved and restored in the middle: parameters and state.
template <class P, class Optimizer>
std::uint64_t training(Optimizer opt) {
  auto const& b = opt.backend();
  using B = std::decay_t<decltype(b)>;
  const frugal::index_t n = opt.layout().size();
  frugal::buffer<P, B> x(b, device_numbers<P>(n, 1));
  frugal::buffer<float, B> g(b, n);
  opt.options().clip_norm = 1;
  for (std::uint32_t t = 1; t <= 6; ++t) {
    frugal::to_backend(b, g.view(), device_numbers<float>(n, t + 1));
    opt.step(x.view(), frugal::view<float const, typename B::space>(g.view()));
    if (t == 3) frugal::restore_state(opt, frugal::save_state(opt));
  }
  const auto now = frugal::to_host(b, x.view());
  std::uint64_t digest = frugal::word_hash(now.data(), now.size() * sizeof(P));
  for (auto const& p : frugal::save_state(opt).pieces)
    digest = frugal::word_hash(p.bytes.data(), p.bytes.size(), digest);
  return digest;
}
template <class Backend>
std::uint64_t trained_adamr(Backend const& b) {
  return training<float>(frugal::adamr(b, large_and_small(), strong_pull, frugal::blockwise8{}));
}
template <class Backend>
std::uint64_t trained_amsgrad(Backend const& b) {
  return training<frugal::bf16>(frugal::adamr_amsgrad(b, large_and_small(), strong_pull, in_16_bits{}));
}

}  // namespace frugal_test
