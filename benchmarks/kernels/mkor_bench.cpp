// SPDX-License-Identifier: Apache-2.0
/// @file What a refresh of a layer of n inputs and n outputs costs: MKOR's means and rank-1 updates of both inverses
/// against K-FAC's two inversions, and against a pass in place over its two matrices. And what a step costs
/// without a refresh, against the two products that it consists of.
#include <frugal/optim/kfac.hpp>
#include <frugal/optim/mkor.hpp>

#include "kernels/cpu.hpp"

namespace {

using frugal::index_t;

bench::suite const registered("mkor", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    using backend = decltype(cpu);
    index_t const n = s.quick ? 64 : 1024, rows = 32;
    std::size_t const cells = std::size_t(n * n);
    bench::model model(2 * cells);
    bench::crew crew(threads);
    frugal::mat_view<float> const z(model.g.data(), rows, n);
    frugal::layout const layer{{"weight", {n, n}}};
    frugal::linalg const builtin(cpu);
    {
      frugal::detail::mkor_curvature<float, frugal::full, backend, frugal::builtin_linalg> mkor(builtin, {n, n});
      frugal::detail::mkor_curvature<float, frugal::half_state, backend, frugal::builtin_linalg> half(builtin, {n, n});
      frugal::detail::kfac_curvature<float, backend, frugal::builtin_linalg> kfac(builtin, {n, n});
      frugal::mkor_config const how;
      auto const refresh = [&, z, how](auto& of) {
        for (index_t side : {0, 1}) {
          of.observe(side, z, 1, 1, true, false, how);
          of.refresh(side, false, how);
        }
      };
      bench::table t(2 * cells, threads);
      t.add("in_place", 8, [&] { bench::stream<1, 1>(crew, {model.x.data()}, 2 * cells); });
      t.add("kfac_inversion", 16, [&] {
        for (index_t side : {0, 1}) kfac.refresh(side, false, {});
      });
      t.add("mkor_refresh", 12, [&] { refresh(mkor); }).against("kfac_inversion", 0.2);
      t.add("mkor_refresh_traffic", 12, [&] { refresh(mkor); }).against("in_place");
      t.add("mkor_refresh_half", 24, [&] { refresh(half); }).against("kfac_inversion", 0.2);
      s.measure(t);
    }
    {
      frugal::mkor pre(cpu, layer, {.refresh_every = 1000000000});
      std::vector<float> result(cells), more(cells);
      frugal::mat_view<float> const g(model.x.data(), n, n), a(result.data(), n, n), b(more.data(), n, n);
      frugal::view<float> const flat(model.x.data(), n * n);
      pre.observe(0, z, z);
      pre.precondition(flat);
      bench::table t(cells, threads);
      t.add("two_gemms", 24, [&] {
        builtin.gemm(1, g, g, 0, a);
        builtin.gemm(1, a, g, 0, b);
      });
      t.add("mkor_step", 36, [&] { pre.precondition(flat); }).against("two_gemms", bench::on_one(threads, 1.25));
      s.measure(t);
    }
  });
});

}  // namespace
