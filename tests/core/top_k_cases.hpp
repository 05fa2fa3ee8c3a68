// SPDX-License-Identifier: Apache-2.0
// Vectors to select from, and what must come out.
#pragma once
#include <frugal/core/primitives.hpp>

#include <algorithm>
#include <limits>
#include <numeric>

#include "support/bits.hpp"

namespace frugal_test {

struct top {
  std::vector<std::uint32_t> at;
  std::vector<float> values;
};
inline testing::AssertionResult same_bits(top const& a, top const& b) {
  const auto at = same_bits(a.at, b.at);
  return at ? same_bits(a.values, b.values) : at;
}

// By a sort of all of them.
inline top top_of(std::vector<float> const& x, frugal::index_t k) {
  const auto key = [&](std::uint32_t i) { return std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffff; };
  top t{std::vector<std::uint32_t>(x.size()), {}};
  std::iota(t.at.begin(), t.at.end(), 0u);
  std::stable_sort(t.at.begin(), t.at.end(), [&](std::uint32_t a, std::uint32_t b) { return key(a) > key(b); });
  t.at.resize(std::size_t(k));
  std::sort(t.at.begin(), t.at.end());
  for (std::uint32_t i : t.at) t.values.push_back(x[i]);
  return t;
}

template <class Backend>
top select_top(frugal::top_k_select<Backend>& select, Backend const& b,
               frugal::view<float const, typename Backend::space> x, frugal::index_t k) {
  frugal::buffer<std::uint32_t, Backend> at(b, k);
  frugal::buffer<float, Backend> values(b, k);
  select(x, at.view(), values.view());
  return {frugal::to_host(b, at.view()), frugal::to_host(b, values.view())};
}

struct selection_case {
  std::string name;
  std::vector<float> x;
  frugal::index_t k;
};

// Orders and ties that a selection could stumble over, for n elements.
inline std::vector<selection_case> selection_cases(frugal::index_t n) {
  std::vector<selection_case> all;
  const auto size = std::size_t(n);
  const auto add = [&](char const* name, std::vector<float> const& x, std::vector<frugal::index_t> const& ks) {
    for (frugal::index_t k : ks)
      if (k >= 0 && k <= n && (all.empty() || all.back().name != name || all.back().k != k))
        all.push_back({name, x, k});
  };
  const std::vector<float> usual = numbers(n, 3);
  add("usual", usual, {0, 1, 2, n / 1000, n / 100, n / 4, n / 4 + 1, n / 2, n - 1, n});
  if (n < 2) return all;
  const frugal::index_t some = n / 50 + 1;
  std::vector<float> x = usual;
  dice d(9);
  for (float& e : x) e = float(d.bits() % 5) - 2;
  add("few values", x, {1, some, n / 3});
  add("all equal", std::vector<float>(size, -3.f), {1, some, n});
  for (float& e : x) e = d.bits() % 2 ? 0.f : -0.f;
  add("zeros of both signs", x, {1, some, n});
  x[size / 2] = -1e-45f;
  x[size - 1] = 1e-45f;
  add("nearly all zero", x, {1, 2, 3, some});
  x = usual;
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t i = 0; i < size; i += 100) x[i] = std::vector{inf, -inf, nan, -nan}[i / 100 % 4];
  add("not finite", x, {1, n / 300 + 1, some, n});
  x = usual;
  std::sort(x.begin(), x.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
  add("ascending", x, {1, some, n / 3});
  std::reverse(x.begin(), x.end());
  add("descending", x, {1, some, n / 3});
  x = usual;
  for (std::size_t i = size / 3; i < size / 3 + size / 40; ++i) x[i] *= 1e10f;
  add("in one place", x, {1, some, n / 4});
  if (n < 4 * frugal::tile_size) return all;
  const auto sampled = [&](float there, float elsewhere) {
    std::vector<float> y(size);
    for (float& e : y) e = elsewhere * float(1 + d.bits() % 1000);
    for (frugal::index_t i = 0; i < frugal::detail::take_sample::size; ++i)
      y[std::size_t(frugal::detail::take_sample::place(i, n))] = there * float(1 + d.bits() % 1000);
    return y;
  };
  add("the sample is larger", sampled(-1e3f, 1), {n / 100, n / 4});
  add("the sample is smaller", sampled(1e-10f, 1), {n / 1000, n / 4});
  add("the sample is zero", sampled(0, 1), {1, n / 4});
  return all;
}

}  // namespace frugal_test
