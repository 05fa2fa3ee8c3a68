// SPDX-License-Identifier: Apache-2.0
/// @file K-FAC's moments and damped inverse of one side of a layer, against a product of two matrices of that size.
#include <frugal/optim/kfac.hpp>

#include "kernels/cpu.hpp"

namespace {

using frugal::index_t;

bench::suite const registered("kfac", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    index_t const n = s.quick ? 64 : 512, rows = s.quick ? 32 : 128;
    bench::model model(std::size_t(n * n));
    std::vector<float> result(model.x);
    frugal::mat_view<float> const z(model.g.data(), rows, n), a(model.x.data(), n, n), b(model.g.data(), n, n),
        c(result.data(), n, n);
    frugal::linalg const la(cpu);
    frugal::detail::kfac_curvature<float, decltype(cpu), frugal::builtin_linalg> kfac(la, {n, n});
    bench::table t(std::size_t(n * n), threads);
    t.add("gemm_of_a_side", 12, [&] { la.gemm(1, a, b, 0, c); });
    t.add("kfac_moments", 8, [&] { kfac.observe(0, z, 1, 1, true, false, {}); }).against("gemm_of_a_side");
    t.add("kfac_inverse", 16, [&] { kfac.refresh(0, false, {}); }).against("gemm_of_a_side");
    s.measure(t);
  });
});

}  // namespace
