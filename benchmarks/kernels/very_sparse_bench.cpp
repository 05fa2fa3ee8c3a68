// SPDX-License-Identifier: Apache-2.0
/// @file Random projections of a vector against a pass that only reads it, and their transposes against a pass in
/// place. The bound is for density 1 / sqrt(n) and 128 outputs; from about 256 on the draws take as long as the
/// reading.
#include <frugal/projection/very_sparse.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("very_sparse", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    std::atomic<float> sink;
    float *const x = model.x.data(), *const g = model.g.data();
    t.add("read_only", 4, [&] {
      crew.run(n, [&](std::size_t begin, std::size_t end) { sink = bench::read_only(g + begin, end - begin); });
    });
    t.add("in_place", 8, [&] { bench::stream<1, 1>(crew, {x}, n); });
    std::vector<float> y[3] = {std::vector<float>(64, 1.f), std::vector<float>(128, 1.f), std::vector<float>(256, 1.f)};
    frugal::very_sparse p64(cpu, frugal::index_t(n), 64), p128(cpu, frugal::index_t(n), 128),
        p256(cpu, frugal::index_t(n), 256), p16(cpu, frugal::index_t(n), 16, {.s = frugal::achlioptas});
    std::vector<float> few(16, 1.f);
    t.add("very_sparse_64", 4, [&] { p64.apply(model.g, y[0]); }).against("read_only");
    t.add("very_sparse_128", 4, [&] { p128.apply(model.g, y[1]); }).against("read_only", bench::on_one(threads, 1.5));
    t.add("very_sparse_256", 4, [&] { p256.apply(model.g, y[2]); }).against("read_only");
    t.add("very_sparse_add_transpose_128", 8, [&] { p128.add_transpose(y[1], model.x, 1e-6); }).against("in_place");
    t.add("achlioptas_16", 4, [&] { p16.apply(model.g, few); }).against("read_only");
    s.measure(t);
  });
});

}  // namespace
