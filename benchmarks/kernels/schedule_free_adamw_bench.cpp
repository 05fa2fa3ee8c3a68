// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/schedule_free_adamw.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("schedule_free_adamw", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    bench::add_stream(t, crew, model, "stream_r4w3", 2, 4);

    frugal::schedule_free_adamw full(cpu, n, {.lr = 1e-6});
    t.add("schedule_free_adamw", 28, [&] { full.step(model.x, model.g); }).against("stream_r4w3", 1.10);
    s.measure(t);
  });
});

}  // namespace
