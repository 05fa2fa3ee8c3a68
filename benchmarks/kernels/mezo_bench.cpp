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
    auto sign = with(frugal::rademacher{}, 1), signs = with(frugal::rademacher{}, 8);
    auto normal = with(frugal::gaussian{}, 1), normals = with(frugal::gaussian{}, 8);
    std::vector<double> const scalars{1, -1, 1, -1, 1, -1, 1, -1};
    using any = frugal::detail::mezo_of_any_direction<decltype(cpu), frugal::types<>>;
    struct kind {
      std::string name;
      any *one, *eight;
      double of_axpy, of_eight;  // bounds
    };
    for (kind const& k : {kind{"sign", &sign, &signs, 1.10, 1. / 6}, kind{"normal", &normal, &normals, 3.0, NAN}}) {
      // Forth and back, so that weights stay where they are.
      t.add(k.name + "_axpy", 8, [zo = k.one, x = frugal::view<float>(model.x), forth = 1]() mutable {
         zo->shift(x, 0, forth = -forth);
       }).against("scale_in_place", bench::on_one(threads, k.of_axpy));
      // Eight directions in a pass, against a pass for each.
      std::string const eight = "8_" + k.name + "s_in_";
      t.add(eight + "8_passes", 64, [&, zo = k.one] {
        for (double p : scalars) zo->apply(model.x, zo->update({p}));
      });
      t.add(eight + "one_pass", 8, [&, zo = k.eight] {
         zo->apply(model.x, zo->update(scalars));
       }).against(eight + "8_passes", bench::on_one(threads, k.of_eight));
    }
    s.measure(t);
  });
});

}  // namespace
