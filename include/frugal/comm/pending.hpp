// SPDX-License-Identifier: Apache-2.0
/// @file What a call that runs beside the caller returns.
#pragma once
#include <exception>

#include "staging.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// A started call: the buffers it works on, and how to complete it.
template <class Result, class Transport>
struct started {
  Result result;
  std::exception_ptr error;
  typename Transport::task task{};
};

}  // namespace detail

/// A call under way. It owns the buffers of the call until it is waited for; a destructor waits too, but not while an
/// exception unwinds the stack, when the other ranks may never come.
template <class Result, class State>
class pending {
  using transport = typename State::transport_type;

 public:
  pending(std::shared_ptr<State> state, std::shared_ptr<detail::started<Result, transport>> call)
      : state_(std::move(state)), call_(std::move(call)) {}
  pending(pending&&) noexcept = default;
  pending& operator=(pending&& o) {
    if (this != &o) drop(), state_ = std::move(o.state_), call_ = std::move(o.call_);
    return *this;
  }
  ~pending() { drop(); }

  /// Whether wait() would return at once. Where there is no progress but in wait(), never before that.
  bool ready() const { return !call_ || state_->transport.ready(call_->task); }
  /// Once: completes the call, throws what went wrong in it, hands over its result.
  Result wait() {
    require(call_ != nullptr, "a pending call", "one not waited for yet", "one already waited for");
    const auto call = std::move(call_);
    state_->transport.wait(call->task);
    if (call->error) std::rethrow_exception(call->error);
    return std::move(call->result);
  }
  /// The same, and copies the result to where it belongs, in the backend's order.
  template <class Backend, class R>
  void wait(Backend const& b, R&& to) {
    const auto v = detail::as_view<Backend>(to);
    require(call_ == nullptr || v.size() == index_t(call_->result.size()), "the size of a pending result",
            call_ ? call_->result.size() : 0, v.size());
    const Result r = wait();
    if (!r.empty()) b.copy_in(v.data(), r.data(), r.size() * sizeof(r[0]));
  }

 private:
  void drop() noexcept {
    if (!call_ || std::uncaught_exceptions() > 0) return;
    FRUGAL_TRY { state_->transport.wait(call_->task); }
    FRUGAL_CATCH_ALL {  // the run is over, and whoever ends it tells why
    }
    call_ = nullptr;
  }
  std::shared_ptr<State> state_;
  std::shared_ptr<detail::started<Result, transport>> call_;
};

}  // namespace v0
}  // namespace frugal
