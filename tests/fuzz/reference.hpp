// SPDX-License-Identifier: Apache-2.0
// Messages read a second time, bit by bit and with no regard to speed, from the description of their format.
#pragma once
#include <frugal/compress/identity.hpp>
#include <frugal/compress/rand_k.hpp>
#include <frugal/compress/scaled_sign.hpp>
#include <frugal/compress/top_k.hpp>
#include <optional>

#include "fuzz.hpp"

namespace frugal_fuzz {

struct sent {
  index_t i;
  float d;
};
inline std::vector<sent> sent_of(floats const& x) {
  std::vector<sent> all;
  for (float d : x) all.push_back({index_t(all.size()), d});
  return all;
}
// What a message stands for: these elements, nothing for the others. None if it is to be refused.
using content = std::optional<std::vector<sent>>;

inline float float_at(bytes const& m, index_t at) {
  const auto word = std::uint32_t(field(m, int(at), 4));
  float x;
  memcpy(&x, &word, 4);
  return x;
}
inline bool bit_at(bytes const& m, index_t from, index_t bit) {
  return m[std::size_t(from + bit / 8)] >> (bit % 8) & 1;
}
inline bool zero_to_the_end(bytes const& m, index_t from, index_t bit) {
  for (; bit < 8 * (index_t(m.size()) - from); ++bit)
    if (bit_at(m, from, bit)) return false;
  return true;
}
inline index_t count_of(index_t k, double ratio, index_t n) {
  return ratio == 0 ? k : n == 0 ? 0 : std::max(index_t(1), index_t(ratio * double(n)));
}

// ---- payloads: how long they are, and what they say -----------------------------------------------------------------
inline index_t payload_of(frugal::identity, index_t n) { return 4 * n; }
inline content payload_says(frugal::identity, index_t n, bytes const& m, message_stamp) {
  std::vector<sent> all;
  for (index_t i = 0; i < n; ++i) all.push_back({i, float_at(m, 64 + 4 * i)});
  return all;
}

inline int index_width(index_t n) {
  int w = 0;
  while ((index_t(1) << w) < n) ++w;
  return w;
}
inline index_t payload_of(frugal::top_k c, index_t n) {
  const index_t k = count_of(c.k, c.ratio, n);
  return 4 * k + (std::min(n, k * index_width(n)) + 7) / 8;
}
inline content payload_says(frugal::top_k c, index_t n, bytes const& m, message_stamp) {
  const index_t k = count_of(c.k, c.ratio, n), from = 64 + 4 * k, width = index_width(n);
  std::vector<index_t> at;
  if (n < k * width) {
    for (index_t i = 0; i < n; ++i)
      if (bit_at(m, from, i)) at.push_back(i);
    if (!zero_to_the_end(m, from, n)) return {};
  } else {
    for (index_t j = 0; j < k; ++j) {
      index_t i = 0;
      for (index_t b = 0; b < width; ++b) i |= index_t(bit_at(m, from, j * width + b)) << b;
      if (i >= n || (j > 0 && i <= at.back())) return {};
      at.push_back(i);
    }
    if (!zero_to_the_end(m, from, k * width)) return {};
  }
  if (index_t(at.size()) != k) return {};
  std::vector<sent> all;
  for (index_t j = 0; j < k; ++j) all.push_back({at[std::size_t(j)], float_at(m, 64 + 4 * j)});
  return all;
}

inline index_t payload_of(frugal::rand_k c, index_t n) { return 4 * count_of(c.k, c.ratio, n) + 8; }
inline content payload_says(frugal::rand_k c, index_t n, bytes const& m, message_stamp stamp) {
  const index_t k = count_of(c.k, c.ratio, n);
  const std::uint64_t seed =
      c.shared ? c.seed : frugal::random_stream{c.seed}.derive(std::uint64_t(std::uint32_t(stamp.sender)));
  if (field(m, int(64 + 4 * k), 8) != seed) return {};
  std::vector<sent> all;
  if (k == 0) return all;
  const frugal::permutation order(seed, stamp.round, std::uint64_t(n));
  for (index_t j = 0; j < k; ++j) all.push_back({index_t(order(std::uint32_t(j))), float_at(m, 64 + 4 * j)});
  return all;
}

inline index_t scales_of(frugal::scaled_sign c, index_t n) {
  return n == 0 ? 0 : c.block == 0 ? 1 : (n + c.block - 1) / c.block;
}
inline index_t payload_of(frugal::scaled_sign c, index_t n) { return 4 * scales_of(c, n) + (n + 7) / 8; }
inline content payload_says(frugal::scaled_sign c, index_t n, bytes const& m, message_stamp) {
  const index_t scales = scales_of(c, n), from = 64 + 4 * scales;
  for (index_t k = 0; k < scales; ++k)
    if (float_at(m, 64 + 4 * k) < 0) return {};
  if (!zero_to_the_end(m, from, n)) return {};
  std::vector<sent> all;
  for (index_t i = 0; i < n; ++i) {
    const float scale = float_at(m, 64 + 4 * (c.block == 0 ? 0 : i / c.block));
    all.push_back({i, bit_at(m, from, i) ? scale : -scale});
  }
  return all;
}

// ---- whole messages -------------------------------------------------------------------------------------------------
template <class C>
content message_says(C how, frugal::layout const& l, bytes const& m, message_stamp stamp) {
  const index_t n = l.size(), payload = payload_of(how, n);
  if (index_t(m.size()) != 64 + payload) return {};
  char name[17] = {};
  memcpy(name, m.data() + 8, 16);
  bytes padded(16, 0);
  memcpy(padded.data(), C::name, std::strlen(C::name));
  const bool right = field(m, 0, 2) == 0x6667 && m[2] == 1 && m[3] == 1 &&
                     field(m, 4, 4) == std::uint64_t(std::uint32_t(stamp.sender)) &&
                     memcmp(name, padded.data(), 16) == 0 && field(m, 24, 8) == l.hash() &&
                     field(m, 32, 8) == std::uint64_t(n) && field(m, 40, 8) == stamp.round &&
                     field(m, 48, 8) == std::uint64_t(payload) && field(m, 56, 8) == checksum(m);
  if (!right) return {};
  return payload_says(how, n, m, stamp);
}

// x + scale D and D; each product and each sum is rounded once.
inline floats added(floats x, std::vector<sent> const& d, float scale) {
  for (sent const& e : d) {
    const volatile float product = scale * e.d;
    x[std::size_t(e.i)] += product;
  }
  return x;
}
inline floats alone(index_t n, std::vector<sent> const& d) {
  floats x(std::size_t(n), 0.f);
  for (sent const& e : d) x[std::size_t(e.i)] = e.d;
  return x;
}

}  // namespace frugal_fuzz
