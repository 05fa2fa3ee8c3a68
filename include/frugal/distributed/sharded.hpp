// SPDX-License-Identifier: Apache-2.0
/// @file Sharded states: Rajbhandari, Rasley, Ruwase, He, "ZeRO: Memory Optimizations Toward Training Trillion
/// Parameter Models", SC 2020, stage 1. Every rank has all parameters, and the states of its shard:
///
///     mean of the ranks' gradients, of my shard      (reduce-scatter)
///     the optimizer's step on my shard               (an optimizer of a range)
///     everybody's shards of the parameters           (all-gather)
///
/// Bit for bit what every rank would get from an all-reduce of the gradients and a step of the unsharded optimizer,
/// clipping and skipping included.
#pragma once
#include "sharded_step.hpp"

namespace frugal {
inline namespace v0 {

/// One rank's side; all ranks construct it and step together, from equal parameters (broadcast them).
/// @tparam Optimizer  lion, adamw ... with the support `range`: that of frugal::shard(layout, world)
template <class Optimizer, class Transport>
class sharded : public detail::sharded_step<Optimizer, Transport> {
  using base = detail::sharded_step<Optimizer, Transport>;
  using typename base::grad;
  using typename base::param;
  using typename base::run;
  static_assert(std::is_same_v<typename base::support, range>,
                "frugal: sharded is for an optimizer of a shard: give it frugal::shard(layout, world)");

 public:
  using typename base::space;

  /// Collective. Compares the model and the method on all ranks; ranks that disagree get a comm_error, all of them.
  sharded(Optimizer optimizer, communicator<Transport> world)
      : sharded(std::move(optimizer), std::move(world), optimizer.layout()) {}

  /// One update, collective. `g` is the gradient of this rank's data; the rank's shard of it becomes the mean over all
  /// ranks, the rest stays as it is. x, equal on all ranks, is changed in place, and equal again.
  void step(view<param, space> x, view<grad, space> g) {
    const index_t n = this->layout().size();
    this->check(x, "parameters", n), this->check(g, "gradient", n);
    detail::require_alike(x, g, "parameters");
    step_on(
        this->runs(), [&](run const& r) { return x.data() + r.flat; }, [&](run const& r) { return g.data() + r.flat; },
        [&](tensor const& t) { return g.data() + t.offset; }, [&] { this->optimizer().step(x, g); });
  }
  /// The same for separate tensors, in the layout's order: two calls of the communicator for each.
  void step(tensor_list<param, space> x, tensor_list<grad, space> g) {
    auto const& tensors = this->layout().tensors();
    require(x.size() == index_t(tensors.size()), "the count of parameter tensors", tensors.size(), x.size());
    require(g.size() == index_t(tensors.size()), "the count of gradient tensors", tensors.size(), g.size());
    to_read_.clear();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      this->check(x[index_t(i)], tensors[i].name.c_str(), tensors[i].size);
      this->check(g[index_t(i)], tensors[i].name.c_str(), tensors[i].size);
      detail::require_alike(x[index_t(i)], g[index_t(i)], tensors[i].name.c_str());
      to_read_.push_back(g[index_t(i)]);
    }
    step_on(
        this->tensors(), [&](run const& r) { return x[index_t(r.tensor)].data(); },
        [&](run const& r) { return g[index_t(r.tensor)].data(); },
        [&](tensor const& t) { return g[&t - tensors.data()].data(); },
        [&] { this->optimizer().step(x, tensor_list<grad const, space>(to_read_)); });
  }

 private:
  sharded(Optimizer&& optimizer, communicator<Transport>&& world, frugal::layout l)
      : base(std::move(optimizer), l, world, l, shard(l, world)), overlap_(2 * l.tensors().size()) {
    to_read_.reserve(l.tensors().size());
  }
  /// x(run), g(run): where a run is; of(tensor): a gradient.
  template <class X, class G, class Of, class Local>
  void step_on(std::vector<run> const& runs, X const& x, G const& g, Of const& of, Local const& local) {
    this->check_settings();
    overlap_.clear();
    for (run const& r : runs) overlap_.add(x(r), r.size, true), overlap_.add(g(r), r.size, true);
    overlap_.refuse_overlap("parameters and gradients");
    const bool skip = this->begins();
    if (!skip)
      for (run const& r : runs) this->reduce(r, g(r));
    this->finish(skip, runs, of, local, x);
  }

  detail::overlap_check overlap_;
  std::vector<view<grad const, space>> to_read_;
};
template <class Optimizer, class Transport>
sharded(Optimizer, communicator<Transport>) -> sharded<Optimizer, Transport>;

}  // namespace v0
}  // namespace frugal
