// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/ef21_sgdm.hpp>
#include <frugal/compress/scaled_sign.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("ef21_sgdm", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    bench::add_stream(t, crew, model, "stream_r3w2", 1, 4);
    frugal::ef21_sgdm sign(cpu, n, frugal::scaled_sign{.block = 4096});
    t.add("ef21_sgdm_sign", 20.126, [&] { sign.compress(model.g); }).against("stream_r3w2");
    s.measure(t);
  });
});

}  // namespace
