// SPDX-License-Identifier: Apache-2.0
/// @file Memory of a backend, owned.
#pragma once
#include <optional>
#include <utility>
#include <vector>

#include "concepts.hpp"
#include "view.hpp"

namespace frugal {
inline namespace v0 {

/// `n` elements of trivial type in a backend's memory, aligned to 64 bytes, uninitialised; freed with the buffer.
template <class T, memory_backend Backend>
class buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  using space = typename Backend::space;
  buffer() = default;
  buffer(Backend b, index_t n) : backend_(std::move(b)), n_(n) {
    if (n > 0) p_ = static_cast<T*>(backend_->allocate(bytes()));
  }
  buffer(Backend b, std::vector<T> const& from) : buffer(std::move(b), index_t(from.size())) {
    if (n_ > 0) backend_->copy_in(p_, from.data(), bytes());
  }
  buffer(buffer&& o) noexcept
      : backend_(std::move(o.backend_)), p_(std::exchange(o.p_, nullptr)), n_(std::exchange(o.n_, 0)) {}
  buffer& operator=(buffer&& o) noexcept {
    std::swap(backend_, o.backend_);
    std::swap(p_, o.p_);
    std::swap(n_, o.n_);
    return *this;
  }
  ~buffer() {
    if (p_) backend_->deallocate(p_, bytes());
  }

  T* data() const { return p_; }
  index_t size() const { return n_; }
  std::size_t bytes() const { return std::size_t(n_) * sizeof(T); }
  frugal::view<T, space> view() const { return {p_, n_}; }
  /// Every byte of it.
  void fill(std::uint8_t byte) {
    if (n_ > 0) backend_->fill(p_, byte, bytes());
  }

 private:
  std::optional<Backend> backend_;
  T* p_ = nullptr;
  index_t n_ = 0;
};

/// `n` elements of which every byte is zero.
template <class T, class Backend>
buffer<T, Backend> zeros(Backend const& b, index_t n) {
  buffer<T, Backend> cleared(b, n);
  cleared.fill(0);
  return cleared;
}

/// Copies between a backend and the host. `to_host` waits for what the backend was told before.
template <class T, class Backend>
std::vector<std::remove_const_t<T>> to_host(Backend const& b, view<T, typename Backend::space> v) {
  std::vector<std::remove_const_t<T>> out(std::size_t(v.size()));
  if (v.size() > 0) b.copy_out(out.data(), v.data(), out.size() * sizeof(T));
  return out;
}
template <class T, class Backend>
void to_backend(Backend const& b, view<T, typename Backend::space> to, std::vector<T> const& from) {
  require(to.size() == index_t(from.size()), "the size of a copy's source", to.size(), from.size());
  if (to.size() > 0) b.copy_in(to.data(), from.data(), from.size() * sizeof(T));
}

}  // namespace v0
}  // namespace frugal
