// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adamr.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("adamr", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    std::vector<float> anchor(n, 1.f);
    bench::crew crew(threads);
    bench::table t(n, threads);
    bench::add_two_passes<5, 3>(t, crew, model, "stream_adamr", {model.g.data(), model.v.data()},
                                {model.x.data(), model.m.data(), model.v.data(), model.g.data(), anchor.data()});

    frugal::adamr opt(cpu, n, {.lr = 1e-6});
    t.add("adamr", 40, [&] { opt.step(model.x, model.g); }).against("stream_adamr", 1.25);
    s.measure(t);
  });
});

}  // namespace
