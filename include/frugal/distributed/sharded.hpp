// SPDX-License-Identifier: Apache-2.0
/// @file Sharded states: Rajbhandari, Rasley, Ruwase, He, "ZeRO: Memory Optimizations Toward Training Trillion
/// Parameter Models", SC 2020, stage 1. Every rank has all parameters, and the states of its shard:
///
///     mean of the ranks' gradients, of my shard      (reduce-scatter)
///     the optimizer's step on my shard               (an optimizer of a range)
///     everybody's shards of the parameters           (all-gather)
///
/// Bit for bit what every rank would get from an all-reduce of the gradients and a step of the unsharded optimizer,
/// clipping and skipping included. Methods that need whole tensors (muon, soap, shampoo, adafactor) have a shard of
/// whole ones.
#pragma once
#include "sharded_step.hpp"

namespace frugal {
inline namespace v0 {

/// One rank's side; all ranks construct it and step together, from equal parameters (broadcast them).
/// @tparam Optimizer  lion, adamw ... with the support `range`: that of frugal::shard(layout, world); or muon, soap,
/// shampoo, adafactor, of the layout frugal::shard_of_tensors(model, world)
template <class Optimizer, class Transport>
class sharded : public detail::sharded_step<Optimizer, Transport> {
  using base = detail::sharded_step<Optimizer, Transport>;
  using base::by_tensors;
  using typename base::grad;
  using typename base::param;
  static_assert(by_tensors || std::is_same_v<typename base::support, range>,
                "frugal: sharded is for an optimizer of a shard: give it frugal::shard(layout, world)");

 public:
  using typename base::space;

  /// Collective. Compares the model and the method on all ranks; ranks that disagree get a comm_error, all of them.
  template <class Its = Optimizer>
  sharded(Optimizer optimizer, communicator<Transport> world)
      : sharded(std::move(optimizer), std::move(world), optimizer.layout(), shard(optimizer.layout(), world)) {
    static_assert(detail::has_element_rule<Its>,
                  "frugal: muon, soap, shampoo and adafactor are sharded by whole tensors, and the model is named: "
                  "sharded(soap(backend, shard_of_tensors(model, world)), model, world)");
  }
  /// The same for muon, soap, shampoo and adafactor, of the layout shard_of_tensors(model, world).
  template <class Its = Optimizer>
  sharded(Optimizer optimizer, frugal::layout const& model, communicator<Transport> world)
      : sharded(std::move(optimizer), std::move(world), model, {0, model.size()}) {
    static_assert(!detail::has_element_rule<Its>,
                  "frugal: an optimizer of an element rule is that of a range, and knows the model: "
                  "sharded(adamw(backend, model, {}, shard(model, world)), world)");
  }

  /// One update, collective. `g` is the gradient of this rank's data; the rank's shard of it becomes the mean over all
  /// ranks, the rest stays as it is. x, equal on all ranks, is changed in place, and equal again.
  void step(view<param, space> x, view<grad, space> g) {
    const index_t n = this->layout().size();
    this->check(x, "parameters", n), this->check(g, "gradient", n);
    detail::require_alike(x, g, "parameters");
    auto const& runs = this->plan().runs();
    located();
    for (detail::shard_run const& r : runs) {
      this->parameters().push_back(x.data() + r.flat);
      mine_.push_back(g.data() + r.flat);
    }
    for (tensor const& t : this->layout().tensors()) this->gradients().push_back(g.data() + t.offset);
    if (!goes_on(runs)) return;
    this->optimizer().step(x, g);
    this->spread(runs);
  }
  /// The same for separate tensors, in the layout's order: two calls of the communicator for each.
  void step(tensor_list<param, space> x, tensor_list<grad, space> g) {
    auto const& tensors = this->layout().tensors();
    require(x.size() == index_t(tensors.size()), "the count of parameter tensors", tensors.size(), x.size());
    require(g.size() == index_t(tensors.size()), "the count of gradient tensors", tensors.size(), g.size());
    auto const& runs = this->plan().tensors();
    located();
    to_read_.clear();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      this->check(x[index_t(i)], tensors[i].name.c_str(), tensors[i].size);
      this->check(g[index_t(i)], tensors[i].name.c_str(), tensors[i].size);
      detail::require_alike(x[index_t(i)], g[index_t(i)], tensors[i].name.c_str());
      to_read_.push_back(g[index_t(i)]);
      this->gradients().push_back(g[index_t(i)].data());
    }
    for (detail::shard_run const& r : runs) {
      this->parameters().push_back(x[index_t(r.tensor)].data());
      mine_.push_back(g[index_t(r.tensor)].data());
    }
    if (!goes_on(runs)) return;
    this->optimizer().step(x, tensor_list<grad const, space>(to_read_));
    this->spread(runs);
  }

 private:
  sharded(Optimizer&& optimizer, communicator<Transport>&& world, frugal::layout l, range where)
      : base(std::move(optimizer), l, world, l, where), overlap_(2 * l.tensors().size()) {
    mine_.reserve(l.tensors().size());
    to_read_.reserve(l.tensors().size());
  }
  void located() { this->parameters().clear(), this->gradients().clear(), mine_.clear(); }
  bool goes_on(std::vector<detail::shard_run> const& runs) {
    this->check_settings();
    overlap_.clear();
    for (std::size_t i = 0; i < runs.size(); ++i) {
      overlap_.add(this->parameters()[i], runs[i].size, true);
      overlap_.add(mine_[i], runs[i].size, true);
    }
    overlap_.refuse_overlap("parameters and gradients");
    const bool skip = this->begins();
    if (!skip)
      for (std::size_t i = 0; i < runs.size(); ++i) this->reduce(runs[i], mine_[i]);
    return base::goes_on(skip);
  }

  detail::overlap_check overlap_;
  std::vector<grad*> mine_;  // of each run
  std::vector<view<grad const, space>> to_read_;
};
template <class Optimizer, class Transport>
sharded(Optimizer, communicator<Transport>) -> sharded<Optimizer, Transport>;
template <class Optimizer, class Transport>
sharded(Optimizer, layout, communicator<Transport>) -> sharded<Optimizer, Transport>;

}  // namespace v0
}  // namespace frugal
