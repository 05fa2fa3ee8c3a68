// SPDX-License-Identifier: Apache-2.0
/// @file K-FAC's moments and damped inverse of one side of a layer, by the builtin provider, against Eigen's product of
/// two matrices of that size.
// g++ 12 finds fault with its own AVX-512 header where Eigen uses it.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <frugal/linalg/eigen.hpp>
#include <frugal/optim/kfac.hpp>

#include "kernels/cpu.hpp"

namespace {

using frugal::index_t;

bench::suite const registered("kfac", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    index_t const n = s.quick ? 64 : 512, rows = 128;
    bench::model model(std::size_t(n * n));
    std::vector<float> result(model.x);
    frugal::mat_view<float> const z(model.g.data(), s.quick ? 32 : rows, n), a(model.x.data(), n, n),
        b(model.g.data(), n, n), c(result.data(), n, n);
    frugal::linalg const builtin(cpu);
    frugal::linalg const eigen(cpu, frugal::eigen_linalg{});
    frugal::detail::kfac_curvature<float, decltype(cpu), frugal::builtin_linalg> kfac(builtin, {n, n});
    frugal::detail::kfac_curvature<float, decltype(cpu), frugal::eigen_linalg> other(eigen, {n, n});
    bench::table t(std::size_t(n * n), threads);
    t.add("eigen_gemm", 12, [&] { eigen.gemm(1, a, b, 0, c); });
    t.add("kfac_moments", 8, [&] { kfac.observe(0, z, 1, 1, true, false, {}); }).against("eigen_gemm");
    t.add("kfac_inverse", 16, [&] { kfac.refresh(0, false, {}); }).against("eigen_gemm");
    t.add("kfac_inverse_eigen", 16, [&] { other.refresh(0, false, {}); }).against("eigen_gemm");
    s.measure(t);
  });
});

}  // namespace
