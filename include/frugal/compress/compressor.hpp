// SPDX-License-Identifier: Apache-2.0
/// @file `compressor<C, Backend>`: a float vector to a message and back. C is a value that says how (`top_k{.k = 10}`,
/// `scaled_sign{}` ...); its member template `coder<Backend>` does the work:
///
///     coder(backend, n, c)              checks the options of c, allocates
///     payload(), payload_bits()         bytes; bits by the formula
///     alpha()                           contraction: E|C(x) - x|^2 <= (1 - alpha) |x|^2; 0 if there is no such bound
///     in_one_pass                       whether encode() can make what it compresses of its sources as it goes
///     encode(from, payload, stamp)      from: a detail::vector_source, or what an error feedback has in its place
///     check(payload, stamp)             on the host, before anything is used; throws
///     decode<Add>(x, scale, payload, stamp)   x += scale D, or x = D
#pragma once
#include "../core/buffer.hpp"
#include "../core/element.hpp"
#include "../core/layout.hpp"
#include "message.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// What is compressed, element by element: here a vector as it is. An error feedback computes it from its state and a
/// gradient, and changes the state when it learns what was sent.
struct vector_source {
  static constexpr bool listens = false;
  float const* x;

  /// From element i on.
  FRUGAL_FN vector_source from(index_t i) const { return {x + i}; }
  FRUGAL_FN bool aligned(int width) const { return multiple_of(x, width); }
  FRUGAL_FN float const* contiguous() const { return x; }
  /// Asks for element i and those that share its line, where that pays.
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void ahead(Team const& team, index_t i) const {
    team.prefetch(x + i);
  }
  /// Coders that need all elements in one order: what is compressed, to be looked at; and the same, now that
  /// `code(value)` is sent in its place. Seen: whether it was looked at before.
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN auto value(Chunk c) const {
    return c.load(x);
  }
  FRUGAL_GENERIC template <bool Seen, class Chunk, class Code>
  FRUGAL_FN auto exchange(Chunk c, Code const&) const {
    return c.load(x);
  }
  /// Coders that choose: all of it in memory. One that `listens` is told by sent(i, d) what was sent for element i;
  /// for the rest, nothing was.
  template <class Backend>
  float const* all(Backend const&, index_t) const {
    return x;
  }
};

/// x + a d, or d.
template <bool Add>
struct decoded {
  float a;
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN V operator()([[maybe_unused]] V x, V d) const {
    if constexpr (Add) return x + V(a) * d;
    else return d;
  }
};

/// Where kernels find a payload: where it lies on a host, a copy on a device.
template <class Backend>
class payload_memory {
 public:
  payload_memory(Backend b, index_t bytes) : backend_(std::move(b)), there_(backend_, bytes) {}
  /// Where kernels write what becomes `payload`, and the end of it.
  std::uint8_t* room(std::uint8_t* payload) const { return host ? payload : there_.data(); }
  void collect(std::uint8_t* payload) const {
    if (!host && there_.size() > 0) backend_.copy_out(payload, there_.data(), there_.bytes());
    if (host) backend_.sync();
  }
  /// Where kernels read it.
  std::uint8_t const* deliver(view<std::uint8_t const> payload) const {
    if (host && multiple_of(payload.data(), 4)) return payload.data();
    if (there_.size() > 0) backend_.copy_in(there_.data(), payload.data(), there_.bytes());
    return there_.data();
  }

 private:
  static constexpr bool host = is_host<typename Backend::space>;
  Backend backend_;
  buffer<std::uint8_t, Backend> there_;
};

}  // namespace detail

/// A message that was found to be what this compressor's reader expects.
struct checked_message {
  view<std::uint8_t const> payload;
  message_stamp stamp;
  message_format format;
};

/// Vectors have the layout's size. Everything is allocated at construction.
template <class C, team_backend Backend>
class compressor {
  static_assert(
      requires { typename C::template coder<Backend>; },
      "frugal: a compressor is identity{}, top_k{.k = 10}, rand_k{.k = 10}, scaled_sign{} or one like them");
  using coder = typename C::template coder<Backend>;

 public:
  using space = typename Backend::space;
  static constexpr char const* name = C::name;
  static constexpr bool in_one_pass = coder::in_one_pass;

  /// @param extent a count of elements, or a layout of tensors
  compressor(Backend b, frugal::layout extent, C how)
      : backend_(std::move(b)),
        layout_(std::move(extent)),
        how_(how),
        coder_(backend_, layout_.size(), how),
        format_{C::name, layout_.hash(), layout_.size(), coder_.payload(), coder_.payload_bits()},
        message_(format_) {}
  compressor(compressor&&) noexcept = default;
  compressor& operator=(compressor&&) noexcept = default;

  /// The message is in host memory, and good until the next one; waits for the backend.
  message const& encode(view<float const, space> x, message_stamp stamp = {}) {
    check_vector(x, "a vector to be compressed");
    return encode_from(detail::vector_source{x.data()}, stamp);
  }
  /// x += scale D, where D is what the message stands for, and scale is rounded to float. The message must be this
  /// compressor's kind of message with that stamp; otherwise it is refused, and x unchanged.
  void add_to(view<float, space> x, view<std::uint8_t const> bytes, double scale = 1, message_stamp expected = {}) {
    add_to(x, check(bytes, expected), scale);
  }
  /// x = D.
  void decode(view<float, space> x, view<std::uint8_t const> bytes, message_stamp expected = {}) {
    const checked_message m = check(bytes, expected);
    check_vector(x, "a vector to decode into");
    coder_.template decode<false>(x.data(), 1.f, m.payload, m.stamp);
  }
  /// In two steps, for readers that must see several messages before they use one.
  checked_message check(view<std::uint8_t const> bytes, message_stamp expected = {}) {
    const checked_message m{open_message(bytes, format_, expected), expected, format_};
    coder_.check(m.payload, m.stamp);
    return m;
  }
  void add_to(view<float, space> x, checked_message const& m, double scale = 1) {
    require(m.format == format_, "a checked message", "one that this compressor checked", "another's");
    check_vector(x, "a vector to add to");
    require_range("the scale of a message", scale, -0x1p127, 0x1p127, true);
    coder_.template decode<true>(x.data(), float(scale), m.payload, m.stamp);
  }

  /// The last message that was encoded.
  message const& last() const { return message_; }
  /// The same as one that needs no check.
  checked_message last(message_stamp stamp) const {
    return {{message_.data() + detail::header_bytes, message_.size() - detail::header_bytes}, stamp, format_};
  }

  /// E|C(x) - x|^2 <= (1 - alpha) |x|^2; 0 where there is no such bound.
  double alpha() const { return coder_.alpha(); }
  index_t max_wire_bytes() const { return message_.size(); }
  C const& options() const { return how_; }
  frugal::layout const& layout() const { return layout_; }
  Backend const& backend() const { return backend_; }

  // For error feedbacks: `from` as vector_source has it.
  template <class From>
  message const& encode_from(From const& from, message_stamp stamp) {
    coder_.encode(from, message_.payload(), stamp);
    message_.seal(stamp);
    return message_;
  }
  template <class T>
  void check_vector(view<T, space> x, char const* what) const {
    require(x.size() == layout_.size(), what, layout_.size(), x.size());
    require(x.data() || x.size() == 0, what, "a pointer", "null");
  }

 private:
  Backend backend_;
  frugal::layout layout_;
  C how_;
  coder coder_;
  message_format format_;
  message message_;
};

}  // namespace v0
}  // namespace frugal
