// SPDX-License-Identifier: Apache-2.0
/// @file Sharded states and gradients: ZeRO, stage 2 (sharded.hpp has the paper). During the backward pass each
/// gradient is reduced as soon as it is there, and every rank keeps the mean of its shard only:
///
///     for each tensor, last ones first:  opt.accumulate(tensor, g);    its memory may be used again
///     opt.step(x);
#pragma once
#include <cstdint>

#include "sharded_step.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// y = y + x.
template <class T>
struct add_elements {
  using scalar = T;
  T* y;
  T const* x;
  struct bound {
    T* y;
    T const* x;
    bool active = true;
    T const* contiguous() const { return y; }
    FRUGAL_FN bool aligned(int width) const { return multiple_of(y, width) && multiple_of(x, width); }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      c.store(y, c.load(y) + c.load(x));
    }
  };
  FRUGAL_FN bound bind(segment const&) const { return {y, x}; }
};

}  // namespace detail

/// One rank's side; all ranks construct it, accumulate in one order, and step together, from equal parameters.
/// @tparam Optimizer  lion, adamw ... of the layout frugal::shard_layout(model, world), with the support `all`
template <class Optimizer, class Transport>
class sharded_gradients : public detail::sharded_step<Optimizer, Transport> {
  using base = detail::sharded_step<Optimizer, Transport>;
  using typename base::grad;
  using typename base::param;
  using typename base::run;
  static_assert(std::is_same_v<typename base::support, all>,
                "frugal: sharded_gradients is for an optimizer of all of frugal::shard_layout(model, world)");

 public:
  using typename base::space;

  /// Collective. Compares the model and the method on all ranks; ranks that disagree get a comm_error, all of them.
  sharded_gradients(Optimizer optimizer, frugal::layout const& model, communicator<Transport> world)
      : base(std::move(optimizer), model, world, shard_layout(model, world), all{}),
        gradient_(this->backend(), this->own().end - this->own().begin),
        seen_(model.tensors().size(), 0),
        overlap_(this->tensors().size() + 1) {
    xs_.reserve(this->optimizer().layout().tensors().size());
    gs_.reserve(xs_.capacity());
  }

  /// Collective: all ranks name the same tensors in the same order. Adds the mean over the ranks of the gradients of
  /// tensor k (counted in the layout) to what is kept of it. `g` is written to, and free afterwards.
  void accumulate(std::size_t k, view<grad, space> g) {
    auto const& tensors = this->layout().tensors();
    require(k < tensors.size(), "a tensor", detail::text("one of ", tensors.size()), k);
    this->check(g, tensors[k].name.c_str(), tensors[k].size);
    for (run const& r : this->tensors())
      if (r.tensor == k) add(r, g.data());
  }
  /// The same of a flat vector.
  void accumulate(view<grad, space> g) {
    this->check(g, "gradient", this->layout().size());
    for (run const& r : this->tensors()) add(r, g.data() + r.flat);
  }

  /// One update with what was accumulated, which is then forgotten. Collective. x, equal on all ranks, is changed in
  /// place, and equal again.
  void step(view<param, space> x) {
    this->check(x, "parameters", this->layout().size());
    step_on(
        this->runs(), [&](run const& r) { return x.data() + r.flat; },
        [&](tensor const& t) { return x.data() + t.offset; });
  }
  void step(tensor_list<param, space> x) {
    auto const& tensors = this->layout().tensors();
    require(x.size() == index_t(tensors.size()), "the count of parameter tensors", tensors.size(), x.size());
    for (std::size_t i = 0; i < tensors.size(); ++i)
      this->check(x[index_t(i)], tensors[i].name.c_str(), tensors[i].size);
    step_on(
        this->tensors(), [&](run const& r) { return x[index_t(r.tensor)].data(); },
        [&](tensor const& t) { return x[&t - tensors.data()].data(); });
  }
  /// Of the gradient that is kept between steps.
  std::size_t gradient_bytes() const { return gradient_.bytes(); }

 private:
  void add(run const& r, grad* g) {
    this->reduce(r, g);
    grad* const kept = gradient_.data() + (r.flat + r.begin - this->own().begin);
    if (r.own == 0) {
    } else if (seen_[r.tensor] == 0) {
      this->backend().copy(kept, g + r.begin, std::size_t(r.own) * sizeof(grad));
    } else {
      this->backend().for_each(one_segment(r.own), detail::add_elements<grad>{kept, g + r.begin});
    }
    seen_[r.tensor] = 1;
  }
  /// x(run), of(tensor): where they are.
  template <class X, class Of>
  void step_on(std::vector<run> const& runs, X const& x, Of const& of) {
    auto const& tensors = this->layout().tensors();
    this->check_settings();
    overlap_.clear();
    for (run const& r : runs) overlap_.add(x(r), r.size, true);
    overlap_.add(gradient_.data(), gradient_.size(), true);
    overlap_.refuse_overlap("parameters");
    for (run const& r : this->tensors())
      require(seen_[r.tensor] != 0, detail::text("the gradient of '", tensors[r.tensor].name, "'"),
              "a call of accumulate()", "none");
    // What the optimizer sees: this rank's pieces, in its layout's order.
    xs_.clear(), gs_.clear();
    index_t at = 0;
    for (tensor const& t : tensors) {
      const range own = this->own();
      const index_t from = (std::max)(t.offset, own.begin), to = (std::min)(t.offset + t.size, own.end);
      if (from >= to) continue;
      xs_.push_back({of(t) + (from - t.offset), to - from});
      gs_.push_back({gradient_.data() + at, to - from});
      at += to - from;
    }
    const bool skip = this->begins();
    this->finish(
        skip, runs, [&](tensor const& t) { return gradient_.data() + t.offset; },
        [&] { this->optimizer().step(tensor_list<param, space>(xs_), tensor_list<grad const, space>(gs_)); }, x);
    std::fill(seen_.begin(), seen_.end(), std::uint8_t(0));
  }

  buffer<grad, typename base::backend_type> gradient_;
  std::vector<std::uint8_t> seen_;
  detail::overlap_check overlap_;
  std::vector<view<param, space>> xs_;
  std::vector<view<grad const, space>> gs_;
};

}  // namespace v0
}  // namespace frugal
