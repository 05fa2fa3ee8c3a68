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

namespace detail {
template <class R, class T>
concept contiguous_of = requires(R& r) {
  { r.data() } -> std::convertible_to<T*>;
  { r.size() } -> std::convertible_to<index_t>;
};
template <class R>
concept strided = requires(R const& r) {  // Eigen's maps and blocks
  { r.innerStride() } -> std::convertible_to<index_t>;
  { r.outerStride() } -> std::convertible_to<index_t>;
  { r.innerSize() } -> std::convertible_to<index_t>;
  { r.outerSize() } -> std::convertible_to<index_t>;
};
template <class R>
concept has_space = requires {
  typename std::remove_cvref_t<R>::space;
};
// What cannot be a view of T: elements that nobody may write to, or of another type.
template <class R, class T>
concept constant_of = !std::is_const_v<T> && requires(R & r) {
  { r.data() } -> std::same_as<T const*>;
  { r.size() } -> std::convertible_to<index_t>;
};
template <class R, class T>
concept foreign_to = requires(R& r) {
  { *r.data() + 0 } -> std::convertible_to<double>;
  { r.size() } -> std::convertible_to<index_t>;
}
&&!std::is_same_v<std::remove_cvref_t<decltype(*std::declval<R&>().data())>, std::remove_const_t<T>>;
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
  template <class U>
  requires(std::is_same_v<U const, T> && !std::is_same_v<U, T>) view(view<U, Space> v) : p_(v.data()), n_(v.size()) {}

  template <class R>
  requires(detail::contiguous_of<R, T> && !detail::has_space<R>) view(R&& r) : p_(r.data()), n_(index_t(r.size())) {
    static_assert(
        detail::is_host<Space> || sizeof(R) == 0,
        "frugal: this object lives on a device, and a host container cannot be its argument: copy the data to the "
        "device and pass a buffer's view(), or name your device pointer with {pointer, size}");
    if constexpr (detail::strided<R>)
      require(n_ == 0 || (r.innerStride() == 1 && (r.outerSize() == 1 || r.outerStride() == r.innerSize())),
              "an Eigen map or block", "contiguous elements", "a stride");
  }

  // Deleted by name, so that compilers show what is wrong:
  template <detail::constant_of<T> R>
  view(R&&) = delete;  // frugal: this is written to, and what was given is const
  template <detail::foreign_to<T> R>
  view(R&&) = delete;  // frugal: elements of another type: name the object's, types<double>{} for instance

  T* data() const { return p_; }
  index_t size() const { return n_; }
  T* begin() const { return p_; }
  T* end() const { return p_ + n_; }
  T& operator[](index_t i) const requires detail::is_host<Space> { return p_[i]; }

 private:
  T* p_ = nullptr;
  index_t n_ = 0;
};

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
