// SPDX-License-Identifier: Apache-2.0
/// @file Where a step's parameters and gradients are: checked, compared with the step before, and told to the backend.
#pragma once
#include "buffer.hpp"
#include "model_view.hpp"
#include "overlap.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// A pointer for each tensor of a layout, here and in the backend's memory. Usually they are where they were at the
/// last step: then nothing is copied, and nothing waits.
template <class P, class G, class Backend>
class located_model {
  using space = typename Backend::space;

 public:
  located_model() = default;
  located_model(Backend const& b, layout const& l)
      : xs_(l.tensors().size()),
        next_xs_(xs_),
        gs_(xs_.size()),
        next_gs_(gs_),
        xs_there_(b, xs_),
        gs_there_(b, gs_),
        overlap_(2 * xs_.size()) {}

  /// Throws, and has changed nothing, where they do not fit the layout or overlap: parameters share memory with
  /// nothing, gradients may share it with each other.
  /// @return whether they are elsewhere than before
  bool locate(Backend const& b, layout const& l, model_view<P, space> x, model_view<G const, space> g) {
    x.for_each(l, "parameters", [&](std::size_t i, P* p) { next_xs_[i] = p; });
    g.for_each(l, "gradient", [&](std::size_t i, G const* p) { next_gs_[i] = p; });
    x.require_alike(l, g);
    return take(b, l);
  }
  /// The same for pointers that are known to fit: x(tensor) and g(tensor).
  template <class X, class Y>
  requires(std::invocable<X, tensor const&>) bool locate(Backend const& b, layout const& l, X const& x, Y const& g) {
    for (std::size_t i = 0; i < xs_.size(); ++i) {
      next_xs_[i] = x(l.tensors()[i]);
      next_gs_[i] = g(l.tensors()[i]);
    }
    return take(b, l);
  }

  P* x(std::int32_t tensor) const { return xs_[std::size_t(tensor)]; }
  G const* g(std::int32_t tensor) const { return gs_[std::size_t(tensor)]; }
  /// For kernels.
  P* const* xs_there() const { return xs_there_.data(); }
  G const* const* gs_there() const { return gs_there_.data(); }

 private:
  bool take(Backend const& b, layout const& l) {
    if (known_ && next_xs_ == xs_ && next_gs_ == gs_) return false;
    overlap_.clear();
    for (std::size_t i = 0; i < xs_.size(); ++i) {
      overlap_.add(next_xs_[i], l.tensors()[i].size, true);
      overlap_.add(next_gs_[i], l.tensors()[i].size, false);
    }
    overlap_.refuse_overlap("parameters and gradients");
    known_ = false;  // while a copy may fail
    xs_ = next_xs_;
    gs_ = next_gs_;
    to_backend(b, xs_there_.view(), xs_);
    to_backend(b, gs_there_.view(), gs_);
    known_ = true;
    return true;
  }

  bool known_ = false;
  std::vector<P*> xs_, next_xs_;
  std::vector<G const*> gs_, next_gs_;
  buffer<P*, Backend> xs_there_;
  buffer<G const*, Backend> gs_there_;
  overlap_check overlap_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
