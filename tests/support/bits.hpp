// SPDX-License-Identifier: Apache-2.0
// Assertions of bitwise equality.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <frugal/core/state.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "numbers.hpp"

namespace frugal_test {

inline std::string shown(float x) { return testing::PrintToString(x); }
inline std::string shown(double x) { return testing::PrintToString(x); }
inline std::string shown(frugal::bf16 x) { return "bf16 " + std::to_string(x.bits); }
inline std::string shown(frugal::half x) { return "half " + std::to_string(x.bits); }
template <std::integral I>
std::string shown(I x) {
  return std::to_string(x);
}

// Where the bytes of two arrays of `n` elements first differ; n if nowhere.
inline std::size_t first_difference(void const* a, void const* b, std::size_t n, std::size_t size) {
  if (n == 0 || std::memcmp(a, b, n * size) == 0) return n;
  std::size_t i = 0;
  while (std::memcmp(static_cast<char const*>(a) + i * size, static_cast<char const*>(b) + i * size, size) == 0) ++i;
  return i;
}

template <class T>
testing::AssertionResult same_bits(std::vector<T> const& a, std::vector<T> const& b) {
  if (a.size() != b.size()) return testing::AssertionFailure() << a.size() << " elements and " << b.size();
  const std::size_t i = first_difference(a.data(), b.data(), a.size(), sizeof(T));
  if (i == a.size()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "element " << i << " of " << a.size() << ": " << shown(a[i]) << " and "
                                     << shown(b[i]);
}
inline testing::AssertionResult same_bits(double a, double b) {
  return same_bits(std::vector<double>{a}, std::vector<double>{b});
}
inline testing::AssertionResult same_bits(frugal::snapshot const& a, frugal::snapshot const& b) {
  if (a.algorithm != b.algorithm) return testing::AssertionFailure() << a.algorithm << " and " << b.algorithm;
  if (a.layout != b.layout) return testing::AssertionFailure() << "states of other layouts";
  if (a.pieces.size() != b.pieces.size()) return testing::AssertionFailure() << "other counts of pieces";
  for (std::size_t i = 0; i < a.pieces.size(); ++i) {
    auto const &p = a.pieces[i], &q = b.pieces[i];
    if (p.name != q.name || p.role != q.role || p.type != q.type || p.count != q.count)
      return testing::AssertionFailure() << "piece " << p.name << " and piece " << q.name;
    if (const auto same = same_bits(p.bytes, q.bytes); !same)
      return testing::AssertionFailure() << "piece " << p.name << " of " << p.count
                                         << ", byte by byte: " << same.message();
  }
  return testing::AssertionSuccess();
}

// The values of a piece of a saved state; empty if there is none of that name and type.
template <class T>
std::vector<T> piece(frugal::snapshot const& s, std::string const& name) {
  for (auto const& p : s.pieces) {
    if (p.name != name || p.type != frugal::type_name<T>()) continue;
    std::vector<T> out(p.bytes.size() / sizeof(T));
    if (!out.empty()) std::memcpy(out.data(), p.bytes.data(), p.bytes.size());
    return out;
  }
  return {};
}

}  // namespace frugal_test
