// SPDX-License-Identifier: Apache-2.0
/// @file Non-owning views of contiguous memory, typed by the space that the memory lies in.
#pragma once
#include <concepts>

#include "error.hpp"

namespace frugal {
inline namespace v0 {

/// Ordinary memory. Each GPU vendor has a space of its own.
struct host_space {
  static constexpr char const* name = "host";
};

/// For containers and pointers of other libraries, where data() and p do not say it all: specialised
/// (interop/thrust.hpp) with `space`, and a function data(r) that gives a plain pointer.
template <class R>
struct viewed;

namespace detail {
template <class R>
concept known = requires {
  typename viewed<std::remove_cvref_t<R>>::space;
};
template <class R>
constexpr auto data_of(R& r) {
  if constexpr (known<R>) return viewed<std::remove_cvref_t<R>>::data(r);
  else if constexpr (requires { r.data(); }) return r.data();
}
template <class R, class T>
concept contiguous_of = requires(R& r) {
  { detail::data_of(r) } -> std::convertible_to<T*>;
  { r.size() } -> std::convertible_to<index_t>;
};
// Eigen, without its headers. What has memory: matrices, maps, blocks.
template <class R>
concept strided = requires(R const& r) {
  { r.innerStride() } -> std::convertible_to<index_t>;
  { r.outerStride() } -> std::convertible_to<index_t>;
  { r.innerSize() } -> std::convertible_to<index_t>;
  { r.outerSize() } -> std::convertible_to<index_t>;
  int(R::InnerStrideAtCompileTime) + int(R::SizeAtCompileTime) + int(R::IsRowMajor);
};
template <class R>
concept expression = requires(R const& r) {
  typename R::PlainObject;
  r.eval();
  r.size();
};
// Elements that lie apart, as far as the compiler knows (-1: it does not).
template <class R>
inline constexpr bool apart = false;
template <strided R>
inline constexpr bool apart<R> = R::InnerStrideAtCompileTime != 1 && R::InnerStrideAtCompileTime != -1 &&
                                 R::SizeAtCompileTime != 0 && R::SizeAtCompileTime != 1;
template <class R>
concept has_space = requires {
  typename std::remove_cvref_t<R>::space;
};
// What cannot be a view of T: elements that nobody may write to, or of another type.
template <class R, class T>
concept constant_of = !std::is_const_v<T> && requires(R & r) {
  { detail::data_of(r) } -> std::same_as<T const*>;
  { r.size() } -> std::convertible_to<index_t>;
};
template <class R, class T>
concept foreign_to = requires(R& r) {
  { *detail::data_of(r) + 0 } -> std::convertible_to<double>;
  { r.size() } -> std::convertible_to<index_t>;
}
&&!std::is_same_v<std::remove_cvref_t<decltype(*detail::data_of(std::declval<R&>()))>, std::remove_const_t<T>>;
// Matrices that own their elements, and are gone when the statement ends. So may be a Ref<T const>: it may hold a copy.
template <class R, class T>
concept temporary_of = !std::is_reference_v<R> && contiguous_of<R, T> &&
                       (known<R> || (expression<R> && std::convertible_to<typename R::PlainObject const&, R>));
template <class R, class T>
concept apart_of = contiguous_of<R, T> && apart<std::remove_cvref_t<R>> && !temporary_of<R, T>;
template <class R>
concept without_memory = expression<std::remove_cvref_t<R>> && !requires(R & r) {
  *detail::data_of(r);
};
template <class Space>
inline constexpr bool is_host = std::is_same_v<Space, host_space>;
}  // namespace detail

namespace detail {
/// How messages, which are in host memory, are sent whatever the backend.
struct host_messages {
  using space = host_space;
  void sync() const {}
};
}  // namespace detail

/// `n` elements at `p`. Converts from vectors, arrays, spans, Eigen vectors and maps, and from `{p, n}`. Passing a host
/// container where device memory is wanted does not compile; a strided map is refused.
template <class T, class Space = host_space>
class view {
 public:
  using element = T;
  using space = Space;

  view() = default;
  view(T* p, index_t n) : p_(p), n_(n) {}
  template <detail::known P>
  requires(std::is_same_v<Space, typename viewed<P>::space>&&
               std::convertible_to<decltype(viewed<P>::data(std::declval<P&>())), T*>) view(P p, index_t n)
      : p_(viewed<P>::data(p)), n_(n) {}
  template <class U>
  requires(std::is_same_v<U const, T> && !std::is_same_v<U, T>) view(view<U, Space> v)
      : p_(v.data()), n_(v.size()), lead_(v.lead()) {}

  template <class R>
  requires(detail::contiguous_of<R, T> && !detail::has_space<R> && !detail::temporary_of<R, T> &&
           !detail::apart_of<R, T>) view(R&& r)
      : p_(detail::data_of(r)), n_(index_t(r.size())) {
    if constexpr (detail::known<R>)
      static_assert(std::is_same_v<Space, typename viewed<std::remove_cvref_t<R>>::space>,
                    "frugal: this object lives in other memory than the container: copy the data there");
    else
      static_assert(
          detail::is_host<Space> || sizeof(R) == 0,
          "frugal: this object lives on a device, and a host container cannot be its argument: copy the data to the "
          "device and pass a buffer's view(), or name your device pointer with {pointer, size}");
    if constexpr (detail::strided<std::remove_cvref_t<R>>) {
      require(n_ <= 1 || (r.innerStride() == 1 && (r.outerSize() == 1 || r.outerStride() == r.innerSize())),
              "an Eigen map or block", "contiguous elements (those of a copy, for instance)", "a stride");
      if (r.innerSize() > 1 && r.outerSize() > 1)
        lead_ = std::remove_cvref_t<R>::IsRowMajor ? -index_t(r.innerSize()) : index_t(r.innerSize());
    }
  }

  // Deleted by name, so that compilers show what is wrong:
  template <detail::constant_of<T> R>
  view(R&&) = delete;  // frugal: this is written to, and what was given is const
  template <detail::foreign_to<T> R>
  view(R&&) = delete;  // frugal: elements of another type: name the object's, types<double>{} for instance
  template <detail::temporary_of<T> R>
  view(R&&) = delete;  // frugal: a temporary is gone when the statement ends: give it a name
  template <detail::apart_of<T> R>
  view(R&&) = delete;  // frugal: elements that lie apart: copy them to a matrix or vector of their own
  template <detail::without_memory R>
  view(R&&) = delete;  // frugal: an expression has no memory: give its value a name, Eigen::VectorXf y = ...

  T* data() const { return p_; }
  index_t size() const { return n_; }
  /// Of a view that was made of a matrix: how many elements its columns have, or, negative, its rows if those lie one
  /// after the other; else 0.
  index_t lead() const { return lead_; }
  T* begin() const { return p_; }
  T* end() const { return p_ + n_; }
  T& operator[](index_t i) const requires detail::is_host<Space> { return p_[i]; }

 private:
  T* p_ = nullptr;
  index_t n_ = 0, lead_ = 0;
};

namespace detail {
inline std::string lies(index_t lead) {
  return text(lead < 0 ? "rows" : "columns", " of ", lead < 0 ? -lead : lead, " elements, one after the other");
}
/// Elements are paired in the order in which they lie, which of two matrices must be the same.
template <class X, class G>
void require_alike(X const& x, G const& g, char const* what) {
  if (x.lead() != 0 && g.lead() != 0 && x.lead() != g.lead()) [[unlikely]]
    refuse(text("gradient of ", what), lies(x.lead()), lies(g.lead()));
}
}  // namespace detail

/// Separate tensors, one view each, in the order of the layout; does not own the array of views. Converts from a vector
/// or array of views; a list of constant views also from views of mutable elements.
template <class T, class Space = host_space>
class tensor_list {
  using mutable_view = view<std::remove_const_t<T>, Space>;

 public:
  template <class R>
  requires(detail::contiguous_of<R, view<T, Space> const>) tensor_list(R const& r)
      : same_(r.data()), n_(index_t(r.size())) {}
  template <class R>
  requires(std::is_const_v<T>&& detail::contiguous_of<R, mutable_view const>) tensor_list(R const& r)
      : other_(r.data()), n_(index_t(r.size())) {}

  index_t size() const { return n_; }
  view<T, Space> operator[](index_t i) const { return same_ ? same_[i] : view<T, Space>(other_[i]); }

 private:
  view<T, Space> const* same_ = nullptr;
  mutable_view const* other_ = nullptr;
  index_t n_ = 0;
};

}  // namespace v0
}  // namespace frugal
