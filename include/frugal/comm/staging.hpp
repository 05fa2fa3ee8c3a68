// SPDX-License-Identifier: Apache-2.0
/// @file Data of any backend as host memory, which is what transports read: a host's own memory as it is, a device's by
/// way of a copy in stream order.
#pragma once
#include "collectives.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

template <class R>
struct element_of_range {
  using type = std::remove_pointer_t<decltype(std::declval<R&>().data())>;
};
/// What a caller passed (a view, a vector, an Eigen map ...) as a view in the backend's memory.
template <class Backend, class R>
auto as_view(R&& r) {
  return view<typename element_of_range<std::remove_reference_t<R>>::type, typename Backend::space>(r);
}
/// The same, for reading.
template <class Backend, class R>
auto as_source(R&& r) {
  using element = std::remove_const_t<typename element_of_range<std::remove_reference_t<R>>::type>;
  return view<element const, typename Backend::space>(as_view<Backend>(r));
}
/// Host images of the views of one call. Reading waits for what the backend was told before; `give` queues the copy
/// back. On a host both are the data itself.
template <class Backend>
class host_images {
 public:
  using space = typename Backend::space;
  /// `bytes`: all that this call will ask for.
  host_images(Backend const& b, arena& memory, index_t bytes) : backend_(b) {
    if constexpr (!is_host<space>) next_ = static_cast<std::byte*>(memory.of(std::size_t(bytes) + 64));
    else b.sync();
  }
  template <class T>
  T* room(view<T, space> v) {
    if constexpr (is_host<space>) return v.data();
    else return static_cast<T*>(take(v));
  }
  template <class T>
  T* read(view<T, space> v) {
    if constexpr (is_host<space>) {
      return v.data();
    } else {
      void* p = take(v);
      if (v.size() > 0) backend_.copy_out(p, v.data(), bytes_of(v));
      return static_cast<T*>(p);
    }
  }
  template <class T>
  void give(view<T, space> v, T const* image) {
    if constexpr (!is_host<space>)
      if (v.size() > 0) backend_.copy_in(v.data(), image, bytes_of(v));
  }
  template <class T>
  static std::size_t bytes_of(view<T, space> v) {
    return std::size_t(v.size()) * sizeof(T);
  }

 private:
  template <class T>
  void* take(view<T, space> v) {
    return std::exchange(next_, next_ + (bytes_of(v) + 15) / 16 * 16);
  }
  Backend backend_;
  std::byte* next_ = nullptr;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
