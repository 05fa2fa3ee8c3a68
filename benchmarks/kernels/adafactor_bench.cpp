// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adafactor.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("adafactor", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    float *const x = model.x.data(), *const g = model.g.data(), *const m = model.m.data();
    // The gradient is read for its squares, for the norm of the update, and for the update.
    t.add("stream_adafactor", 28, [&, x, g, m] {
      float volatile sink = 0;
      for (int pass = 0; pass < 2; ++pass)
        crew.run(n, [&](std::size_t i, std::size_t end) { sink = bench::read_only(g + i, end - i); });
      bench::stream<3, 2>(crew, {x, m, g}, n);
    });
    frugal::index_t const rows = frugal::index_t(n) >= 1 << 20 ? 4096 : 16;
    frugal::layout const matrix{{"matrix", {rows, frugal::index_t(n) / rows}}};
    frugal::adafactor opt(cpu, matrix, {.lr = 1e-6});
    t.add("adafactor", 28, [&] { opt.step(model.x, model.g); }).against("stream_adafactor", 1.25);
    s.measure(t);
  });
});

}  // namespace
