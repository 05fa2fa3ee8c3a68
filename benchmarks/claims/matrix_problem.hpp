// SPDX-License-Identifier: Apache-2.0
/// @file A matrix problem in turned coordinates: |A (X - X*) B|^2 / 2, with gradients of batches; A and B have
/// condition numbers of 10, in bases of their own.
#pragma once
#include <cmath>
#include <frugal/backend/serial.hpp>
#include <frugal/core/normal.hpp>
#include <frugal/linalg/linalg.hpp>
#include <vector>

namespace claims {

class matrix_problem {
 public:
  static constexpr int d = 16, batch = 64;
  using matrix = std::vector<double>;  // d x d, in rows

  explicit matrix_problem(std::uint64_t seed)
      : random_{seed}, a_(spread(0)), b_(spread(1)), target_(normals(2, d * d)) {}
  double loss(matrix const& x) const {
    const matrix r = around(a_, difference(x), b_);
    double sum = 0;
    for (double each : r) sum += each * each;
    return sum / 2;
  }
  /// Of a batch of rank-1 measurements.
  matrix gradient(matrix const& x, int step) const {
    const matrix e = difference(x), za = normals(std::uint64_t(10 + 2 * step), batch * d),
                 zb = normals(std::uint64_t(11 + 2 * step), batch * d);
    matrix g(d * d);
    for (int s = 0; s < batch; ++s) {
      double a[d] = {}, b[d] = {}, r = 0;
      for (int i = 0; i < d; ++i)
        for (int k = 0; k < d; ++k) {
          a[i] += a_[std::size_t(i * d + k)] * za[std::size_t(s * d + k)];
          b[i] += b_[std::size_t(i * d + k)] * zb[std::size_t(s * d + k)];
        }
      for (int i = 0; i < d; ++i)
        for (int j = 0; j < d; ++j) r += a[i] * e[std::size_t(i * d + j)] * b[j];
      for (int i = 0; i < d; ++i)
        for (int j = 0; j < d; ++j) g[std::size_t(i * d + j)] += a[i] * r * b[j] / batch;
    }
    return g;
  }

 private:
  /// A x B^T for d x d matrices.
  static matrix around(matrix const& a, matrix const& x, matrix const& b) {
    matrix ax(d * d), out(d * d);
    for (int i = 0; i < d; ++i)
      for (int k = 0; k < d; ++k)
        for (int j = 0; j < d; ++j) ax[std::size_t(i * d + j)] += a[std::size_t(i * d + k)] * x[std::size_t(k * d + j)];
    for (int i = 0; i < d; ++i)
      for (int j = 0; j < d; ++j)
        for (int k = 0; k < d; ++k)
          out[std::size_t(i * d + j)] += ax[std::size_t(i * d + k)] * b[std::size_t(j * d + k)];
    return out;
  }
  matrix normals(std::uint64_t dir, int n) const {
    matrix v;
    for (int j = 0; j < n; ++j) v.push_back(double(frugal::normal(random_, dir, std::uint32_t(j))));
    return v;
  }
  matrix difference(matrix x) const {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] -= target_[i];
    return x;
  }
  /// Eigenvalues from 1 down to 1/10 in an orthogonal basis.
  matrix spread(std::uint64_t dir) const {
    const frugal::linalg la(frugal::serial_backend{});
    matrix q(d * d), values(d * d);
    const matrix z = normals(dir, d * d);
    auto qr = la.qr<double>(d, d);
    qr(frugal::mat_view<double const>(z.data(), d, d), frugal::mat_view<double>(q.data(), d, d));
    for (int i = 0; i < d; ++i) values[std::size_t(i * d + i)] = std::pow(10., -double(i) / (d - 1));
    return around(q, values, q);
  }
  frugal::random_stream random_;
  matrix a_, b_, target_;
};

}  // namespace claims
