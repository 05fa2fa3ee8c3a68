// SPDX-License-Identifier: Apache-2.0
/// @file A count that the host goes by and that belongs to a saved state. Pieces of a state lie in the backend's
/// memory: the count is written there when it is shown, and read back at its next use, for whoever saw it may have
/// changed it. So no step has to wait for it.
#pragma once
#include "buffer.hpp"

namespace frugal {
inline namespace v0 {

template <memory_backend Backend>
class counter {
 public:
  using space = typename Backend::space;
  explicit counter(Backend b) : backend_(b), there_(std::move(b), 1) {}

  std::int64_t get() const {
    if (shown_) backend_.copy_out(&n_, there_.data(), sizeof n_);
    shown_ = false;
    return n_;
  }
  void set(std::int64_t n) { n_ = n, shown_ = false; }
  view<std::int64_t, space> show() {
    const std::int64_t n = get();
    backend_.copy_in(there_.data(), &n, sizeof n);
    shown_ = true;
    return there_.view();
  }

 private:
  Backend backend_;
  buffer<std::int64_t, Backend> there_;
  mutable std::int64_t n_ = 0;
  mutable bool shown_ = false;
};

namespace detail {
/// A few numbers that the host goes by and that belong to a saved state; as counter.
template <class T, class Backend>
class shown_numbers {
 public:
  shown_numbers(Backend b, index_t n) : backend_(b), here_(std::size_t(n), T(0)), there_(std::move(b), n) {}
  std::vector<T>& get() const {
    if (shown_ && !here_.empty()) backend_.copy_out(here_.data(), there_.data(), there_.bytes());
    shown_ = false;
    return here_;
  }
  view<T, typename Backend::space> show() {
    get();
    if (!here_.empty()) backend_.copy_in(there_.data(), here_.data(), there_.bytes());
    shown_ = true;
    return there_.view();
  }

 private:
  Backend backend_;
  mutable std::vector<T> here_;
  buffer<T, Backend> there_;
  mutable bool shown_ = false;
};
}  // namespace detail

}  // namespace v0
}  // namespace frugal
