// SPDX-License-Identifier: Apache-2.0
// Every call of linalg on one backend, with numbers that do not depend on it: the results, one after the other.
#pragma once
#include <frugal/backend/serial.hpp>
#include <frugal/core/hash.hpp>
#include <frugal/linalg/linalg.hpp>

#include <cstdint>
#include <vector>

namespace frugal_test {

// Numbers in [-1, 1), the same everywhere.
template <class T>
std::vector<T> even_numbers(frugal::index_t n, std::uint32_t seed) {
  std::vector<T> v(std::size_t(n), T{});
  for (T& x : v) {
    seed = seed * 1664525u + 1013904223u;
    x = T(float(seed >> 8) / 8388608.f - 1.f);
  }
  return v;
}

// A matrix of a backend's memory, in rows with a gap of `gap` elements.
template <class T, class Backend>
class placed {
 public:
  using mat = frugal::mat_view<T, typename Backend::space>;
  placed(Backend const& b, frugal::index_t rows, frugal::index_t cols, std::uint32_t seed, frugal::index_t gap = 0)
      : backend_(b), rows_(rows), cols_(cols), ld_(cols + gap), memory_(b, even_numbers<T>(rows * ld_, seed)) {}
  placed(Backend const& b, frugal::index_t rows, frugal::index_t cols, std::vector<T> const& from)
      : backend_(b), rows_(rows), cols_(cols), ld_(cols), memory_(b, from) {}
  mat operator()() const { return {memory_.data(), rows_, cols_, ld_}; }
  frugal::view<T, typename Backend::space> flat() const { return {memory_.data(), memory_.size()}; }
  std::vector<T> get() const { return frugal::to_host(backend_, memory_.view()); }  // gaps and all

 private:
  Backend backend_;
  frugal::index_t rows_, cols_, ld_;
  frugal::buffer<T, Backend> memory_;
};

template <class T>
void append(std::vector<T>& to, std::vector<T> const& more) {
  to.insert(to.end(), more.begin(), more.end());
}
template <class T>
void append(std::vector<T>& to, frugal::linalg_report const& r) {
  append(to, std::vector<T>{T(int(r.what)), T(r.iterations), T(r.at)});
}

template <class T, class Backend, class Provider>
std::vector<T> products(frugal::linalg<Backend, Provider> const& la, frugal::index_t m, frugal::index_t n,
                        frugal::index_t k) {
  using frugal::transposed;
  using P = placed<T, Backend>;
  using space = typename Backend::space;
  Backend const& b = la.backend();
  std::vector<T> all;
  const P x(b, m, k, 1, 3), xt(b, k, m, 2, 1), y(b, k, n, 3), yt(b, n, k, 4, 5);
  for (int way = 0; way < 4; ++way) {
    const P c(b, m, n, 5, 2);
    const double alpha = way == 2 ? 0.3 : 1, beta = way == 1 ? 0 : way == 3 ? -0.7 : 1;
    if (way == 0) la.gemm(alpha, x(), y(), beta, c());
    if (way == 1) la.gemm(alpha, transposed(xt()), y(), beta, c());
    if (way == 2) la.gemm(alpha, x(), transposed(yt()), beta, c());
    if (way == 3) la.gemm(alpha, transposed(xt()), transposed(yt()), beta, c());
    append(all, c.get());
  }
  const P s(b, m, m, 6, 1), r(b, m, m, 7);
  la.syrk(0.05, x(), 0.95, s());
  la.syrk(1, transposed(xt()), 0, r());
  append(all, s.get());
  append(all, r.get());
  const P u(b, m, 1, 8), v(b, k, 1, 9), a(b, m, k, 10, 4);
  la.gemv(0.5, x(), v.flat(), 0.25, u.flat());
  append(all, u.get());
  la.gemv(2, transposed(x()), u.flat(), 0, v.flat());
  append(all, v.get());
  la.rank_1(-0.1, u.flat(), v.flat(), 0.9, a());
  const P one(b, 1, 1, std::vector<T>{T(0.125)});
  la.rank_1(one.flat(), u.flat(), v.flat(), one.flat(), a());
  append(all, a.get());
  // A tensor of 3 axes; along each.
  const std::array<frugal::index_t, 3> shape{3, n, 5};
  const P t(b, 3, 5 * n, 11);
  for (frugal::index_t axis = 0; axis < 3; ++axis) {
    const frugal::axis_view<T, space> in(t.flat(), shape, axis);
    auto to = shape;
    to[std::size_t(axis)] = m;
    const frugal::index_t d = shape[std::size_t(axis)];
    const P w(b, m, d, 12), wt(b, d, m, 13), out(b, 1, to[0] * to[1] * to[2], 14), gram(b, d, d, 15, 1);
    la.mode_product(1, w(), in, 0.5, frugal::axis_view<T, space>(out.flat(), to, axis));
    append(all, out.get());
    la.mode_product(1, transposed(wt()), in, 0, frugal::axis_view<T, space>(out.flat(), to, axis));
    append(all, out.get());
    la.mode_syrk(0.05, in, 0.95, gram());
    append(all, gram.get());
    frugal::buffer<std::uint32_t, Backend> order(b, d);
    const P back(b, 1, 15 * n, 16);
    la.sort_order(frugal::view<T const, space>(t.flat().data(), d), axis != 1, order.view());
    la.take(in, order.view(), frugal::axis_view<T, space>(back.flat(), shape, axis));
    append(all, back.get());
  }
  return all;
}

template <class T, class Backend, class Provider>
std::vector<T> factorizations(frugal::linalg<Backend, Provider> const& la, frugal::index_t n) {
  using P = placed<T, Backend>;
  Backend const& b = la.backend();
  std::vector<T> all;
  const P a(b, n + 7, n, 1, 2), q(b, n + 7, n, 2, 1), r(b, n, n, 3, 1), s(b, n, n, 4, 3), v(b, n, n, 5, 1),
      w(b, n, 1, 6), x(b, n, 3, 7, 1);
  auto qr = la.template qr<T>(n + 7, n);
  qr(a(), q(), r());
  append(all, q.get());
  append(all, r.get());
  append(all, qr.report());
  la.syrk(1, frugal::transposed(a()), 0, s());
  auto eigen = la.template eigen<T>(n);
  eigen(s(), w.flat(), v());
  append(all, w.get());
  append(all, v.get());
  append(all, eigen.report());
  auto cholesky = la.template cholesky<T>(n);
  cholesky.factor(s());
  cholesky.lower(r());
  cholesky.solve(x());
  cholesky.inverse(v());
  append(all, r.get());
  append(all, x.get());
  append(all, v.get());
  append(all, cholesky.report());
  auto root = la.template inverse_root<T>(n);
  root(s(), {.exponent = 0.25, .ridge = 1e-6}, v());
  append(all, v.get());
  append(all, root.report());
  return all;
}

// Of every result, float and double, on the CPU: compilers, flags and processors agree on it.
inline constexpr std::uint64_t dense_algebra_digest = 12268545008999463017u;
inline std::uint64_t digest_of_dense_algebra() {
  const frugal::linalg la(frugal::serial_backend{});
  frugal::fnv1a digest;
  const auto add = [&](auto const& numbers) {
    for (auto x : numbers) digest.add(frugal::detail::bit_cast<std::uint64_t>(double(x)));
  };
  add(products<float>(la, 70, 33, 100));
  add(products<double>(la, 33, 20, 50));
  add(factorizations<float>(la, 70));
  add(factorizations<double>(la, 33));
  return digest.value();
}

}  // namespace frugal_test
