// SPDX-License-Identifier: Apache-2.0
/// @file What the kernels' benchmarks share: a user's data, both processors, and the limit as a case of a table.
#pragma once
#include <frugal/backend/serial.hpp>
#include <frugal/backend/tbb.hpp>

#include "limits/limits.hpp"
#include "support/suite.hpp"

namespace bench {

/// f(backend, threads) on one thread and on two.
template <class F>
void on_cpus(F f) {
  f(frugal::serial_backend(), 1);
  f(frugal::tbb_backend(2), 2);
}

/// A bound that is judged on one thread; the others share a memory bus, and are only reported.
inline double on_one(int threads, double bound) { return threads == 1 ? bound : NAN; }

/// A model as a user holds it, in ordinary vectors, and two more of the same kind for the limit to move.
struct model {
  explicit model(std::size_t n) : x(n, 1.f), g(n), m(n, 0.f), v(n, 0.f) {
    std::uint32_t r = 1;
    for (float& each : g) {
      r = r * 1664525u + 1013904223u;
      each = 1e-2f * (float(r >> 8) / float(1 << 23) - 1);  // in [-0.01, 0.01)
    }
  }
  std::vector<float> x, g, m, v;
};

/// A pass in place over the bytes of a step: x and g, and `states` states (1 or 2) of `bytes` bytes an element.
inline void add_stream(table& t, crew& c, model& d, std::string name, int states, std::size_t bytes) {
  float *const x = d.x.data(), *const g = d.g.data(), *const m = d.m.data(), *const v = d.v.data();
  std::size_t const n = d.x.size();
  std::function<void()> pass;
  if (bytes == sizeof(float) && states == 1) pass = [=, &c] { stream<3, 2>(c, {x, m, g}, n); };
  else if (bytes == sizeof(float)) pass = [=, &c] { stream<4, 3>(c, {x, m, v, g}, n); };
  else if (states == 1) pass = [=, &c] { packed_stream<1>(c, x, g, {m}, bytes, n); };
  else pass = [=, &c] { packed_stream<2>(c, x, g, {m, v}, bytes, n); };
  t.add(std::move(name), double(12 + 2 * bytes * std::size_t(states)), std::move(pass));
}

/// Two passes: one that reads, over arrays of as many floats as x, and one in place over others.
template <int R, int W>
void add_two_passes(table& t, crew& c, model const& d, std::string name, std::vector<float*> read,
                    std::array<float*, R> place) {
  std::size_t const n = d.x.size();
  double const bytes = 4 * (double(read.size()) + R + W);
  t.add(std::move(name), bytes, [=, &c] {
    float volatile sink = 0;
    c.run(n, [&](std::size_t begin, std::size_t end) {
      constexpr std::size_t tile = 16384;
      for (std::size_t i = begin; i < end; i += tile)
        for (float const* p : read) sink = read_only(p + i, std::min(tile, end - i));
    });
    stream<R, W>(c, place, n);
  });
}

}  // namespace bench
