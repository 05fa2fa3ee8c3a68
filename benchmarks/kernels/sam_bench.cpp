// SPDX-License-Identifier: Apache-2.0
/// @file What SAM adds to the two gradients, which here cost nothing, and the optimizer's step: a norm, a climb that
/// keeps x, a return.
#include <frugal/optim/momentum.hpp>
#include <frugal/optim/sam.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("sam", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    float *const x = model.x.data(), *const g = model.g.data(), *const m = model.m.data(), *const kept = model.v.data();
    t.add("stream_sam", 56, [&] {
      crew.run(n, [&](std::size_t begin, std::size_t end) { bench::read_only(g + begin, end - begin); });
      bench::stream<3, 2>(crew, {x, kept, g}, n);
      bench::stream<2, 1>(crew, {x, kept}, n);
      bench::stream<3, 2>(crew, {x, m, g}, n);
    });
    frugal::sam around(frugal::momentum(cpu, n, {.lr = 1e-6}), {.rho = 1e-6});
    t.add("sam", 56, [&] { around.step(model.x, model.g, [] {}); }).against("stream_sam", 1.25);
    s.measure(t);
  });
});

}  // namespace
