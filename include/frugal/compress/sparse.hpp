// SPDX-License-Identifier: Apache-2.0
/// @file What the compressors share that send some elements and leave out the others.
#pragma once
#include "compressor.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// How many of n elements are kept: k, or the part `ratio` of them, rounded down, at least one.
inline index_t kept(index_t k, double ratio, index_t n) {
  require(k == 0 || ratio == 0, "k and ratio", "one of them", "both");
  require(k != 0 || ratio != 0, "k and ratio", "one of them", "neither");
  if (ratio == 0) {
    require(k >= 1 && k <= n, "k", text("1 to ", n), k);
    return k;
  }
  require(ratio > 0 && ratio <= 1, "ratio", "(0, 1]", ratio);
  const auto some = index_t(ratio * double(n));
  return n == 0 ? 0 : some < 1 ? 1 : some;
}

/// Coordinates from a list. A `permutation` is another such source.
struct listed_places {
  std::uint32_t const* at;
  FRUGAL_FN std::uint32_t operator()(std::uint32_t j) const { return at[j]; }
};

/// f(j) for j in [0, k), one by one; f has `operator()(index_t)`.
template <class F>
struct one_by_one {
  using scalar = float;
  F f;
  static constexpr bool active = true;
  FRUGAL_FN one_by_one bind(segment const&) const { return *this; }
  FRUGAL_FN bool aligned(int) const { return false; }
  float const* contiguous() const { return nullptr; }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    for (index_t k = 0; k < c.count(); ++k) f(c.at + k);
  }
};

/// Tells a source what was sent of its elements.
template <class From, class Places>
struct tell_sent {
  From source;
  Places at;
  float const* d;
  FRUGAL_FN void operator()(index_t j) const { source.sent(index_t(at(std::uint32_t(j))), d[j]); }
};

/// Adds decoded elements to x, or puts them there.
template <bool Add, class Places>
struct put_elements {
  decoded<Add> rule;
  Places at;
  float const* d;
  float* x;
  FRUGAL_FN void operator()(index_t j) const {
    using one = lanes<float, 1>;
    const index_t i = index_t(at(std::uint32_t(j)));
    rule(one(x[i]), one(d[j])).store(x + i);
  }
};

/// k values on their way, in the backend's memory.
template <class Backend>
class sparse_values {
 public:
  sparse_values(Backend b, index_t k) : backend_(std::move(b)), values_(backend_, k) {}
  float* data() const { return values_.data(); }
  frugal::view<float, typename Backend::space> view() const { return values_.view(); }

  /// To a payload, once the source knows of them; waits.
  template <class From, class Places>
  void send(From const& from, Places at, std::uint8_t* payload) const {
    if constexpr (From::listens)
      backend_.for_each(one_segment(values_.size()), one_by_one<tell_sent<From, Places>>{{from, at, values_.data()}});
    backend_.copy_out(payload, values_.data(), values_.bytes());
  }
  /// From a payload to x, which has n elements.
  template <bool Add, class Places>
  void receive(float* x, index_t n, float scale, std::uint8_t const* payload, Places at) const {
    backend_.copy_in(values_.data(), payload, values_.bytes());
    if (!Add) backend_.fill(x, 0, std::size_t(n) * sizeof(float));
    backend_.for_each(one_segment(values_.size()),
                      one_by_one<put_elements<Add, Places>>{{{scale}, at, values_.data(), x}});
  }

 private:
  Backend backend_;
  buffer<float, Backend> values_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
