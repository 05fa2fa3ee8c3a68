// SPDX-License-Identifier: Apache-2.0
/// @file All weights from a shared vector, and sums of their gradients, against passes over the bytes of the weights:
/// in place where they are written, reading where they are read. The shared vector fits a level-2 cache (128 times
/// fewer) or lies outside of it (8 times fewer).
#include <frugal/sharing/roast.hpp>

#include "kernels/cpu.hpp"

namespace {

/// A map, its shared vector and the gradient's sums.
template <class Backend>
struct sharing {
  sharing(Backend b, std::size_t n, double compression)
      : map(b, n, {.compression = compression, .seed = 1}), z(std::size_t(map.slots())), dz(z.size()) {
    map.initialise(z);
  }
  frugal::roast<Backend> map;
  std::vector<float> z, dz;
};

bench::suite const registered("roast", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    std::atomic<float> sink;
    float const* g = model.g.data();
    t.add("stream_in_place", 8, [&] { bench::stream<1, 1>(crew, {model.x.data()}, n); });
    t.add("read_only", 4, [&] {
      crew.run(n, [&](std::size_t begin, std::size_t end) { sink = bench::read_only(g + begin, end - begin); });
    });
    sharing near(cpu, n, 128), far(cpu, n, 8);
    t.add("roast_forward_128x", 8, [&] {
       near.map.forward(near.z, model.x);
     }).against("stream_in_place", bench::on_one(threads, 1.5));
    t.add("roast_backward_128x", 4, [&] {
       near.map.backward(model.g, near.dz);
     }).against("read_only", bench::on_one(threads, 1.5));
    t.add("roast_forward_8x", 8.5, [&] { far.map.forward(far.z, model.x); }).against("stream_in_place");
    t.add("roast_backward_8x", 5.5, [&] { far.map.backward(model.g, far.dz); }).against("read_only");
    s.measure(t);
  });
});

}  // namespace
