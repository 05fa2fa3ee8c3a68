// SPDX-License-Identifier: Apache-2.0
/// @file Dense algebra: the builtin provider's multiplications against Eigen's, as flop rates can be compared; a rank-1
/// update against a pass in place over the matrix; a factorization against the multiplication of its size; SOAP by
/// Eigen's products against these, and these against Eigen's own.
// g++ 12 finds fault with its own AVX-512 header where Eigen uses it.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <frugal/linalg/eigen.hpp>

#include "kernels/cpu.hpp"
#include "kernels/soap_step.hpp"

namespace {

using frugal::index_t;

bench::suite const registered("linalg", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    index_t const n = s.quick ? 64 : 1024;
    std::size_t const cells = std::size_t(n * n);
    bench::model model(cells);
    bench::crew crew(threads);
    std::vector<float> result(cells), factor(cells);
    frugal::mat_view<float> const a(model.x.data(), n, n), b(model.g.data(), n, n), c(result.data(), n, n);
    frugal::linalg const builtin(cpu);
    frugal::linalg const eigen(cpu, frugal::eigen_linalg{});
    {
      bench::table t(cells, threads);
      using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
      Eigen::Map<matrix const> const x(a.data(), n, n), y(b.data(), n, n);
      Eigen::Map<matrix> z(c.data(), n, n);
      if (threads == 1) t.add("eigen_itself", 12, [&] { z.noalias() = x * y; });
      auto& provided = t.add("eigen_gemm", 12, [&] { eigen.gemm(1, a, b, 0, c); });
      if (threads == 1) provided.against("eigen_itself", 1.10);
      t.add("gemm", 12, [&] { builtin.gemm(1, a, b, 0, c); }).against("eigen_gemm");
      t.add("gemm_transposed", 12, [&] { builtin.gemm(1, frugal::transposed(a), b, 0, c); }).against("eigen_gemm");
      t.add("syrk", 8, [&] { builtin.syrk(1, b, 0, c); }).against("eigen_gemm");
      s.measure(t);
    }
    {
      bench::table t(cells, threads);
      frugal::view<float> const u(model.m.data(), n), v(model.v.data(), n);
      t.add("in_place", 8, [&] { bench::stream<1, 1>(crew, {model.x.data()}, cells); });
      t.add("rank_1", 8, [&] { builtin.rank_1(1e-6, u, v, 1, a); }).against("in_place");
      t.add("gemv", 4, [&] { builtin.gemv(1, b, u, 0, v); }).against("in_place");
      s.measure(t);
    }
    {
      index_t const m = s.quick ? 64 : 1024, k = s.quick ? 16 : 128, d = s.quick ? 16 : 256;
      bench::table t(std::size_t(m * k), threads);
      std::vector<float> values(std::size_t(d), 0.f);
      frugal::mat_view<float> const tall(model.g.data(), m, k), q(result.data(), m, k), symmetric(factor.data(), d, d),
          vectors(result.data(), d, d);
      builtin.syrk(1, b.block(0, 0, d, n), 0, symmetric);
      auto qr = builtin.template qr<float>(m, k);
      auto eigen_qr = eigen.template qr<float>(m, k);
      auto jacobi = builtin.template eigen<float>(d);
      auto tridiagonal = eigen.template eigen<float>(d);
      t.add("eigen_qr", 8, [&] { eigen_qr(tall, q); });
      t.add("qr", 8, [&] { qr(tall, q); }).against("eigen_qr");
      t.add("eigen_eigenvectors", 8, [&] { tridiagonal(symmetric, frugal::view<float>(values), vectors); });
      t.add("eigenvectors", 8, [&] {
         jacobi(symmetric, frugal::view<float>(values), vectors);
       }).against("eigen_eigenvectors");
      s.measure(t);
    }
  });
});

bench::suite const with_soap("soap_eigen", [](bench::session const& s) {
  bench::soap_rows(s, "soap_eigen", frugal::eigen_linalg{}, 4096, 1024,
                   [](bench::table& t, bench::soap_matrices const& at) {
                     using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
                     const auto mapped = [](frugal::mat_view<float> const& m) {
                       return Eigen::Map<matrix>(m.data(), m.rows(), m.cols());
                     };
                     t.add("eigen_itself_soap", 12,
                           [g = mapped(at.g), one = mapped(at.one), two = mapped(at.two), l = mapped(at.l),
                            r = mapped(at.r)]() mutable {
                             one.noalias() = l.transpose() * g;
                             two.noalias() = one * r;
                             one.noalias() = l * two;
                             two.noalias() = one * r.transpose();
                             l *= 0.5f;
                             l.selfadjointView<Eigen::Lower>().rankUpdate(g, 1e-3f);
                             r *= 0.5f;
                             r.selfadjointView<Eigen::Lower>().rankUpdate(g.transpose(), 1e-3f);
                           });
                     return "eigen_itself_soap";
                   });
});

}  // namespace
