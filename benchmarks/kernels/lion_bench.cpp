// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/lion.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("lion", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    bench::add_stream(t, crew, model, "stream_r3w2", 1, 4);
    bench::add_stream(t, crew, model, "stream_lion_8bit", 1, 1);

    frugal::lion full(cpu, n, {.lr = 1e-6});
    frugal::lion packed(cpu, n, {.lr = 1e-6}, frugal::blockwise8{});
    t.add("lion", 20, [&] { full.step(model.x, model.g); }).against("stream_r3w2", 1.10);
    t.add("lion_8bit", 14.03, [&] { packed.step(model.x, model.g); }).against("lion").against("stream_lion_8bit");
    s.measure(t);
  });
});

}  // namespace
