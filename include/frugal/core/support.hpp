// SPDX-License-Identifier: Apache-2.0
/// @file Supports: which coordinates an algorithm owns. A policy value describes it on the host; what kernels see is
/// `everywhere`, `masked` or `listed`.
#pragma once
#include <vector>

#include "layout.hpp"
#include "work.hpp"

namespace frugal {
inline namespace v0 {

/// Every coordinate.
struct all {};
/// Coordinates [begin, end) of the flat index space: a shard. States are end - begin long.
struct range {
  index_t begin = 0, end = 0;
};
/// One byte a coordinate, 0 = frozen. States are as long as the model; frozen ones stay as they are.
struct mask {
  std::vector<std::uint8_t> on;
};
/// Coordinates of the flat index space, strictly ascending. States are as long as the list.
struct indices {
  std::vector<index_t> at;
};

namespace detail {

// What a kernel sees of a support; bound to a segment it reaches the parameter side of a chunk, and keep() undoes what
// the support does not own.
struct everywhere {
  static constexpr bool contiguous = true;
  FRUGAL_FN everywhere bind(segment const&) const { return {}; }
  FRUGAL_GENERIC template <class C, class T>
  FRUGAL_FN auto load(C c, T const* p) const {
    return c.load(p);
  }
  FRUGAL_GENERIC template <class C, class T, class V>
  FRUGAL_FN void store(C c, T* p, V v) const {
    c.store(p, v);
  }
  FRUGAL_GENERIC template <class C, class V>
  FRUGAL_FN V keep(C, V, V now) const {
    return now;
  }
};
struct masked : everywhere {
  std::uint8_t const* on = nullptr;
  explicit masked(std::uint8_t const* p) : on(p) {}
  FRUGAL_FN masked bind(segment const& s) const {
    masked m = *this;
    m.on += s.flat;
    return m;
  }
  FRUGAL_GENERIC template <class C, class V>
  FRUGAL_FN V keep(C c, V old, V now) const {
    using on_value = typename V::flags;  // a value of as many lanes, of the scalar whose mask selects V
    return select(c.template load_as<on_value>(on) > on_value(0), now, old);
  }
};
struct listed {
  static constexpr bool contiguous = false;
  std::uint32_t const* at;  // counted from the tensor's first element
  FRUGAL_FN listed bind(segment const& s) const { return {at + s.listed}; }
  FRUGAL_GENERIC template <class C, class T>
  FRUGAL_FN auto load(C c, T const* p) const {
    return C::value::gather(p, at + c.at, c.count());
  }
  FRUGAL_GENERIC template <class C, class T, class V>
  FRUGAL_FN void store(C c, T* p, V v) const {
    v.scatter(p, at + c.at, c.count());
  }
  FRUGAL_GENERIC template <class C, class V>
  FRUGAL_FN V keep(C, V, V now) const {
    return now;
  }
};

// The segments of a support over a layout, in the layout's order, and what must be copied to the backend for kernels.
template <class Support>
struct support_traits;

template <>
struct support_traits<all> {
  using kernel = everywhere;
  using cell = std::uint8_t;
  static std::vector<cell> table(all const&, layout const&) { return {}; }
  static kernel bound(cell const*) { return {}; }
  static void segments(all const&, layout const& l, std::vector<segment>& out) {
    for (std::size_t i = 0; i < l.tensors().size(); ++i) {
      tensor const& t = l.tensors()[i];
      out.push_back({.size = t.size, .flat = t.offset, .tensor = std::int32_t(i), .group = t.group});
    }
  }
};
template <>
struct support_traits<range> {
  using kernel = everywhere;
  using cell = std::uint8_t;
  static std::vector<cell> table(range const&, layout const&) { return {}; }
  static kernel bound(cell const*) { return {}; }
  static void segments(range const& r, layout const& l, std::vector<segment>& out) {
    require(0 <= r.begin && r.begin <= r.end && r.end <= l.size(), "a range", text("0 <= begin <= end <= ", l.size()),
            text("[", r.begin, ", ", r.end, ")"));
    for (std::size_t i = 0; i < l.tensors().size(); ++i) {
      tensor const& t = l.tensors()[i];
      const index_t from = t.offset > r.begin ? t.offset : r.begin;
      const index_t to = t.offset + t.size < r.end ? t.offset + t.size : r.end;
      if (from < to)
        out.push_back(
            {.size = to - from, .flat = from, .inner = from - t.offset, .tensor = std::int32_t(i), .group = t.group});
    }
  }
};
template <>
struct support_traits<mask> {
  using kernel = masked;
  using cell = std::uint8_t;
  static std::vector<cell> table(mask const& m, layout const&) { return m.on; }
  static kernel bound(cell const* p) { return kernel(p); }
  static void segments(mask const& m, layout const& l, std::vector<segment>& out) {
    require(index_t(m.on.size()) == l.size(), "the size of a mask", l.size(), m.on.size());
    support_traits<all>::segments({}, l, out);
  }
};
template <>
struct support_traits<indices> {
  using kernel = listed;
  using cell = std::uint32_t;
  static std::vector<cell> table(indices const& list, layout const& l) {
    std::vector<segment> s;
    segments(list, l, s);
    std::vector<cell> at;
    at.reserve(list.at.size());
    for (segment const& x : s)
      for (index_t k = 0; k < x.size; ++k) at.push_back(cell(list.at[std::size_t(x.listed + k)] - x.flat));
    return at;
  }
  static kernel bound(cell const* p) { return {p}; }
  static void segments(indices const& list, layout const& l, std::vector<segment>& out) {
    index_t last = -1;
    for (index_t i : list.at) {
      if (i <= last || i >= l.size())
        refuse("an index list", text("strictly ascending coordinates below ", l.size()), text(i, " after ", last));
      last = i;
    }
    std::size_t k = 0;
    for (std::size_t i = 0; i < l.tensors().size(); ++i) {
      tensor const& t = l.tensors()[i];
      const std::size_t begin = k;
      while (k < list.at.size() && list.at[k] < t.offset + t.size) ++k;
      if (k == begin) continue;
      require(t.size <= index_t(1) << 32, "the size of a tensor with an index list", "at most 2^32", t.size);
      out.push_back({.size = index_t(k - begin),
                     .flat = t.offset,
                     .listed = index_t(begin),
                     .tensor = std::int32_t(i),
                     .group = t.group});
    }
  }
};
template <class S>
concept support = requires {
  typename support_traits<S>::kernel;
};

}  // namespace detail

}  // namespace v0
}  // namespace frugal
