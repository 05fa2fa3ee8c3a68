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
  static_assert(!base::by_tensors,
                "frugal: of muon, soap, shampoo and adafactor the states are sharded, not the gradients: "
                "sharded(soap(backend, shard_of_tensors(model, world)), model, world)");
  static_assert(base::by_tensors || std::is_same_v<typename base::support, all>,
                "frugal: sharded_gradients is for an optimizer of all of frugal::shard_layout(model, world)");

 public:
  using typename base::space;

  /// Collective. Compares the model and the method on all ranks; ranks that disagree get a comm_error, all of them.
  sharded_gradients(Optimizer optimizer, frugal::layout const& model, communicator<Transport> world)
      : sharded_gradients(std::move(optimizer), model, std::move(world), shard_layout(model, world)) {}

  /// Collective: all ranks name the same tensors in the same order. Adds the mean over the ranks of the gradients of
  /// tensor k (counted in the layout) to what is kept of it. `g` is written to, and free afterwards.
  void accumulate(std::size_t k, view<grad, space> g) {
    auto const& tensors = this->layout().tensors();
    require(k < tensors.size(), "a tensor", detail::text("one of ", tensors.size()), k);
    this->check(g, tensors[k].name.c_str(), tensors[k].size);
    for (detail::shard_run const& r : this->plan().tensors())
      if (r.tensor == k) add(r, g.data());
  }
  /// The same of a flat vector.
  void accumulate(view<grad, space> g) {
    this->check(g, "gradient", this->layout().size());
    for (detail::shard_run const& r : this->plan().tensors()) add(r, g.data() + r.flat);
  }

  /// One update with what was accumulated, which is then forgotten. Collective. x, equal on all ranks, is changed in
  /// place, and equal again.
  void step(view<param, space> x) {
    this->check(x, "parameters", this->layout().size());
    this->parameters().clear();
    for (detail::shard_run const& r : this->plan().runs()) this->parameters().push_back(x.data() + r.flat);
    whole_.clear();
    for (tensor const& t : this->layout().tensors()) whole_.push_back(x.data() + t.offset);
    step_on(this->plan().runs());
  }
  void step(tensor_list<param, space> x) {
    auto const& tensors = this->layout().tensors();
    require(x.size() == index_t(tensors.size()), "the count of parameter tensors", tensors.size(), x.size());
    whole_.clear(), this->parameters().clear();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      this->check(x[index_t(i)], tensors[i].name.c_str(), tensors[i].size);
      whole_.push_back(x[index_t(i)].data());
    }
    for (detail::shard_run const& r : this->plan().tensors()) this->parameters().push_back(whole_[r.tensor]);
    step_on(this->plan().tensors());
  }
  /// Of the gradient that is kept between steps.
  std::size_t gradient_bytes() const { return gradient_.bytes(); }

 private:
  sharded_gradients(Optimizer&& optimizer, frugal::layout const& model, communicator<Transport>&& world,
                    frugal::layout const& part)
      : base(std::move(optimizer), model, std::move(world), part, {0, part.size()}),
        gradient_(this->backend(), this->plan().own().end - this->plan().own().begin),
        seen_(model.tensors().size(), 0),
        overlap_(this->plan().tensors().size() + 1) {
    whole_.reserve(model.tensors().size());
    xs_.reserve(part.tensors().size());
    gs_.reserve(xs_.capacity());
  }

  void add(detail::shard_run const& r, grad* g) {
    this->reduce(r, g);
    grad* const kept = gradient_.data() + (r.flat + r.begin - this->plan().own().begin);
    if (r.own == 0) {
    } else if (seen_[r.tensor] == 0) {
      this->backend().copy(kept, g + r.begin, std::size_t(r.own) * sizeof(grad));
    } else {
      this->backend().for_each(one_segment(r.own), detail::add_elements<grad>{kept, g + r.begin});
    }
    seen_[r.tensor] = 1;
  }
  void step_on(std::vector<detail::shard_run> const& runs) {
    auto const& tensors = this->layout().tensors();
    const range own = this->plan().own();
    this->check_settings();
    overlap_.clear();
    for (std::size_t i = 0; i < runs.size(); ++i) overlap_.add(this->parameters()[i], runs[i].size, true);
    overlap_.add(gradient_.data(), gradient_.size(), true);
    overlap_.refuse_overlap("parameters");
    for (detail::shard_run const& r : this->plan().tensors())
      require(seen_[r.tensor] != 0, detail::text("the gradient of '", tensors[r.tensor].name, "'"),
              "a call of accumulate()", "none");
    // What the optimizer sees: this rank's pieces, in its layout's order.
    xs_.clear(), gs_.clear(), this->gradients().clear();
    for (tensor const& t : tensors) {
      const index_t from = (std::max)(t.offset, own.begin), to = (std::min)(t.offset + t.size, own.end);
      if (from >= to) continue;
      xs_.push_back({whole_[std::size_t(&t - tensors.data())] + (from - t.offset), to - from});
      gs_.push_back({gradient_.data() + (from - own.begin), to - from});
    }
    for (tensor const& t : this->optimizer().layout().tensors())
      this->gradients().push_back(gradient_.data() + t.offset);
    if (this->goes_on(this->begins())) {
      this->optimizer().step(tensor_list<param, space>(xs_), tensor_list<grad const, space>(gs_));
      this->spread(runs);
    }
    std::fill(seen_.begin(), seen_.end(), std::uint8_t(0));
  }

  buffer<grad, typename base::backend_type> gradient_;
  std::vector<std::uint8_t> seen_;
  detail::overlap_check overlap_;
  std::vector<param*> whole_;  // where each tensor of the model is
  std::vector<view<param, space>> xs_;
  std::vector<view<grad const, space>> gs_;
};

}  // namespace v0
}  // namespace frugal
