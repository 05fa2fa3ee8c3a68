// SPDX-License-Identifier: Apache-2.0
// Assertions of bitwise equality, and reproducible numbers.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <frugal/core/state.hpp>
#include <sstream>
#include <string>
#include <vector>

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

// 64 random bits at a time (splitmix64): the same on every platform.
class dice {
 public:
  explicit dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  double uniform() { return double(bits() >> 11) * 0x1p-53; }  // [0, 1)
  double between(double low, double high) { return low + (high - low) * uniform(); }
  double normal() {
    double sum = -6;  // near enough
    for (int k = 0; k < 12; ++k) sum += uniform();
    return sum;
  }

 private:
  std::uint64_t state_;
};

// Numbers of both signs over some decades, with a few zeros.
template <class T = float>
std::vector<T> numbers(frugal::index_t n, std::uint64_t seed) {
  dice d(seed);
  std::vector<T> out(std::size_t(n), T{});
  for (T& x : out) {
    const std::uint64_t b = d.bits();
    const float magnitude = float(b >> 40) * 0x1p-24f * float(1 << (b & 15)) * 0x1p-8f;
    const float f = (b & 0x3f0) == 0 ? 0.f : b & 0x400 ? -magnitude : magnitude;
    if constexpr (std::is_same_v<T, frugal::bf16>) x = frugal::to_bf16(f);
    else if constexpr (std::is_same_v<T, frugal::half>) x = frugal::to_half(f);
    else x = T(f);
  }
  return out;
}

}  // namespace frugal_test
