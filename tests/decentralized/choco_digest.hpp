// SPDX-License-Identifier: Apache-2.0
// Rounds of CHOCO whose bits are the same everywhere: a test on the host holds serial to this digest, and a device is
// held to it in a program without the serial backend.
#pragma once
#include <frugal/compress/scaled_sign.hpp>
#include <frugal/core/hash.hpp>
#include <frugal/decentralized/choco.hpp>

#include "decentralized/ranks.hpp"
#include "support/device_numbers.hpp"

namespace frugal_test {

inline constexpr std::uint64_t choco_digest = 1976469100315795765u;

// Three ranks in a row: rounds, save, restore, rounds.
template <class Backend>
std::uint64_t digest_of_rounds(Backend const& b) {
  std::uint64_t of[3], digest = 0;
  frugal::run_loopback(3, [&](frugal::loopback_comm& world) {
    frugal::buffer<float, Backend> x(b, device_numbers<float>(4099, std::uint32_t(world.rank())));
    frugal::choco mix(b, world, frugal::topology::path(3), x.size(), frugal::scaled_sign{}, {0.3});
    for (int t = 0; t < 6; ++t) {
      if (t == 3) frugal::restore_state(mix, frugal::save_state(mix));
      mix.step(x.view());
    }
    mix.resynchronise();
    mix.step(x.view());
    const auto here = frugal::to_host(b, x.view());
    of[world.rank()] = frugal::word_hash(here.data(), here.size() * sizeof(float));
  });
  for (std::uint64_t each : of) digest = frugal::word_hash(&each, sizeof each, digest);
  return digest;
}

}  // namespace frugal_test
