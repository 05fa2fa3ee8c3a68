// SPDX-License-Identifier: Apache-2.0
/// @file What a user gets who compiles with `g++ -O2` and nothing else: this file is built with exactly that.
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/optim/momentum.hpp>

#include "support/command_line.hpp"

namespace {

void baseline(bench::session const& s) {
  std::size_t const n = s.elements();
  std::vector<float> x(n, 1.f), g(n, 1e-3f), m(n, 0.f), v(n, 0.f);
  frugal::serial_backend const cpu;
  frugal::momentum momentum(cpu, n, {.lr = 1e-6});
  frugal::lion lion(cpu, n, {.lr = 1e-6});
  frugal::adamw adamw(cpu, n, {.lr = 1e-6});

  bench::table t(n, 1);
  t.add("stream_r3w2", 20, [&] { bench::stream<3, 2>({x.data(), m.data(), g.data()}, n); });
  t.add("momentum_baseline", 20, [&] { momentum.step(x, g); }).against("stream_r3w2", 1.30);
  t.add("lion_baseline", 20, [&] { lion.step(x, g); }).against("stream_r3w2", 1.30);
  t.add("stream_r4w3", 28, [&] { bench::stream<4, 3>({x.data(), m.data(), v.data(), g.data()}, n); });
  t.add("adamw_baseline", 28, [&] { adamw.step(x, g); }).against("stream_r4w3", 1.30);
  s.measure(t);
}

bench::suite const registered("baseline", baseline);

}  // namespace

int main(int argc, char** argv) { return bench::command_line(argc, argv); }
