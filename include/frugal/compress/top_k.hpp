// SPDX-License-Identifier: Apache-2.0
/// @file Top-k: Aji, Heafield, "Sparse Communication for Distributed Gradient Descent", EMNLP 2017; Stich, Cordonnier,
/// Jaggi, "Sparsified SGD with Memory", NeurIPS 2018, section 2: the k elements of largest magnitude. Of equal
/// magnitudes the first are taken; a NaN is larger than infinity, so it is sent and stays visible.
#pragma once
#include "../core/primitives.hpp"
#include "sparse.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// An ascending list of k of n indices as bytes: ceil(log2 n) bits each, the first in the lowest bits; or one bit for
/// each of n, where that is less. What is left of the last byte is zero.
class index_bits {
 public:
  index_bits(index_t n, index_t k) : n_(n), k_(k) {
    while (index_t(1) << width_ < n) ++width_;
    mapped_ = n < k * width_;
  }
  index_t bits() const { return mapped_ ? n_ : k_ * width_; }
  index_t bytes() const { return (bits() + 7) / 8; }

  void write(std::vector<std::uint32_t> const& at, std::uint8_t* to) const {
    if (mapped_) {
      memset(to, 0, std::size_t(bytes()));
      for (std::uint32_t i : at) to[i / 8] |= std::uint8_t(1 << (i % 8));
      return;
    }
    std::uint64_t open = 0;
    int count = 0;  // of open bits
    for (std::uint32_t i : at) {
      open |= std::uint64_t(i) << count;
      for (count += width_; count >= 8; count -= 8, open >>= 8) *to++ = std::uint8_t(open);
    }
    if (count > 0) *to = std::uint8_t(open);
  }
  /// Refuses what write() cannot have written.
  void read(std::uint8_t const* from, std::vector<std::uint32_t>& at) const {
    index_t j = 0, last = -1;
    const auto next = [&](index_t i) {
      require(i > last && i < n_, "the indices of a message", "an ascending list of elements", i);
      require(j < k_, "the indices of a message", k_, "more");
      at[std::size_t(j++)] = std::uint32_t(last = i);
    };
    std::uint64_t open = 0;
    if (mapped_) {
      for (index_t b = 0; b < bytes(); ++b)
        for (open = from[b]; open != 0; open &= open - 1) next(8 * b + std::countr_zero(open));
    } else {
      for (int count = 0; j < k_; count -= width_, open >>= width_) {
        for (; count < width_; count += 8) open |= std::uint64_t(*from++) << count;
        next(index_t(open & ((std::uint64_t(1) << width_) - 1)));
      }
    }
    require(j == k_, "the indices of a message", k_, j);
    require(open == 0, "the bits behind the last index of a message", 0, open);
  }

 private:
  index_t n_, k_;
  int width_ = 0;
  bool mapped_;
};
}  // namespace detail

/// Payload: the k values in the order of their indices, then the indices; k (32 + ceil(log2 n)) bits, or 32 k + n if
/// that is less. alpha = k / n.
struct top_k {
  static constexpr char const* name = "top_k";
  index_t k = 0;     ///< elements, 1 to n; or
  double ratio = 0;  ///< the part of them in (0, 1], rounded down, at least one
  template <class Backend>
  class coder;
};

template <class Backend>
class top_k::coder {
 public:
  static constexpr bool in_one_pass = false;
  coder(Backend const& b, index_t n, top_k c)
      : backend_(b),
        n_(n),
        k_(detail::kept(c.k, c.ratio, n)),
        indices_(n, k_),
        select_(b, n, k_),
        at_(b, k_),
        at_here_(std::size_t(k_)),
        values_(b, k_) {}
  index_t payload() const { return 4 * k_ + indices_.bytes(); }
  std::uint64_t payload_bits() const { return std::uint64_t(32 * k_ + indices_.bits()); }
  double alpha() const { return k_ == n_ ? 1 : double(k_) / double(n_); }

  template <class From>
  void encode(From const& from, std::uint8_t* payload, message_stamp) {
    if (k_ == 0) return;
    select_({from.all(backend_, n_), n_}, at_.view(), values_.view());
    values_.send(from, places(), payload);
    backend_.copy_out(at_here_.data(), at_.data(), at_.bytes());
    indices_.write(at_here_, payload + 4 * k_);
  }
  void check(view<std::uint8_t const> payload, message_stamp) { indices_.read(payload.data() + 4 * k_, at_here_); }
  template <bool Add>
  void decode(float* x, float scale, view<std::uint8_t const> payload, message_stamp) {
    if (k_ == 0) return;
    indices_.read(payload.data() + 4 * k_, at_here_);
    backend_.copy_in(at_.data(), at_here_.data(), at_.bytes());
    values_.template receive<Add>(x, n_, scale, payload.data(), places());
  }

 private:
  detail::listed_places places() const { return detail::listed_places{at_.data()}; }

  Backend backend_;
  index_t n_, k_;
  detail::index_bits indices_;
  typename primitives<Backend>::top_k select_;
  buffer<std::uint32_t, Backend> at_;
  std::vector<std::uint32_t> at_here_;
  detail::sparse_values<Backend> values_;
};

}  // namespace v0
}  // namespace frugal
