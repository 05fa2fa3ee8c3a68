// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/ef14.hpp>
#include <frugal/compress/scaled_sign.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("ef14", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    float *const x = model.x.data(), *const g = model.g.data();
    t.add("stream_r2w1", 12, [&, x, g] { bench::stream<2, 1>(crew, {x, g}, n); });

    frugal::ef14 blocks(cpu, n, frugal::scaled_sign{.block = 4096});
    frugal::ef14 whole(cpu, n, frugal::scaled_sign{});
    t.add("ef14_sign", 12.126, [&] {
       blocks.compress(model.g, 1e-3);
     }).against("stream_r2w1", bench::on_one(threads, 1.25));
    t.add("ef14_sign_one_scale", 20.125, [&] { whole.compress(model.g, 1e-3); }).against("stream_r2w1");
    s.measure(t);
  });
});

}  // namespace
