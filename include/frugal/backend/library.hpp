// SPDX-License-Identifier: Apache-2.0
/// @file The primitives of core/primitives.hpp by a vendor's library: CUB (backend/cub.hpp) or rocPRIM
/// (backend/rocprim.hpp), which differ in names only. Same arguments, same results bit for bit: what is summed are
/// integers, selections keep their order, sorts are stable.
#pragma once
#include <iterator>

#include "../core/primitives.hpp"
#include "gpu.hpp"

namespace frugal {
inline namespace v0 {

/// A vendor's backend whose primitives are those of a library: a type of its own, so that no choice of headers changes
/// what the vendor's plain backend means. Same memory, same stream, same views.
///
/// A library is a struct of a `vendor` and the functions exclusive_sum, select, sort and count. Each begins with the
/// temporary storage and its size in bytes; where the storage is null, it sets the size and does nothing.
template <class Library>
class library_backend : public gpu_backend<typename Library::vendor> {
 public:
  using library = Library;
  using plain = gpu_backend<typename Library::vendor>;
  using plain::plain;
  library_backend() = default;
  /// The same stream.
  explicit library_backend(plain const& b) : plain(b) {}
};

namespace detail {

/// Temporary storage for calls of up to n items.
template <class Backend>
class library_room {
 public:
  /// @param call called as call(storage, bytes, items)
  template <class Call>
  library_room(Backend const& b, index_t n, Call const& call) : memory_(b, most(n, call)) {}

  template <class Call>
  void operator()(index_t n, Call const& call) const {
    std::size_t bytes = 0;
    call(nullptr, bytes, n);
    require(bytes <= memory_.bytes(), "the temporary storage of a library", text("at most ", memory_.size(), " bytes"),
            text(bytes));
    call(memory_.data(), bytes, n);
  }

 private:
  // A library changes its method with the number of items, and for fewer of them may want more. What one method wants
  // grows no faster than their number, so twice that of each power of two covers what lies above it.
  template <class Call>
  static index_t most(index_t n, Call const& call) {
    std::size_t all = 256;  // not empty: null would be a question
    const auto want = [&](index_t items, std::size_t times) {
      std::size_t bytes = 0;
      call(nullptr, bytes, items);
      if (times * bytes > all) all = times * bytes;
    };
    for (index_t items = 1; items < n; items *= 2) want(items, 2);
    if (n > 0) want(n, 1);
    return index_t(all);
  }
  buffer<unsigned char, Backend> memory_;
};

/// A random-access iterator to what a functor of the index gives.
template <class At>
struct indexed {
  using iterator_category = std::random_access_iterator_tag;
  using value_type = std::uint32_t;
  using difference_type = index_t;
  using pointer = std::uint32_t*;
  using reference = typename At::reference;
  At at;
  index_t i = 0;
  FRUGAL_FN reference operator*() const { return at(i); }
  FRUGAL_FN reference operator[](index_t j) const { return at(i + j); }
  FRUGAL_FN indexed operator+(index_t j) const { return {at, i + j}; }
  FRUGAL_FN indexed operator-(index_t j) const { return {at, i - j}; }
  FRUGAL_FN indexed& operator+=(index_t j) {
    i += j;
    return *this;
  }
};
struct own_index {
  using reference = std::uint32_t;
  FRUGAL_FN std::uint32_t operator()(index_t i) const { return std::uint32_t(i); }
};
/// Takes what is written to the first `room` places only.
struct first_places {
  struct reference {
    std::uint32_t* to;  // null: nowhere
    FRUGAL_FN reference const& operator=(std::uint32_t w) const {
      if (to) *to = w;
      return *this;
    }
  };
  std::uint32_t* at;
  index_t room;
  FRUGAL_FN reference operator()(index_t i) const { return {i < room ? at + i : nullptr}; }
};

/// f(i) for the indices below n.
template <class F>
struct each_index {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 0;
  index_t n;
  F f;
  index_t teams() const { return tiles_of(n); }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const index_t first = team.rank() * tile_size, size = slots_of(team.rank(), n);
    for (index_t i = index_t(team.lane()); i < size; i += index_t(team.lanes())) f(first + i);
  }
};
template <class Backend, class F>
void for_indices(Backend const& b, index_t n, F const& f) {
  b.for_teams(each_index<F>{n, f});
}

/// The total of a scan is what comes before the last, and the last, which the scan may overwrite.
template <class T>
struct keep_last {
  T const* last;
  T* total;
  FRUGAL_FN void operator()() const { *total = *last; }
};
template <class T>
struct add_before_last {
  T const* before;
  T* total;
  FRUGAL_FN void operator()() const { *total += *before; }
};

template <class Condition>
struct set_flag {
  Condition satisfied;
  std::uint8_t* flags;
  FRUGAL_FN void operator()(index_t i) const { flags[i] = satisfied(i) ? 1 : 0; }
};

/// Keys that ascend where magnitudes descend, each with its index.
struct descending_key {
  float const* x;
  std::uint32_t *key, *index;
  FRUGAL_FN void operator()(index_t i) const {
    key[i] = 0x7fffffffu - magnitude_key(x[i]);
    index[i] = std::uint32_t(i);
  }
};
/// What the first sort brought to the front: its index becomes the key, its value goes with it.
struct index_to_key {
  float const* x;
  std::uint32_t *key, *index;
  FRUGAL_FN void operator()(index_t i) const {
    const std::uint32_t at = index[i];
    key[i] = at;
    index[i] = bit_cast<std::uint32_t>(x[at]);
  }
};
struct hand_out {
  std::uint32_t const *key, *value;
  std::uint32_t* at;
  float* values;
  FRUGAL_FN void operator()(index_t i) const {
    at[i] = key[i];
    values[i] = bit_cast<float>(value[i]);
  }
};

}  // namespace detail

/// Pairs of 32 bits to be sorted, and as much memory again; after a sort, `key` and `value` are where they are.
struct library_pairs {
  std::uint32_t *key, *value, *other_key, *other_value;
};

/// As exclusive_scan; T of 32 or 64 bits.
template <std::integral T, class Library>
class library_scan {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  using U = std::make_unsigned_t<T>;  // which wraps round

 public:
  using backend = library_backend<Library>;
  using space = typename backend::space;
  library_scan(backend b, index_t n)
      : backend_(b),
        n_(detail::primitive_size(n)),
        total_(b, 1),
        room_(b, n, [&](void* room, std::size_t& bytes, index_t items) {
          Library::exclusive_sum(room, bytes, static_cast<U const*>(nullptr), static_cast<U*>(nullptr), items,
                                 b.stream());
        }) {}

  void operator()(view<T const, space> in, view<T, space> out) {
    detail::require_span("what is to be scanned", in, 0, n_);
    detail::require_span("the output of a scan", out, in.size(), in.size());
    if (in.data() != out.data()) detail::require_apart("the elements and the output of a scan", in, out);
    const index_t n = in.size();
    if (n == 0) return total_.fill(0);
    U const* from = reinterpret_cast<U const*>(in.data());
    U *to = reinterpret_cast<U*>(out.data()), *total = reinterpret_cast<U*>(total_.data());
    backend_.run(detail::keep_last<U>{from + n - 1, total});
    room_(n, [&](void* room, std::size_t& bytes, index_t items) {
      Library::exclusive_sum(room, bytes, from, to, items, backend_.stream());
    });
    backend_.run(detail::add_before_last<U>{to + n - 1, total});
  }
  view<T const, space> total() const { return total_.view(); }

 private:
  backend backend_;
  index_t n_;
  buffer<T, backend> total_;
  detail::library_room<backend> room_;
};

/// As ordered_select, with a byte for each index: the library reads flags, so that it is compiled once for all
/// conditions.
template <class Library>
class library_select {
  using indices = detail::indexed<detail::own_index>;
  using places = detail::indexed<detail::first_places>;

 public:
  using backend = library_backend<Library>;
  using space = typename backend::space;
  library_select(backend b, index_t n)
      : backend_(b),
        n_(detail::primitive_size(n)),
        flags_(b, n),
        count_(b, 1),
        room_(b, n, [&](void* room, std::size_t& bytes, index_t items) { select({}, room, bytes, items); }) {}

  template <class Condition>
  void operator()(index_t n, Condition const& condition, view<std::uint32_t, space> at) {
    require(n >= 0 && n <= n_, "the number of indices to select from", detail::text("0 to ", n_), n);
    detail::require_span("the output of a selection", at, 0, index_t(1) << 32);
    if (n == 0) return count_.fill(0);
    detail::for_indices(backend_, n, detail::set_flag<Condition>{condition, flags_.data()});
    room_(n, [&](void* room, std::size_t& bytes, index_t items) {
      select({at.data(), at.size()}, room, bytes, items);
    });
  }
  view<std::uint32_t const, space> count() const { return count_.view(); }

 private:
  void select(detail::first_places to, void* room, std::size_t& bytes, index_t items) const {
    Library::select(room, bytes, indices{{}}, flags_.data(), places{to}, count_.data(), items, backend_.stream());
  }
  backend backend_;
  index_t n_;
  buffer<std::uint8_t, backend> flags_;
  buffer<std::uint32_t, backend> count_;
  detail::library_room<backend> room_;
};

/// As histogram; at most 2^30 bins.
template <class Library>
class library_histogram {
 public:
  using backend = library_backend<Library>;
  using space = typename backend::space;
  library_histogram(backend b, index_t n, index_t bins)
      : backend_(b),
        n_(detail::primitive_size(n)),
        bins_(checked(bins)),
        room_(b, n, [&](void* room, std::size_t& bytes, index_t items) {
          Library::count(room, bytes, nullptr, nullptr, bins, items, b.stream());
        }) {}

  void operator()(view<std::uint32_t const, space> keys, view<std::uint32_t, space> counts) {
    detail::require_span("the keys of a histogram", keys, 0, n_);
    detail::require_span("the counts of a histogram", counts, bins_, bins_);
    detail::require_apart("the keys and the counts of a histogram", keys, counts);
    if (keys.size() == 0) return backend_.fill(counts.data(), 0, std::size_t(bins_) * sizeof(std::uint32_t));
    room_(keys.size(), [&](void* room, std::size_t& bytes, index_t items) {
      Library::count(room, bytes, keys.data(), counts.data(), bins_, items, backend_.stream());
    });
  }

 private:
  static index_t checked(index_t bins) {
    require(bins >= 1 && bins <= index_t(1) << 30, "the bins of a histogram", "1 to 2^30", bins);
    return bins;
  }
  backend backend_;
  index_t n_, bins_;
  detail::library_room<backend> room_;
};

/// As pair_sort.
template <class Library>
class library_sort {
 public:
  using backend = library_backend<Library>;
  using space = typename backend::space;
  library_sort(backend b, index_t n)
      : backend_(b),
        n_(detail::primitive_size(n)),
        pairs_(b, 2 * n),
        room_(b, n, [&](void* room, std::size_t& bytes, index_t items) {
          library_pairs p{pairs_.data(), pairs_.data(), pairs_.data(), pairs_.data()};  // null means something else
          Library::sort(room, bytes, p, items, b.stream());
        }) {}

  void operator()(view<std::uint32_t, space> keys, view<std::uint32_t, space> values) {
    detail::require_span("the keys of a sort", keys, 0, n_);
    detail::require_span("the values of a sort", values, keys.size(), keys.size());
    detail::require_apart("the keys and the values of a sort", keys, values);
    const index_t n = keys.size();
    if (n == 0) return;
    library_pairs p{keys.data(), values.data(), pairs_.data(), pairs_.data() + n};
    room_(n, [&](void* room, std::size_t& bytes, index_t items) {
      Library::sort(room, bytes, p, items, backend_.stream());
    });
    const std::size_t bytes = std::size_t(n) * sizeof(std::uint32_t);
    if (p.key != keys.data()) backend_.copy(keys.data(), p.key, bytes);
    if (p.value != values.data()) backend_.copy(values.data(), p.value, bytes);
  }

 private:
  backend backend_;
  index_t n_;
  buffer<std::uint32_t, backend> pairs_;
  detail::library_room<backend> room_;
};

/// As top_k_select, by two stable sorts: of all by descending magnitude, then of the first k by their index. Needs 16
/// bytes for each element.
template <class Library>
class library_top_k {
 public:
  using backend = library_backend<Library>;
  using space = typename backend::space;
  library_top_k(backend b, index_t n, index_t k) : backend_(b), n_(n), sort_(b, n), pairs_(b, 2 * n) {
    require(k >= 0 && k <= n, "how many are to be selected", detail::text("0 to ", n), k);
  }

  void operator()(view<float const, space> x, view<std::uint32_t, space> at, view<float, space> values) {
    const index_t n = x.size(), k = at.size();
    detail::require_span("what is to be selected from", x, 0, n_);
    detail::require_span("the indices of a selection", at, 0, n);
    detail::require_span("the values of a selection", values, k, k);
    detail::require_apart("the values of a selection", values, x);
    detail::require_apart("the indices of a selection", at, x);
    detail::require_apart("the indices of a selection", at, values);
    if (k == 0) return;
    std::uint32_t *key = pairs_.data(), *value = key + n;
    detail::for_indices(backend_, n, detail::descending_key{x.data(), key, value});
    sort_({key, n}, {value, n});
    detail::for_indices(backend_, k, detail::index_to_key{x.data(), key, value});
    sort_({key, k}, {value, k});
    detail::for_indices(backend_, k, detail::hand_out{key, value, at.data(), values.data()});
  }

 private:
  backend backend_;
  index_t n_;
  library_sort<Library> sort_;
  buffer<std::uint32_t, backend> pairs_;
};

template <class Library>
struct primitives<library_backend<Library>> {
  template <class T>
  using scan = library_scan<T, Library>;
  using select = library_select<Library>;
  using sort = library_sort<Library>;
  using counts = library_histogram<Library>;
  using top_k = library_top_k<Library>;
};

}  // namespace v0
}  // namespace frugal
