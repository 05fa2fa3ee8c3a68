// SPDX-License-Identifier: Apache-2.0
// The stable embedding layer, whose bits are the same everywhere. A test on the host holds serial to the digests here;
// a device is compared with them, in a program without the serial backend.
#pragma once
#include <frugal/optim/stable_embedding.hpp>

#include "support/device_numbers.hpp"

namespace frugal_test {

inline constexpr std::uint64_t embedding_digest = 9417916418637476257u,
                               embedding_digest_of_bf16 = 13668597193767608440u;

// First weights, taken as what was looked up; y, and all gradients.
template <class P, class Backend>
std::uint64_t embedded(Backend const& b) {
  std::uint64_t digest = 0;
  for (auto [rows, columns] : {std::pair<frugal::index_t, frugal::index_t>{37, 300}, {3, 20003}}) {
    const frugal::index_t n = rows * columns;
    frugal::buffer<P, Backend> x(b, n), y(b, n), dy(b, device_numbers<P>(n, 1)), dx(b, n);
    const frugal::buffer<float, Backend> scale(b, device_numbers<float>(columns, 2)),
        shift(b, device_numbers<float>(columns, 3)), dscale(b, columns), dshift(b, columns);
    frugal::xavier_uniform(b, x.view(), rows, columns, 5);
    frugal::layer_norm norm(b, rows, columns, 1e-5, frugal::types<P>{});
    norm.forward(x.view(), scale.view(), shift.view(), y.view());
    norm.backward(x.view(), scale.view(), dy.view(), dx.view(), dscale.view(), dshift.view());
    for (auto const& v : {x.view(), y.view(), dx.view()}) {
      const auto here = frugal::to_host(b, v);
      digest = frugal::word_hash(here.data(), here.size() * sizeof(P), digest);
    }
    for (auto const& v : {dscale.view(), dshift.view()}) {
      const auto here = frugal::to_host(b, v);
      digest = frugal::word_hash(here.data(), here.size() * sizeof(float), digest);
    }
  }
  return digest;
}

}  // namespace frugal_test
