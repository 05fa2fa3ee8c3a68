// SPDX-License-Identifier: Apache-2.0
/// @file No compression: n floats as they are. What every error feedback and every gossip must agree with, and the
/// yardstick for bytes.
#pragma once
#include "compressor.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Elements from a source to memory.
template <class From>
struct copy_elements {
  using scalar = float;
  From source;
  float* to;

  struct bound {
    From source;
    float* to;
    static constexpr bool active = true;
    FRUGAL_FN bool aligned(int width) const { return source.aligned(width) && multiple_of(to, width); }
    FRUGAL_FN float const* contiguous() const { return source.contiguous(); }
    struct same {
      FRUGAL_GENERIC template <class V>
      FRUGAL_FN V operator()(V p) const {
        return p;
      }
    };
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      c.store(to, source.template exchange<false>(c, same{}));
    }
  };
  FRUGAL_FN bound bind(segment const&) const { return {source, to}; }
};
template <bool Add>
struct take_elements {
  using scalar = float;
  decoded<Add> rule;
  float* x;
  float const* d;
  static constexpr bool active = true;

  FRUGAL_FN bool aligned(int width) const { return multiple_of(x, width) && multiple_of(d, width); }
  FRUGAL_FN float const* contiguous() const { return x; }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    c.store(x, rule(c.load(x), c.load(d)));
  }
  FRUGAL_FN take_elements bind(segment const&) const { return *this; }
};
}  // namespace detail

/// Payload: n floats. alpha = 1.
struct identity {
  static constexpr char const* name = "identity";
  template <class Backend>
  class coder;
};

template <class Backend>
class identity::coder {
 public:
  static constexpr bool in_one_pass = true;
  coder(Backend const& b, index_t n, identity) : backend_(b), n_(n), memory_(b, payload()) {}
  index_t payload() const { return 4 * n_; }
  std::uint64_t payload_bits() const { return 32 * std::uint64_t(n_); }
  double alpha() const { return 1; }

  template <class From>
  void encode(From const& from, std::uint8_t* payload, message_stamp) {
    auto* to = reinterpret_cast<float*>(memory_.room(payload));
    backend_.for_each(one_segment(n_), detail::copy_elements<From>{from, to});
    memory_.collect(payload);
  }
  void check(view<std::uint8_t const>, message_stamp) const {}
  template <bool Add>
  void decode(float* x, float scale, view<std::uint8_t const> payload, message_stamp) {
    auto const* d = reinterpret_cast<float const*>(memory_.deliver(payload));
    backend_.for_each(one_segment(n_), detail::take_elements<Add>{{scale}, x, d});
  }

 private:
  Backend backend_;
  index_t n_;
  detail::payload_memory<Backend> memory_;
};

}  // namespace v0
}  // namespace frugal
