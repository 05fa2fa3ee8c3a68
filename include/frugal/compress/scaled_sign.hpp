// SPDX-License-Identifier: Apache-2.0
/// @file Scaled sign: Bernstein, Wang, Azizzadenesheli, Anandkumar, "signSGD: Compressed Optimisation for Non-Convex
/// Problems", ICML 2018, with the scale of Karimireddy, Rebjock, Stich, Jaggi, "Error Feedback Fixes SignSGD and other
/// Gradient Compression Schemes", ICML 2019, Algorithm 1.
///
///     C(x) = |x|_1 / n sign(x)        sign(0) = sign(-0) = 1
///
/// One bit an element. |C(x) - x|^2 = |x|^2 - |x|_1^2 / n exactly, but for the rounding of the scale.
#pragma once
#include "../core/reduce.hpp"
#include "compressor.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// The magnitudes of a source, to be summed.
template <class From>
struct magnitudes {
  using scalar = float;
  From source;
  FRUGAL_FN magnitudes bind(segment const&) const { return *this; }
  FRUGAL_FN float const* contiguous() const { return source.contiguous(); }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN auto operator()(Chunk c) const {
    return abs(source.value(c));
  }
};

/// The mean of n magnitudes, from their sum.
struct mean_magnitude {
  double const* sum;
  index_t n;
  float* scale;
  FRUGAL_FN static float of(double sum, index_t n) { return float((exact(sum) / exact(double(n))).v[0]); }
  FRUGAL_FN void operator()() const { *scale = of(*sum, n); }
};

/// A part of the vector each team: where it is a block with a scale of its own, its scale first; then the bits.
template <class From, bool Blocks>
struct sign_parts {
  static constexpr unsigned team_threads = unsigned(reduction_slots);
  static constexpr int scratch_bytes = int(reduction_slots) * int(sizeof(float));
  From source;
  index_t n, part;
  float* scales;
  std::uint8_t* bits;

  template <class Team>
  struct signs {
    Team team;
    From source;
    index_t size;
    float scale;
    struct code {
      float scale;
      FRUGAL_GENERIC template <class V>
      FRUGAL_FN V operator()(V p) const {
        return select(p < V(0.f), V(-scale), V(scale));
      }
    };
    FRUGAL_FN bool aligned(int width) const { return source.aligned(width); }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN std::uint32_t operator()(Chunk c) const {
      using V = typename Chunk::value;
      source.ahead(team, c.at + size);  // the walk over the next block finds it near
      return ~less_bits(source.template exchange<true>(c, code{scale}), V(0.f));
    }
  };

  index_t teams() const { return (n + part - 1) / part; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t at = team.rank() * part, size = n - at < part ? n - at : part;
    const From here = source.from(at);
    float scale;
    if constexpr (Blocks) {
      scale = mean_magnitude::of(double(team.template sum<float>(magnitudes<From>{here}, 0, size)), size);
      if (team.lane() == 0) scales[team.rank()] = scale;
    } else {
      scale = *scales;
    }
    team.template for_bits<float>(size, bits + at / 8, signs<Team>{team, here, size, scale});
  }
};

template <bool Add, bool Blocks>
struct sign_decode {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  decoded<Add> rule;
  float* x;
  index_t n, part;
  float const* scales;
  std::uint8_t const* bits;

  struct part_of {
    decoded<Add> rule;
    float* x;
    float scale;
    FRUGAL_FN bool aligned(int width) const { return multiple_of(x, width); }
    FRUGAL_FN float const* contiguous() const { return x; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c, bit_words<1> word) const {
      using V = typename Chunk::value;
      const V d = select_bits(word.of[0], V(scale), V(-scale));
      if constexpr (Add) c.store(x, rule(c.load(x), d));
      else c.store(x, d);
    }
  };

  index_t teams() const { return (n + part - 1) / part; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t at = team.rank() * part, size = n - at < part ? n - at : part;
    const float scale = scales[Blocks ? team.rank() : 0];
    team.template with_bits<float>(size, {{bits + at / 8}}, part_of{rule, x + at, scale});
  }
};
}  // namespace detail

/// Payload: the scales, then a bit for each element (1: +), the first in the lowest bit; n + 32 bits a scale.
/// alpha = 1 / n, or 1 / block. A NaN makes its scale NaN, and so all that is decoded with it.
struct scaled_sign {
  static constexpr char const* name = "scaled_sign";
  index_t block = 0;  ///< elements that share a scale: a multiple of 256, at most 16384; 0: all of them
  template <class Backend>
  class coder;
};

template <class Backend>
class scaled_sign::coder {
 public:
  static constexpr bool in_one_pass = true;
  coder(Backend const& b, index_t n, scaled_sign c)
      : backend_(b),
        n_((require(c.block % 256 == 0 && c.block >= 0 && c.block <= tile_size, "block",
                    "0, or a multiple of 256 up to 16384", c.block),
            n)),
        block_(c.block),
        scales_(n == 0        ? 0
                : block_ == 0 ? 1
                              : (n + block_ - 1) / block_),
        memory_(b, payload()),
        sums_(b, block_ == 0 ? detail::sum_scratch(tiles_of(n)) : 0) {}
  index_t payload() const { return 4 * scales_ + (n_ + 7) / 8; }
  std::uint64_t payload_bits() const { return 32 * std::uint64_t(scales_) + std::uint64_t(n_); }
  double alpha() const {
    const index_t longest = block_ != 0 && block_ < n_ ? block_ : n_;
    return longest > 0 ? 1 / double(longest) : 1;
  }

  template <class From>
  void encode(From const& from, std::uint8_t* payload, message_stamp) {
    if (n_ == 0) return;
    std::uint8_t* to = memory_.room(payload);
    auto* scales = reinterpret_cast<float*>(to);
    std::uint8_t* bits = to + 4 * scales_;
    if (block_ > 0) {
      backend_.for_teams(detail::sign_parts<From, true>{from, n_, block_, scales, bits});
    } else {
      double const* sum =
          detail::canonical_sum(backend_, one_segment(n_), detail::magnitudes<From>{from}, sums_.data());
      backend_.run(detail::mean_magnitude{sum, n_, scales});
      backend_.for_teams(detail::sign_parts<From, false>{from, n_, part, scales, bits});
    }
    memory_.collect(payload);
  }
  void check(view<std::uint8_t const> payload, message_stamp) const {
    for (index_t k = 0; k < scales_; ++k) {
      float scale;
      memcpy(&scale, payload.data() + 4 * k, 4);
      require(!(scale < 0), "a scale of a message", ">= 0", double(scale));
    }
    if (n_ % 8 != 0) {
      const int padding = payload.data()[payload.size() - 1] >> (n_ % 8);
      require(padding == 0, "the bits behind the last element of a message", 0, padding);
    }
  }
  template <bool Add>
  void decode(float* x, float scale, view<std::uint8_t const> payload, message_stamp) {
    if (n_ == 0) return;
    std::uint8_t const* from = memory_.deliver(payload);
    auto const* scales = reinterpret_cast<float const*>(from);
    std::uint8_t const* bits = from + 4 * scales_;
    if (block_ > 0) backend_.for_teams(detail::sign_decode<Add, true>{{scale}, x, n_, block_, scales, bits});
    else backend_.for_teams(detail::sign_decode<Add, false>{{scale}, x, n_, part, scales, bits});
  }

 private:
  static constexpr index_t part = 4096;  // of a team, where there is one scale
  Backend backend_;
  index_t n_, block_, scales_;
  detail::payload_memory<Backend> memory_;
  buffer<double, Backend> sums_;
};

}  // namespace v0
}  // namespace frugal
