// SPDX-License-Identifier: Apache-2.0
/// @file What travels between ranks. Every message has an envelope that says which call it belongs to; a receiver
/// compares it with what it expects before it accepts a byte, so ranks that disagree get an error and neither hang nor
/// add up numbers that do not belong together.
#pragma once
#include <vector>

#include "error.hpp"

namespace frugal {
inline namespace v0 {

enum class message_kind : std::uint8_t {
  send,
  neighbour_exchange,
  all_reduce,
  reduce_scatter,
  all_gather,
  all_to_all,
  broadcast,
  barrier,
  split
};
inline constexpr int message_kinds = 9;

constexpr char const* name_of(message_kind k) {
  constexpr char const* names[message_kinds] = {"send",       "neighbour_exchange", "all_reduce", "reduce_scatter",
                                                "all_gather", "all_to_all",         "broadcast",  "barrier",
                                                "split"};
  return int(k) < message_kinds ? names[int(k)] : "an unknown call";
}

/// The types that travel; bytes are uint8.
template <class T>
concept comm_element = std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, std::int64_t> ||
    std::is_same_v<T, std::uint8_t>;

namespace detail {

enum class element_type : std::uint8_t { uint8, float32, float64, int64 };
template <comm_element T>
inline constexpr element_type type_of = std::is_same_v<T, float>          ? element_type::float32
                                        : std::is_same_v<T, double>       ? element_type::float64
                                        : std::is_same_v<T, std::int64_t> ? element_type::int64
                                                                          : element_type::uint8;
constexpr char const* name_of(element_type t) {
  constexpr char const* names[] = {"uint8", "float", "double", "int64"};
  return int(t) < 4 ? names[int(t)] : "an unknown type";
}

enum class operation : std::uint8_t { none, sum, mean, min, max };
constexpr char const* name_of(operation o) {
  constexpr char const* names[] = {"", " (sum)", " (mean)", " (min)", " (max)"};
  return int(o) < 5 ? names[int(o)] : " (an unknown operation)";
}

struct envelope {
  static constexpr std::uint32_t mark = 0x6c677266;
  std::uint32_t magic = mark;
  message_kind kind{};
  element_type type{};
  operation op{};
  std::uint8_t unused = 0;
  std::uint64_t number = 0;  // which of the communicator's collectives this is; of a send, its tag
  std::int64_t root = 0;
  std::int64_t count = 0;  // elements of the whole call
  std::int64_t bytes = 0;  // of this message

  template <comm_element T>
  static envelope of(message_kind kind) {
    envelope e;
    e.kind = kind, e.type = type_of<T>;
    return e;
  }
  std::string text() const {
    const bool numbered = kind != message_kind::send && kind != message_kind::neighbour_exchange;
    std::string s = v0::name_of(kind);
    s.append(name_of(op)).append(numbered ? " number " : " with tag ").append(std::to_string(number));
    if (kind == message_kind::broadcast) s.append(" from root ").append(std::to_string(root));
    if (kind == message_kind::barrier) return s;
    return s.append(" of ")
               .append(std::to_string(count))
               .append(" ")
               .append(name_of(type))
               .append(" (")
               .append(std::to_string(bytes)) +
           " bytes)";
  }
};
static_assert(sizeof(envelope) == 40 && std::is_trivially_copyable_v<envelope>);

struct outgoing {
  int peer;
  int tag;
  envelope head;
  void const* data;
};

/// A message to come, and where it goes: to `data`, if it is as expected; into `any_size`, if only the sender knows
/// how long it is.
struct incoming {
  int peer;
  int tag;
  envelope expected;
  void* data;
  std::vector<std::uint8_t>* any_size = nullptr;

  /// Where the bytes go. Throws when the message is not the one expected; `me` is for the text.
  void* accept(envelope const& got, int me) const {
    envelope want = expected;
    if (any_size && got.bytes >= 0) want.count = got.count, want.bytes = got.bytes;
    const bool same = got.magic == want.magic && got.kind == want.kind && got.type == want.type && got.op == want.op &&
                      got.number == want.number && got.root == want.root && got.count == want.count &&
                      got.bytes == want.bytes;
    if (!same) [[unlikely]]
      FRUGAL_THROW(comm_error(
          "frugal: the ranks disagree: rank " + std::to_string(me) + " expected " + expected.text() + ", got " +
          (got.magic == want.magic ? got.text() : "a foreign message") + " from rank " + std::to_string(peer)));
    if (!any_size) return data;
    any_size->resize(std::size_t(got.bytes));
    return any_size->data();
  }
};

/// Tags of a transport. Calls that wait and calls that run beside them have tags of their own, and so have the two
/// directions of an all-reduce, because at most one message of a tag goes from one rank to another at a time. A
/// transport may use the odd tags for itself. 32767 is what every MPI has.
inline constexpr int user_tags = 16000;
constexpr int collective_tag(bool beside, bool back = false) { return (beside ? 4 : 0) + (back ? 2 : 0); }
constexpr int user_tag(int tag) { return 8 + 2 * tag; }

}  // namespace detail
}  // namespace v0
}  // namespace frugal
