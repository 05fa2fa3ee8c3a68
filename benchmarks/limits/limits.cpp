// SPDX-License-Identifier: Apache-2.0
/// @file The limits themselves, relative to a plain copy: what this machine's memory gives to each shape of traffic.
#include "limits/limits.hpp"

#include "support/suite.hpp"

namespace {

void limits(bench::session const& s, int threads) {
  std::size_t const n = s.elements();
  std::vector<float> a(n, 1.f), b(n, 1.f), c(n, 1.f), d(n, 1.f);
  float *const p = a.data(), *const q = b.data(), *const r = c.data(), *const t = d.data();
  bench::crew crew(threads);
  std::atomic<float> sink;
  bench::table limits(n, threads);
  limits.add("copy", 8,
             [&] { crew.run(n, [&](std::size_t i, std::size_t end) { bench::copy(p + i, q + i, end - i); }); });
  limits
      .add("read_only", 4,
           [&] { crew.run(n, [&](std::size_t i, std::size_t end) { sink = bench::read_only(p + i, end - i); }); })
      .against("copy");
  limits.add("stream_r1w1", 8, [&] { bench::stream<1, 1>(crew, {p}, n); }).against("copy");
  limits.add("stream_r2w1", 12, [&] { bench::stream<2, 1>(crew, {p, q}, n); }).against("copy");
  limits.add("stream_r3w2", 20, [&] { bench::stream<3, 2>(crew, {p, q, r}, n); }).against("copy");
  limits.add("stream_r4w3", 28, [&] { bench::stream<4, 3>(crew, {p, q, r, t}, n); }).against("copy");
  s.measure(limits);
}

bench::suite const registered("limits", [](bench::session const& s) {
  for (int threads : {1, 2}) limits(s, threads);
});

}  // namespace
