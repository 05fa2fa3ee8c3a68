// SPDX-License-Identifier: Apache-2.0
/// @file The measure behind norms and clipping, against a pass that only reads.
#include <frugal/core/reduce.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("sum_of_squares", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    std::atomic<double> sink;
    float const* g = model.g.data();
    t.add("read_only", 4, [&] {
      crew.run(n, [&](std::size_t begin, std::size_t end) { sink = bench::read_only(g + begin, end - begin); });
    });
    t.add("sum_of_squares", 4, [&] { sink = frugal::sum_of_squares(cpu, model.g); }).against("read_only", 1.10);
    s.measure(t);
  });
});

}  // namespace
