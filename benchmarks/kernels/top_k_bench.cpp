// SPDX-License-Identifier: Apache-2.0
/// @file Selection of the largest magnitudes, in the order of their indices, against a pass that only reads; and whole
/// messages of the compressor.
#include <frugal/compress/top_k.hpp>

#include "kernels/cpu.hpp"

namespace {

/// A selection and its output.
template <class Backend>
struct selection {
  selection(Backend b, std::size_t n, std::size_t k)
      : select(b, frugal::index_t(n), frugal::index_t(k)), at(k), values(k) {}
  frugal::top_k_select<Backend> select;
  std::vector<std::uint32_t> at;
  std::vector<float> values;
};

bench::suite const registered("top_k", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    for (float& g : model.g) g *= g * g;  // long tails
    bench::crew crew(threads);
    bench::table t(n, threads);
    std::atomic<double> sink;
    float const* g = model.g.data();
    t.add("read_only", 4, [&] {
      crew.run(n, [&](std::size_t begin, std::size_t end) { sink = bench::read_only(g + begin, end - begin); });
    });
    selection hundredth(cpu, n, n / 100), thousandth(cpu, n, n / 1000);
    t.add("top_k_1_percent", 4, [&] {
       hundredth.select(model.g, hundredth.at, hundredth.values);
     }).against("read_only", 2.6);
    t.add("top_k_0.1_percent", 4, [&] {
       thousandth.select(model.g, thousandth.at, thousandth.values);
     }).against("read_only", 2.3);
    frugal::compressor code(cpu, n, frugal::top_k{.ratio = 0.01});
    t.add("top_k_encode_1_percent", 4, [&] { code.encode(model.g); }).against("top_k_1_percent");
    t.add("top_k_add_1_percent", 0.15, [&] { code.add_to(model.x, code.last(), 1e-6); }).against("read_only");
    s.measure(t);
  });
});

}  // namespace
