// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/lamb.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("lamb", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    bench::add_two_passes<4, 3>(t, crew, model, "stream_lamb",
                                {model.x.data(), model.g.data(), model.m.data(), model.v.data()},
                                {model.x.data(), model.m.data(), model.v.data(), model.g.data()});

    frugal::lamb opt(cpu, n, {.lr = 1e-6});
    t.add("lamb", 44, [&] { opt.step(model.x, model.g); }).against("stream_lamb", 1.25);
    s.measure(t);
  });
});

}  // namespace
