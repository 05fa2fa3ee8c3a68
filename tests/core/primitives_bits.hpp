// SPDX-License-Identifier: Apache-2.0
// All primitives of a backend, one after the other: the words that come out are the same on every backend.
#pragma once
#include <frugal/backend/serial.hpp>
#include <frugal/core/primitives.hpp>

#include <limits>
#include <vector>

namespace frugal_test {

struct odd_word {
  std::uint32_t const* words;
  FRUGAL_FN bool operator()(frugal::index_t i) const { return words[i] % 2 != 0; }
};

// Numbers, ties, one value only, what is not finite.
inline std::vector<std::vector<float>> primitive_inputs(frugal::index_t n) {
  std::vector<std::vector<float>> all(3, std::vector<float>(std::size_t(n), -3.f));
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const float few[] = {0.f, -0.f, 1.f, -1.f, nan, inf, -nan, -inf, 2.f, 0.f, 0.f, 1e-45f, -1e-45f};
  std::uint32_t seed = 5;
  for (std::size_t i = 0; i < std::size_t(n); ++i) {
    seed = seed * 1664525u + 1013904223u;
    all[0][i] = (float(seed >> 8) / 8388608.f - 1.f) * float(1u << (seed >> 4 & 7));
    all[1][i] = few[(seed >> 16) % 13];
  }
  return all;
}

// The objects are made for `more` elements than they get.
template <class Backend>
std::vector<std::uint32_t> primitives_of(Backend b, std::vector<float> const& numbers, frugal::index_t k,
                                         frugal::index_t more = 0) {
  using provided = frugal::primitives<Backend>;
  using words = frugal::buffer<std::uint32_t, Backend>;
  constexpr frugal::index_t bins = 1000;
  const auto n = frugal::index_t(numbers.size()), most = n + more;
  std::vector<std::uint32_t> out, bits;
  std::vector<std::int32_t> small;
  std::vector<std::int64_t> large;
  for (float f : numbers) {
    bits.push_back(frugal::detail::bit_cast<std::uint32_t>(f) / 3);
    small.push_back(std::int32_t(bits.back() * 5));
    large.push_back(std::int64_t(std::uint64_t(bits.back()) << 33 | bits.back()));
  }
  const auto keep = [&](auto const& v) {
    for (auto x : frugal::to_host(b, v)) {
      if constexpr (sizeof x == 8)
        out.push_back(std::uint32_t(std::uint64_t(x) >> 32)), out.push_back(std::uint32_t(x));
      else out.push_back(frugal::detail::bit_cast<std::uint32_t>(x));
    }
  };
  const auto scan = [&](auto const& from) {
    using T = typename std::remove_cvref_t<decltype(from)>::value_type;
    const frugal::buffer<T, Backend> x(b, from), y(b, n);
    typename provided::template scan<T> sum(b, most);
    sum(x.view(), y.view());
    keep(y.view());
    keep(sum.total());
    sum(x.view(), x.view());
    keep(x.view());
    keep(sum.total());
  };
  scan(bits);
  scan(small);
  scan(large);
  typename provided::select select(b, most);
  for (frugal::index_t room : {n, n / 3, frugal::index_t(0)}) {
    const words x(b, bits);
    words at(b, room);
    at.fill(7);
    select(n, odd_word{x.data()}, at.view());
    keep(at.view());
    keep(select.count());
  }
  for (std::uint32_t distinct : {1u, 1300u, 0xffffffffu}) {
    std::vector<std::uint32_t> some = bits, index;
    for (std::uint32_t& w : some) w = w * 0x9e3779b9u % distinct, index.push_back(std::uint32_t(index.size()));
    const words x(b, some), y(b, index), counts(b, bins);
    typename provided::counts count(b, most, bins);
    count(x.view(), counts.view());
    keep(counts.view());
    typename provided::sort sort(b, most);
    sort(x.view(), y.view());
    keep(x.view());
    keep(y.view());
  }
  const frugal::buffer<float, Backend> x(b, numbers), values(b, k);
  const words at(b, k);
  typename provided::top_k top(b, most, k);
  top(x.view(), at.view(), values.view());
  keep(at.view());
  keep(values.view());
  return out;
}

// Does a backend give what the serial one gives, in every case?
template <class Backend>
bool same_primitives(Backend const& b, std::vector<frugal::index_t> const& sizes) {
  for (frugal::index_t n : sizes)
    for (auto const& x : primitive_inputs(n))
      for (frugal::index_t k : {frugal::index_t(0), (n + 99) / 100, n / 2, n}) {
        const auto expected = primitives_of(frugal::serial_backend{}, x, k);
        for (frugal::index_t more : {0, 5000})
          if (primitives_of(b, x, k, more) != expected) return false;
      }
  return true;
}

}  // namespace frugal_test
