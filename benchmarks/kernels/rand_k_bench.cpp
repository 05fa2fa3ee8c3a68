// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/rand_k.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("rand_k", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    std::atomic<float> sink;
    float const* g = model.g.data();
    t.add("read_only", 4, [&] {
      crew.run(n, [&](std::size_t begin, std::size_t end) { sink = bench::read_only(g + begin, end - begin); });
    });
    frugal::compressor code(cpu, n, frugal::rand_k{.ratio = 0.01, .seed = 1});
    std::uint64_t round = 0;
    t.add("rand_k_encode_1_percent", 0.08, [&] { code.encode(model.g, {0, ++round}); }).against("read_only");
    t.add("rand_k_add_1_percent", 0.12, [&] {
       code.add_to(model.x, code.encode(model.g, {0, 0}), 1e-6);
     }).against("read_only");
    s.measure(t);
  });
});

}  // namespace
