// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/rmsprop.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("rmsprop", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    bench::add_stream(t, crew, model, "stream_r3w2", 1, 4);

    frugal::rmsprop opt(cpu, n, {.lr = 1e-6});
    t.add("rmsprop", 20, [&] { opt.step(model.x, model.g); }).against("stream_r3w2", 1.10);
    s.measure(t);
  });
});

}  // namespace
