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

/// Waits for the object's backend, and copies its state.
template <class Object>
snapshot save_state(Object& object) {
  snapshot s{object.algorithm(), object.state_layout(), {}};
  object.visit_state([&]<class T, class Space>(std::string_view name, role r, view<T, Space> v) {
    std::vector<unsigned char> bytes(std::size_t(v.size()) * sizeof(T));
    if (!bytes.empty()) object.backend().copy_out(bytes.data(), v.data(), bytes.size());
    s.pieces.push_back({std::string(name), r, type_name<T>(), v.size(), std::move(bytes)});
  });
  return s;
}

namespace detail {
/// Objects go by their counts: none from elsewhere may be negative, or so large that counting on overflows.
inline void check_counts(std::string const& name, void const* counts, std::size_t bytes) {
  for (std::size_t at = 0; at + sizeof(std::int64_t) <= bytes; at += sizeof(std::int64_t)) {
    std::int64_t n;
    memcpy(&n, static_cast<unsigned char const*>(counts) + at, sizeof n);
    if (n < 0 || n > std::int64_t(1) << 62)
      refuse(text("the count '", name, "' in a saved state"), "[0, 2^62]", text(n));
  }
}
}  // namespace detail

/// The opposite. An object of another algorithm, storage, layout, support or type is refused, and then unchanged. The
/// steps that follow are bit for bit those that would have followed the save.
template <class Object>
void restore_state(Object& object, snapshot const& s) {
  require(s.algorithm == object.algorithm(), "a saved state's algorithm and storage", object.algorithm(), s.algorithm);
  require(s.layout == object.state_layout(), "a saved state's layout", "the tensors and support of this object",
          detail::text("others (hash ", std::to_string(s.layout), ")"));
  std::size_t pieces = 0;
  object.visit_state([&]<class T, class Space>(std::string_view name, role r, view<T, Space> v) {
    require(pieces < s.pieces.size(), "a saved state", std::string(name), "its end");
    snapshot::piece const& p = s.pieces[pieces++];
    require(p.name == name, "a piece of a saved state", std::string(name), p.name);
    require(p.role == r, detail::text("the role of '", p.name, "' in a saved state"), "that of this object's",
            "another");
    require(p.type == type_name<T>(), detail::text("the type of '", p.name, "' in a saved state"), type_name<T>(),
            p.type);
    require(p.count == v.size(), detail::text("the size of '", p.name, "' in a saved state"), v.size(), p.count);
    require(p.bytes.size() == std::size_t(v.size()) * sizeof(T),
            detail::text("the bytes of '", p.name, "' in a saved state"), std::size_t(v.size()) * sizeof(T),
            p.bytes.size());
    if (r == role::counter) detail::check_counts(p.name, p.bytes.data(), p.bytes.size());
  });
  require(pieces == s.pieces.size(), "the count of pieces of a saved state", pieces, s.pieces.size());
  pieces = 0;
  object.visit_state([&]<class T, class Space>(std::string_view, role, view<T, Space> v) {
    snapshot::piece const& p = s.pieces[pieces++];
    if (v.size() > 0) object.backend().copy_in(v.data(), p.bytes.data(), p.bytes.size());
  });
}

}  // namespace v0
}  // namespace frugal
