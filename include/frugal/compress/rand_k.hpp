// SPDX-License-Identifier: Apache-2.0
/// @file Rand-k: Stich, Cordonnier, Jaggi, "Sparsified SGD with Memory", NeurIPS 2018, section 2: k coordinates,
/// drawn without replacement, and nothing else. The coordinates are images of a permutation (core/permutation.hpp) and
/// do not travel: the receiver draws them again.
#pragma once
#include "../core/permutation.hpp"
#include "sparse.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Values at the images of 0 ... k - 1.
struct draw_elements {
  permutation order;
  float const* p;
  float factor;
  float* d;
  FRUGAL_FN void operator()(index_t j) const { d[j] = product(factor, p[order(std::uint32_t(j))]); }
};
}  // namespace detail

/// Payload: the k values in the order of the draw, then the 64-bit seed of the draw; 32 k + 64 bits.
/// E|C(x) - x|^2 = (1 - k / n) |x|^2, hence alpha = k / n. Scaled by n / k it is unbiased, with
/// E|C(x) - x|^2 = (n / k - 1) |x|^2, and no contraction: no error feedback takes it.
struct rand_k {
  static constexpr char const* name = "rand_k";
  index_t k = 0;           ///< coordinates, 1 to n; or
  double ratio = 0;        ///< the part of them in (0, 1], rounded down, at least one
  std::uint64_t seed = 0;  ///< of all draws; the same on all ranks
  bool shared = false;     ///< all senders of a round draw alike; else each for itself
  bool scaled = false;     ///< by n / k, rounded to float
  template <class Backend>
  class coder;
};

template <class Backend>
class rand_k::coder {
 public:
  static constexpr bool in_one_pass = false;
  coder(Backend const& b, index_t n, rand_k c)
      : backend_(b), options_(c), n_(n), k_(detail::kept(c.k, c.ratio, n)), values_(b, k_) {
    require(n <= index_t(1) << 32, "the elements of rand_k", "at most 2^32", n);
  }
  index_t payload() const { return 4 * k_ + 8; }
  std::uint64_t payload_bits() const { return 8 * std::uint64_t(payload()); }
  double alpha() const { return k_ == n_ ? 1 : options_.scaled ? 0 : double(k_) / double(n_); }

  template <class From>
  void encode(From const& from, std::uint8_t* payload, message_stamp stamp) {
    detail::put_little_endian(payload + 4 * k_, seed(stamp), 8);
    if (k_ == 0) return;
    const float factor = options_.scaled ? float((exact(double(n_)) / exact(double(k_))).v[0]) : 1.f;
    const permutation order = draw(stamp);
    float const* p = from.all(backend_, n_);
    using draw = detail::one_by_one<detail::draw_elements>;
    backend_.for_each(one_segment(k_), draw{{order, p, factor, values_.data()}});
    values_.send(from, order, payload);
  }
  void check(view<std::uint8_t const> payload, message_stamp stamp) const {
    const std::uint64_t got = detail::little_endian_word(payload.data() + 4 * k_);
    require(got == seed(stamp), "the seed of a message", seed(stamp), got);
  }
  template <bool Add>
  void decode(float* x, float scale, view<std::uint8_t const> payload, message_stamp stamp) {
    if (k_ > 0) values_.template receive<Add>(x, n_, scale, payload.data(), draw(stamp));
  }

 private:
  std::uint64_t seed(message_stamp stamp) const {
    return options_.shared ? options_.seed : random_stream{options_.seed}.derive(std::uint32_t(stamp.sender));
  }
  permutation draw(message_stamp stamp) const { return {seed(stamp), stamp.round, std::uint64_t(n_)}; }

  Backend backend_;
  rand_k options_;
  index_t n_, k_;
  detail::sparse_values<Backend> values_;
};

}  // namespace v0
}  // namespace frugal
