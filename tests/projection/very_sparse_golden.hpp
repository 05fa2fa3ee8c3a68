// SPDX-License-Identifier: Apache-2.0
// The matrices of golden/very_sparse.py, and what comes out of them, bit for bit; and products on serial.
#pragma once
#include <frugal/projection/very_sparse.hpp>

#include "support/backends.hpp"
#include "support/golden.hpp"

namespace frugal_test {

struct projection_case {
  std::string name;
  frugal::index_t inputs, outputs;
  frugal::very_sparse_config how;
  std::vector<std::int64_t> limits;
  std::vector<int> signs;  // row after row, unless they are many
  std::vector<float> x, y, from, transposed;
};
inline std::vector<projection_case> projection_cases() {
  std::vector<projection_case> all;
  for (golden_case const& c : read_golden("very_sparse.txt")) {
    projection_case p{c.name,
                      c.number<frugal::index_t>("inputs"),
                      c.number<frugal::index_t>("outputs"),
                      {.s = c.number<double>("s"), .seed = c.number<std::uint64_t>("seed")},
                      c.numbers<std::int64_t>("limits"),
                      {},
                      {},
                      c.numbers<float>("y"),
                      {},
                      {}};
    if (c.count("row") > 0) p.signs.resize(std::size_t(p.inputs * p.outputs), 0);
    for (frugal::index_t r = 0; r < frugal::index_t(c.count("row")); ++r)
      for (frugal::index_t column : c.numbers<frugal::index_t>("row", std::size_t(r)))
        p.signs[std::size_t(r * p.inputs + std::abs(column) - 1)] = column < 0 ? -1 : 1;
    if (c.count("x") > 0) {
      p.x = c.numbers<float>("x");
      p.from = c.numbers<float>("from");
      p.transposed = c.numbers<float>("transposed");
    } else {
      for (frugal::index_t j = 0; j < p.inputs; ++j) p.x.push_back((float(j * 7919 % 1021) / 64 - 8) * 1.001f);
    }
    all.push_back(std::move(p));
  }
  return all;
}

// R x, and R' y where it is known.
template <class Backend>
std::vector<float> products(Backend const& b, projection_case const& c) {
  frugal::very_sparse p(b, c.inputs, c.outputs, c.how);
  there<float, Backend> x(b, c.x, 1), y(b, c.y, 3);
  p.apply(x.constant(), y.all());
  std::vector<float> out = y.get();
  if (c.from.empty()) return out;
  y.set(c.from);
  p.apply_transpose(y.constant(), x.all());
  const auto back = x.get();
  out.insert(out.end(), back.begin(), back.end());
  return out;
}
inline std::vector<float> expected_products(projection_case const& c) {
  std::vector<float> out = c.y;
  out.insert(out.end(), c.transposed.begin(), c.transposed.end());
  return out;
}

// Small integers: their sums are exact, whatever the order.
inline std::vector<float> integers(frugal::index_t n, std::uint64_t seed) {
  dice d(seed);
  std::vector<float> v(std::size_t(n), 0.f);
  for (float& x : v) x = float(int(d.bits() % 15) - 7);
  return v;
}
inline std::vector<float> apply(frugal::very_sparse_config const& how, std::vector<float> const& x,
                                frugal::index_t outputs) {
  frugal::very_sparse p(frugal::serial_backend{}, frugal::index_t(x.size()), outputs, how);
  std::vector<float> y(std::size_t(outputs), 0.f);
  p.apply(x, y);
  return y;
}
inline std::vector<float> transpose(frugal::very_sparse_config const& how, std::vector<float> const& y,
                                    frugal::index_t inputs) {
  frugal::very_sparse p(frugal::serial_backend{}, inputs, frugal::index_t(y.size()), how);
  std::vector<float> x(std::size_t(inputs), 0.f);
  p.apply_transpose(y, x);
  return x;
}
inline double dot(std::vector<float> const& a, std::vector<float> const& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double(a[i]) * double(b[i]);
  return sum;
}

}  // namespace frugal_test
