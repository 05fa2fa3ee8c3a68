// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/lars.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("lars", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    bench::add_two_passes<3, 2>(t, crew, model, "stream_lars", {model.x.data(), model.g.data()},
                                {model.x.data(), model.m.data(), model.g.data()});

    frugal::lars opt(cpu, n, {.lr = 1e-6});
    t.add("lars", 28, [&] { opt.step(model.x, model.g); }).against("stream_lars", 1.25);
    s.measure(t);
  });
});

}  // namespace
