// SPDX-License-Identifier: Apache-2.0
/// @file Saved states. `visit_state(visitor)` is the one door to the state of an object: it calls
/// `visitor(std::string_view name, role, view<T, Space>)` for every piece, in a fixed order. Saving, restoring,
/// accounting and tests all go through it.
#pragma once
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "buffer.hpp"

namespace frugal {
inline namespace v0 {

/// What a piece of state is.
enum class role {
  counter,  ///< int64: updates so far
  clock,    ///< double: running products such as beta^t
  moment,   ///< values, one a slot
  codes,    ///< uint8, one a slot
  scales    ///< float, one a block of codes
};

/// A state in host memory, as it was when it was saved.
struct snapshot {
  struct piece {
    std::string name;
    frugal::role role;
    std::string type;
    index_t count;
    std::vector<unsigned char> bytes;
  };
  std::string algorithm;     ///< of the object, with the storage of its states: "adamw/blockwise8"
  std::uint64_t layout = 0;  ///< hash of tensors, support and frozen groups
  std::vector<piece> pieces;
};

namespace detail {

/// Where a piece of state is, of whatever type: what is done with all pieces alike is compiled once, not once a type.
struct state_piece {
  std::string name;
  frugal::role role;
  char const* type;
  index_t count;
  void* data;
  std::size_t bytes, element;  // of all, and of one
};
struct list_of_pieces {
  std::vector<state_piece>& to;
  template <class T, class Space>
  void operator()(std::string_view name, role r, view<T, Space> v) const {
    to.push_back(
        {std::string(name), r, type_name<T>(), v.size(), v.data(), std::size_t(v.size()) * sizeof(T), sizeof(T)});
  }
};
template <class Object>
concept has_state = requires(Object& o, list_of_pieces l) {
  o.visit_state(l);
  o.algorithm();
  o.state_layout();
  o.backend();
};
/// A state where no tensor knows of the others, tensor by tensor. Pieces of the roles counter and clock are
/// everybody's; those that follow have slots of all tensors, in one order; the last are single tensors' own, in the
/// same order.
struct tensor_states {
  struct one {
    index_t kind, tensor;              // the order is that of both
    std::vector<index_t> slots;        // in each of the pieces that all share
    index_t pieces;                    // of its own
    std::vector<std::uint64_t> words;  // in the hash state_layout()
  };
  index_t alignment;                 // of where a tensor's slots begin
  std::vector<std::uint64_t> words;  // in the hash, before those of tensors
  std::vector<one> tensors;
};
/// Good as long as the views of visit_state are.
template <has_state Object>
std::vector<state_piece> pieces_of(Object& object) {
  std::vector<state_piece> pieces;
  object.visit_state(list_of_pieces{pieces});
  return pieces;
}

/// Objects go by their counts: none from elsewhere may be negative, or so large that counting on overflows.
inline void check_counts(std::string const& name, void const* counts, std::size_t bytes) {
  for (std::size_t at = 0; at + sizeof(std::int64_t) <= bytes; at += sizeof(std::int64_t)) {
    std::int64_t n;
    memcpy(&n, static_cast<unsigned char const*>(counts) + at, sizeof n);
    if (n < 0 || n > std::int64_t(1) << 62)
      refuse(text("the count '", name, "' in a saved state"), "[0, 2^62]", text(n));
  }
}

inline void check_pieces(std::vector<state_piece> const& here, std::vector<snapshot::piece> const& saved) {
  for (std::size_t i = 0; i < here.size(); ++i) {
    state_piece const& h = here[i];
    require(i < saved.size(), "a saved state", h.name, "its end");
    snapshot::piece const& p = saved[i];
    require(p.name == h.name, "a piece of a saved state", h.name, p.name);
    require(p.role == h.role, text("the role of '", p.name, "' in a saved state"), "that of this object's", "another");
    require(p.type == h.type, text("the type of '", p.name, "' in a saved state"), h.type, p.type);
    require(p.count == h.count, text("the size of '", p.name, "' in a saved state"), h.count, p.count);
    require(p.bytes.size() == h.bytes, text("the bytes of '", p.name, "' in a saved state"), h.bytes, p.bytes.size());
    if (p.role == role::counter) check_counts(p.name, p.bytes.data(), p.bytes.size());
  }
  require(here.size() == saved.size(), "the count of pieces of a saved state", here.size(), saved.size());
}

}  // namespace detail

/// Waits for the object's backend, and copies its state.
template <detail::has_state Object>
snapshot save_state(Object& object) {
  snapshot s{object.algorithm(), object.state_layout(), {}};
  for (detail::state_piece const& p : detail::pieces_of(object)) {
    s.pieces.push_back({p.name, p.role, p.type, p.count, std::vector<unsigned char>(p.bytes)});
    if (p.bytes > 0) object.backend().copy_out(s.pieces.back().bytes.data(), p.data, p.bytes);
  }
  return s;
}

/// The opposite. An object of another algorithm, storage, layout, support or type is refused, and then unchanged. The
/// steps that follow are bit for bit those that would have followed the save.
template <detail::has_state Object>
void restore_state(Object& object, snapshot const& s) {
  require(s.algorithm == object.algorithm(), "a saved state's algorithm and storage", object.algorithm(), s.algorithm);
  require(s.layout == object.state_layout(), "a saved state's layout", "the tensors and support of this object",
          detail::text("others (hash ", std::to_string(s.layout), ")"));
  const auto pieces = detail::pieces_of(object);
  detail::check_pieces(pieces, s.pieces);
  for (std::size_t i = 0; i < pieces.size(); ++i)
    if (pieces[i].bytes > 0) object.backend().copy_in(pieces[i].data, s.pieces[i].bytes.data(), pieces[i].bytes);
}

}  // namespace v0
}  // namespace frugal
