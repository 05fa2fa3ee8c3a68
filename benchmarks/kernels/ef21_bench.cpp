// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/ef21.hpp>
#include <frugal/compress/scaled_sign.hpp>
#include <frugal/compress/top_k.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("ef21", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements(), k = std::max<std::size_t>(n / 100, 1);
    bench::model model(n);
    for (float& g : model.g) g *= g * g;  // long tails
    bench::crew crew(threads);
    bench::table t(n, threads);
    float *const x = model.x.data(), *const g = model.g.data();
    t.add("stream_r2w1", 12, [&, x, g] { bench::stream<2, 1>(crew, {x, g}, n); });
    typename frugal::primitives<decltype(cpu)>::top_k select(cpu, frugal::index_t(n), frugal::index_t(k));
    std::vector<std::uint32_t> at(k);
    std::vector<float> values(k);
    t.add("top_k_and_axpy", 16, [&, x, g] {
      bench::stream<2, 1>(crew, {x, g}, n);
      select(model.g, at, values);
    });

    // Two gradients by turns: h follows their mean, and the rest is new in every round.
    model.v = model.g;
    std::reverse(model.v.begin(), model.v.end());
    bool turn = false;
    const auto next = [&]() -> std::vector<float> const& { return (turn = !turn) ? model.g : model.v; };
    frugal::ef21 sparse(cpu, n, frugal::top_k{.ratio = 0.01});
    frugal::ef21 sign(cpu, n, frugal::scaled_sign{.block = 4096});
    t.add("ef21_top_k", 16, [&] { sparse.compress(next()); }).against("top_k_and_axpy", bench::on_one(threads, 1.5));
    t.add("ef21_sign", 12.126, [&] { sign.compress(next()); }).against("stream_r2w1");
    s.measure(t);
  });
});

}  // namespace
