// SPDX-License-Identifier: Apache-2.0
#include <frugal/zeroth_order/mezo.hpp>

#include "kernels/cpu.hpp"

namespace {

// What a step of mezo is made of. Passes over the weights: two probes, the way back, the update.
bench::suite const registered("mezo", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    float* const x = model.x.data();
    t.add("scale_in_place", 8, [&, x] { bench::stream<1, 1>(crew, {x}, n); });

    auto const with = [&](auto direction, int directions) {
      return frugal::mezo(cpu, n, {.lr = 1e-9, .epsilon = 1e-7, .directions = directions, .seed = 1}, direction);
    };
    auto signs = with(frugal::rademacher{}, 1);
    auto normals = with(frugal::gaussian{}, 1);
    // Forth and back, so that weights stay where they are.
    auto probe = [x = frugal::view<float>(model.x), sign = 1](auto& zo) mutable { zo.shift(x, 0, sign = -sign); };
    t.add("sign_axpy", 8, [&, probe]() mutable {
       probe(signs);
     }).against("scale_in_place", bench::on_one(threads, 1.10));
    t.add("normal_axpy", 8, [&, probe]() mutable {
       probe(normals);
     }).against("scale_in_place", bench::on_one(threads, 3.0));

    // Eight directions in a pass, against a pass for each.
    std::vector<double> const scalars{1, -1, 1, -1, 1, -1, 1, -1};
    auto const eight_at_once = [&](char const* name, auto& zo) -> auto& {
      return t.add(name, 8, [&] { zo.apply(model.x, zo.update(scalars)); });
    };
    auto const eight_passes = [&](char const* name, auto& zo) {
      t.add(name, 64, [&] {
        for (double p : scalars) zo.apply(model.x, zo.update({p}));
      });
    };
    auto signs8 = with(frugal::rademacher{}, 8);
    auto normals8 = with(frugal::gaussian{}, 8);
    eight_passes("8_signs_in_8_passes", signs);
    eight_at_once("8_signs_in_one_pass", signs8).against("8_signs_in_8_passes", bench::on_one(threads, 1. / 6));
    eight_passes("8_normals_in_8_passes", normals);
    eight_at_once("8_normals_in_one_pass", normals8).against("8_normals_in_8_passes");
    s.measure(t);
  });
});

}  // namespace
