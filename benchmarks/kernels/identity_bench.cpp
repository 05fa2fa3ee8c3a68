// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/identity.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("identity", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    float *const x = model.x.data(), *const g = model.g.data();
    t.add("copy", 8, [&, x, g] {
      crew.run(n, [&](std::size_t begin, std::size_t end) { bench::copy(x + begin, g + begin, end - begin); });
    });
    t.add("stream_r2w1", 12, [&, x, g] { bench::stream<2, 1>(crew, {x, g}, n); });
    frugal::compressor code(cpu, n, frugal::identity{});
    t.add("identity_encode", 12, [&] { code.encode(model.g); }).against("copy");  // the checksum reads it once more
    t.add("identity_add", 16, [&] { code.add_to(model.x, code.last(), 1e-6); }).against("stream_r2w1");
    s.measure(t);
  });
});

}  // namespace
