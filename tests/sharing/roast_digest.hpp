// SPDX-License-Identifier: Apache-2.0
// Numbers through a shared vector and back, whose bits are the same everywhere: tests on the host hold serial to these
// digests, and a device is held to them in a program without the serial backend.
#pragma once
#include <frugal/core/hash.hpp>
#include <frugal/sharing/roast.hpp>

#include "support/device_numbers.hpp"

namespace frugal_test {

inline constexpr std::uint64_t roast_digest = 13895984894747002720u, roast_digest_in_16_bits = 11456864757696059931u;
using roast_in_16_bits = frugal::types<frugal::bf16>;

// The first shared vector, the weights, and what their gradient comes to, for several lengths of the vector.
template <class Types, class Backend>
std::uint64_t digest_of_sharing(Backend const& b, frugal::roast_config c) {
  using P = typename Types::param;
  const frugal::layout l{{"w", {300, 70}}, {"b", {70}}, {"v", {50000}}};
  frugal::buffer<P, Backend> w(b, l.size()), g(b, device_numbers<P>(l.size(), 5));
  std::uint64_t digest = 0;
  const auto add = [&](auto const& v) {
    const auto here = frugal::to_host(b, v);
    digest = frugal::word_hash(here.data(), here.size() * sizeof(here[0]), digest);
  };
  for (frugal::index_t m : {1000, 5000, 8885, 71070}) {
    c.slots = m;
    frugal::roast map(b, l, c, Types{});
    frugal::buffer<float, Backend> z(b, m), dz(b, m);
    map.initialise(z.view());
    map.forward(z.view(), w.view());
    map.backward(g.view(), dz.view());
    add(z.view());
    add(w.view());
    add(dz.view());
  }
  return digest;
}
template <class Backend>
std::uint64_t digest_of_floats(Backend const& b) {
  return digest_of_sharing<frugal::types<>>(b, {.seed = 4, .scales = {1, 0.3, 7}});
}
template <class Backend>
std::uint64_t digest_in_16_bits(Backend const& b) {
  return digest_of_sharing<roast_in_16_bits>(b, {.scaling = frugal::gradient_scaling::v4});
}

}  // namespace frugal_test
