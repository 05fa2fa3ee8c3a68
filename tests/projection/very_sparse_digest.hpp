// SPDX-License-Identifier: Apache-2.0
// Products with R and R', whose bits are the same everywhere: a test on the host holds serial to this digest, and a
// device is held to it in a program without the serial backend.
#pragma once
#include <frugal/core/hash.hpp>
#include <frugal/projection/very_sparse.hpp>

#include "support/device_numbers.hpp"

namespace frugal_test {

inline constexpr std::uint64_t very_sparse_digest = 11414836355154182718u;

template <class Backend>
std::uint64_t digest_of_products(Backend const& b) {
  using frugal::index_t;
  std::uint64_t digest = 0;
  const auto add = [&](frugal::view<float, typename Backend::space> v) {
    const auto here = frugal::to_host(b, v);
    digest = frugal::word_hash(here.data(), here.size() * sizeof(float), digest);
  };
  for (auto [n, k] : {std::pair<index_t, index_t>{1, 1}, {1000, 70}, {70001, 259}})
    for (double s : {1., 3., 16., 100., 5000.}) {
      frugal::buffer<float, Backend> x(b, device_numbers<float>(n, 1)), y(b, k);
      frugal::very_sparse p(b, n, k, {.s = s, .seed = 6});
      p.apply(x.view(), y.view());
      add(y.view());
      p.add_transpose(y.view(), x.view(), 0.1);
      add(x.view());
      p.apply_transpose(y.view(), x.view());
      add(x.view());
    }
  return digest;
}

}  // namespace frugal_test
