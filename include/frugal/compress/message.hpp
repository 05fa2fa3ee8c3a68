// SPDX-License-Identifier: Apache-2.0
/// @file What a compressor sends: a header of 64 bytes and a payload, in host memory, little-endian. Whatever a reader
/// can be told that does not fit (a truncated, altered, replayed or foreign message) is refused before a value is used.
///
///     bytes  field                              bytes  field
///     0-1    mark, 0x67 0x66                    32-39  elements of the vector
///     2      version of the format, 1           40-47  round
///     3      type of the elements, 1 = float    48-55  bytes of the payload
///     4-7    sender (two's complement)          56-63  checksum: word_hash of the payload, seeded with that
///     8-23   algorithm, filled up with zeros           of bytes 0 to 55
///     24-31  hash of the layout
#pragma once
#include <bit>
#include <vector>

#include "../core/error.hpp"
#include "../core/hash.hpp"
#include "../core/view.hpp"

namespace frugal {
inline namespace v0 {

static_assert(std::endian::native == std::endian::little,
              "frugal: payloads are little-endian and are used where they lie; no other host is served yet");

/// Whose message it is, and which of theirs. A reader names both, so no message is taken twice or for another's.
struct message_stamp {
  std::int32_t sender = 0;
  std::uint64_t round = 0;
};

/// What all messages of one compressor have in common.
struct message_format {
  std::string_view algorithm;      ///< 1 to 16 characters
  std::uint64_t layout = 0;        ///< its hash
  index_t elements = 0;            ///< of the vector, >= 0
  index_t payload = 0;             ///< bytes, 0 to 2^60
  std::uint64_t payload_bits = 0;  ///< by the compressor's formula: without what fills sections up to whole bytes

  friend bool operator==(message_format const&, message_format const&) = default;
};

namespace detail {
inline constexpr index_t header_bytes = 64;
inline constexpr std::uint8_t message_version = 1, message_of_floats = 1;
inline constexpr std::uint64_t message_mark = 0x6667;

inline void put_little_endian(std::uint8_t* to, std::uint64_t x, int bytes) {
  for (int k = 0; k < bytes; ++k) to[k] = std::uint8_t(x >> (8 * k));
}
/// Bytes of a message, where there can be one of that format.
inline index_t message_size(message_format const& f) {
  require(f.algorithm.size() - 1 < 16, "the name of an algorithm", "1 to 16 characters", f.algorithm.size());
  require(f.elements >= 0, "the elements of a message", ">= 0", f.elements);
  require(f.payload >= 0 && f.payload <= index_t(1) << 60, "the bytes of a message's payload", "0 to 2^60", f.payload);
  return header_bytes + f.payload;
}
inline std::uint64_t message_checksum(std::uint8_t const* message, index_t payload) {
  return word_hash(message + header_bytes, std::size_t(payload), word_hash(message, 56));
}
}  // namespace detail

/// Owns its bytes; communicators send it as it is. A copy is a message of its own.
class message {
 public:
  message() = default;
  explicit message(message_format const& f)
      : bytes_(std::size_t(detail::message_size(f))), payload_bits_(f.payload_bits) {
    using detail::put_little_endian;
    std::uint8_t* h = bytes_.data();
    put_little_endian(h, detail::message_mark, 2);
    h[2] = detail::message_version;
    h[3] = detail::message_of_floats;
    memcpy(h + 8, f.algorithm.data(), f.algorithm.size());
    put_little_endian(h + 24, f.layout, 8);
    put_little_endian(h + 32, std::uint64_t(f.elements), 8);
    put_little_endian(h + 48, std::uint64_t(f.payload), 8);
  }

  std::uint8_t const* data() const { return bytes_.data(); }
  index_t size() const { return index_t(bytes_.size()); }
  /// All that travels: 8 size().
  std::uint64_t wire_bits() const { return 8 * std::uint64_t(bytes_.size()); }
  std::uint64_t payload_bits() const { return payload_bits_; }

  // For compressors: where the payload is written, and the end of writing.
  std::uint8_t* payload() { return bytes_.data() + detail::header_bytes; }
  void seal(message_stamp stamp) {
    using detail::put_little_endian;
    std::uint8_t* h = bytes_.data();
    put_little_endian(h + 4, std::uint32_t(stamp.sender), 4);
    put_little_endian(h + 40, stamp.round, 8);
    put_little_endian(h + 56, detail::message_checksum(h, size() - detail::header_bytes), 8);
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::uint64_t payload_bits_ = 0;
};

/// The payload of a message that is what its reader expects. Anything else is refused with what differs; nothing is
/// allocated, and no number of the header is used but in a comparison.
inline view<std::uint8_t const> open_message(view<std::uint8_t const> bytes, message_format const& f,
                                             message_stamp expected) {
  const index_t size = detail::message_size(f);
  require(bytes.size() >= detail::header_bytes, "the size of a message", size, bytes.size());
  require(bytes.data(), "a message", "a pointer", "null");
  std::uint8_t const* h = bytes.data();
  const auto compare = [&](char const* what, int at, int count, std::uint64_t want) {
    const std::uint64_t got = detail::little_endian_word(h + at, std::size_t(count));
    require(got == want, what, want, got);
  };
  compare("the mark of a message", 0, 2, detail::message_mark);
  compare("the version of a message", 2, 1, detail::message_version);
  compare("the type of a message's elements", 3, 1, detail::message_of_floats);
  if (std::uint8_t name[16] = {}; memcmp(h + 8, memcpy(name, f.algorithm.data(), f.algorithm.size()), 16) != 0) {
    std::string got;
    for (int k = 8; k < 24 && h[k] != 0; ++k) got += h[k] > 32 && h[k] < 127 ? char(h[k]) : '?';
    refuse("the algorithm of a message", std::string(f.algorithm), got);
  }
  compare("the layout (its hash) of a message", 24, 8, f.layout);
  compare("the elements of a message", 32, 8, std::uint64_t(f.elements));
  compare("the bytes of a message's payload", 48, 8, std::uint64_t(f.payload));
  require(bytes.size() == size, "the size of a message", size, bytes.size());
  compare("the checksum of a message", 56, 8, detail::message_checksum(h, f.payload));
  const auto sender = std::int32_t(detail::little_endian_word(h + 4, 4));
  require(sender == expected.sender, "the sender of a message", expected.sender, sender);
  compare("the round of a message", 40, 8, expected.round);
  return {h + detail::header_bytes, f.payload};
}

}  // namespace v0
}  // namespace frugal
