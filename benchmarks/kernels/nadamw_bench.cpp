// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/nadamw.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("nadamw", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    bench::add_stream(t, crew, model, "stream_r4w3", 2, 4);

    frugal::nadamw opt(cpu, n, {.lr = 1e-6});
    t.add("nadamw", 28, [&] { opt.step(model.x, model.g); }).against("stream_r4w3", 1.10);
    s.measure(t);
  });
});

}  // namespace
