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
#include <array>

#include "../core/element_policies.hpp"
#include "whole_state.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Does a rule need sums over whole tensors or the whole model?
template <class Rule>
inline constexpr bool sums_up = false;
template <class Rule>
requires(Rule::sums > 0) inline constexpr bool sums_up<Rule> = true;

}  // namespace detail

/// One rank's side; all ranks construct it and step together, from equal parameters (broadcast them).
/// @tparam Optimizer  lion, adamw ... with the support `range`: that of frugal::shard(layout, world)
template <class Optimizer, class Transport>
class sharded {
  using policies = decltype(detail::policies_of(std::declval<Optimizer const&>()));
  using backend_type = typename policies::backend;
  using param = typename policies::types::param;
  using grad = typename policies::types::grad;
  using compute = typename policies::types::compute;
  using storage_traits = detail::storage_traits<typename policies::storage, compute>;
  static_assert(std::is_same_v<typename policies::support, range>,
                "frugal: sharded is for an optimizer of a shard: give it frugal::shard(layout, world)");
  static_assert(
      std::is_floating_point_v<grad>,
      "frugal: gradients of ranks are added as float or double: use types<bf16, float> or types<half, float>");
  static_assert(!detail::sums_up<typename policies::rule>,
                "frugal: this method measures whole tensors or the whole model, of which a shard is a part only");

 public:
  using space = typename Optimizer::space;
  using parameter = param;

  /// Collective. Compares the model and the method on all ranks; ranks that disagree get a comm_error, all of them.
  sharded(Optimizer optimizer, communicator<Transport> world)
      : optimizer_(std::move(optimizer)), world_(std::move(world)) {
    frugal::layout const& l = layout();
    const int ranks = world_.size(), me = world_.rank();
    fnv1a groups;
    for (group const& g : l.groups())
      groups.add(g.name)
          .add(detail::bit_cast<std::uint64_t>(g.lr))
          .add(detail::bit_cast<std::uint64_t>(g.weight_decay));
    detail::agree(world_, "sharded",
                  {{"the method", std::int64_t(fnv1a().add(optimizer_.algorithm()).value())},
                   {"the number of elements", l.size(), true},
                   {"the layout or its frozen groups", std::int64_t(layout_of({0, l.size()}))},
                   {"the factors of groups", std::int64_t(groups.value())}});
    const range own = shard(l, world_);
    require(optimizer_.state_layout() == layout_of(own), "the support of a sharded optimizer",
            detail::text("the shard [", own.begin, ", ", own.end, ")"), "another");
    for (int r = 0; r < ranks; ++r) {
      shards_.push_back(shard(l, r, ranks));
      index_t tiles = 0;
      for (segment const& s : segments_of(shards_.back())) tiles += tiles_of(s.size);
      if (r < me) first_tile_ += tiles;
      tiles_.push_back(tiles), all_tiles_ += tiles;
    }
    for (tensor const& t : l.tensors()) {
      if (t.size == 0 || l.groups()[std::size_t(t.group)].frozen) continue;
      tensors_.push_back(run_of(t.offset, t.size, std::size_t(&t - l.tensors().data())));
      if (!runs_.empty() && runs_.back().flat + runs_.back().size == t.offset) {
        const run last = runs_.back();
        runs_.back() = run_of(last.flat, last.size + t.size, 0);
      } else {
        runs_.push_back(run_of(t.offset, t.size, 0));
      }
    }
    own_ = detail::work_table<backend_type>(backend(), segments_of(own), 1);
    gs_.resize(l.tensors().size());
    gs_there_ = buffer<grad const*, backend_type>(backend(), gs_);
    sums_ = buffer<double, backend_type>(backend(), all_tiles_ + detail::sum_scratch(tiles_of(all_tiles_)));
    nonfinite_ = buffer<float, backend_type>(backend(), 1);
    overlap_ = detail::overlap_check(2 * tensors_.size() + 2);
    settings_.resize(2 * std::size_t(ranks));
    to_read_.reserve(l.tensors().size());
    bytes_.reserve(std::size_t(ranks));
    parts_ = detail::parts_of_state(optimizer_, storage_traits::alignment, type_name<typename storage_traits::cell>(),
                                    world_);
  }

  /// One update, collective. `g` is the gradient of this rank's data; the rank's shard of it becomes the mean over all
  /// ranks, the rest stays as it is. x, equal on all ranks, is changed in place, and equal again.
  void step(view<param, space> x, view<grad, space> g) {
    const index_t n = layout().size();
    check(x, "parameters", n), check(g, "gradient", n);
    step_on(
        runs_, [&](run const& r) { return x.data() + r.flat; }, [&](run const& r) { return g.data() + r.flat; },
        [&](tensor const& t) { return g.data() + t.offset; }, [&] { optimizer_.step(x, g); });
  }
  /// The same for separate tensors, in the layout's order: two calls of the communicator for each.
  void step(tensor_list<param, space> x, tensor_list<grad, space> g) {
    auto const& tensors = layout().tensors();
    require(x.size() == index_t(tensors.size()), "the count of parameter tensors", tensors.size(), x.size());
    require(g.size() == index_t(tensors.size()), "the count of gradient tensors", tensors.size(), g.size());
    to_read_.clear();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      check(x[index_t(i)], tensors[i].name.c_str(), tensors[i].size);
      check(g[index_t(i)], tensors[i].name.c_str(), tensors[i].size);
      to_read_.push_back(g[index_t(i)]);
    }
    step_on(
        tensors_, [&](run const& r) { return x[index_t(r.tensor)].data(); },
        [&](run const& r) { return g[index_t(r.tensor)].data(); },
        [&](tensor const& t) { return g[&t - tensors.data()].data(); },
        [&] { optimizer_.step(x, tensor_list<grad const, space>(to_read_)); });
  }

  /// Of the optimizer. The rate must be the same on all ranks, which is checked at each step; so must all others.
  auto& config() { return optimizer_.config(); }
  /// As an unsharded optimizer has them: clip_norm and skip_nonfinite are about the whole gradient; found_inf of any
  /// rank means skip. The rest must be the same on all ranks.
  step_options<space>& options() { return options_; }
  /// Not collective: all ranks call it.
  void set_group(group const& g) { optimizer_.set_group(g); }
  /// Waits for the backend.
  step_report report() const { return {optimizer_.report().steps, skipped_, norm_}; }
  /// What rank r owns.
  range part(int r) const { return shards_.at(std::size_t(r)); }
  communicator<Transport>& world() { return world_; }
  /// Bytes of messages that left this rank.
  std::int64_t bytes_sent() const { return world_.bytes_sent(); }

  /// This rank's part of the state: for a job that goes on with as many ranks, each with a checkpoint of its own.
  template <class Visitor>
  void visit_state(Visitor&& visit) {
    optimizer_.visit_state(visit);
  }
  std::size_t state_bytes() const { return optimizer_.state_bytes(); }
  std::string algorithm() const { return optimizer_.algorithm(); }
  std::uint64_t state_layout() const { return optimizer_.state_layout(); }
  frugal::layout const& layout() const { return optimizer_.layout(); }
  backend_type const& backend() const { return optimizer_.backend(); }

  /// Collective. The state that the unsharded optimizer would have: on every rank, in host memory.
  whole_state gather() { return {layout_of({0, layout().size()}), parts_, optimizer_, world_}; }
  /// Collective. The opposite: takes this rank's part of a state that came from any number of ranks, or from an
  /// unsharded optimizer; the same on all ranks. One of another method, model or type is refused, and nothing changes.
  void scatter(whole_state const& whole) { whole.scatter(layout_of({0, layout().size()}), parts_, optimizer_, world_); }

 private:
  /// Elements that lie together in the caller's memory, and how many of them each rank owns.
  struct run {
    index_t flat, size;
    std::size_t tensor;
    std::vector<index_t> counts;
    index_t begin, own;  // of this rank's
  };
  std::vector<segment> segments_of(range const& r) const {
    std::vector<segment> s;
    detail::support_traits<range>::segments(r, layout(), s);
    std::erase_if(s, [&](segment const& x) { return layout().groups()[std::size_t(x.group)].frozen || x.size == 0; });
    return s;
  }
  /// As an optimizer of that range has it.
  std::uint64_t layout_of(range const& r) const {
    fnv1a hash;
    hash.add(layout().hash());
    for (segment const& s : segments_of(r)) hash.add(std::uint64_t(s.flat)).add(std::uint64_t(s.size));
    return hash.value();
  }
  run run_of(index_t flat, index_t size, std::size_t t) const {
    run now{flat, size, t, {}, 0, 0};
    for (std::size_t r = 0; r < shards_.size(); ++r) {
      const index_t from = (std::min)((std::max)(shards_[r].begin, flat), flat + size) - flat;
      const index_t to = (std::max)(from, (std::min)(shards_[r].end, flat + size) - flat);
      now.counts.push_back(to - from);
      if (int(r) == world_.rank()) now.begin = from, now.own = to - from;
    }
    return now;
  }
  template <class T>
  static void check(view<T, space> v, char const* what, index_t n) {
    require(v.size() == n, what, n, v.size());
    require(v.data() || n == 0, what, "a pointer", "null");
  }
  /// x(run), g(run): where a run is; of(tensor): a gradient.
  template <class X, class G, class Of, class Local>
  void step_on(std::vector<run> const& runs, X const& x, G const& g, Of const& of, Local const& local) {
    optimizer_.options() = options_;
    optimizer_.check_settings();
    overlap_.clear();
    for (run const& r : runs) overlap_.add(x(r), r.size, true), overlap_.add(g(r), r.size, true);
    overlap_.refuse_overlap("parameters and gradients");

    float more = 1, found = 0;
    if (options_.more_scale.size() > 0) backend().copy_out(&more, options_.more_scale.data(), sizeof more);
    if (options_.found_inf.size() > 0) backend().copy_out(&found, options_.found_inf.data(), sizeof found);
    bool skip = agree_on_settings(more, found != 0);
    const exact total = exact(options_.gradient_scale) * exact(double(more));
    exact factor = total;
    if (!skip) {
      for (run const& r : runs)
        world_.reduce_scatter(backend(), view<grad, space>(g(r), r.size), view<grad, space>(g(r) + r.begin, r.own),
                              r.counts, op::mean{});
      if (options_.skip_nonfinite || options_.clip_norm < std::numeric_limits<double>::infinity()) {
        const exact norm = sqrt(exact(sum_of_squares(of))) * select(total < exact(0.0), exact(0.0) - total, total);
        norm_ = norm.v[0];
        skip = options_.skip_nonfinite && !(norm_ - norm_ == 0);
        const exact ratio = exact(options_.clip_norm) / (norm + exact(1e-6));
        if (!(ratio.v[0] > 1)) factor = total * ratio;
      }
    }
    if (skip) {
      ++skipped_;
      return;
    }
    step_options<space> now;
    now.gradient_scale = factor.v[0], now.lr = options_.lr;
    if (!(now.gradient_scale - now.gradient_scale == 0)) {  // no gradient_scale that a caller may ask for
      const float f = float(factor.v[0]);
      backend().copy_in(nonfinite_.data(), &f, sizeof f);
      now.gradient_scale = 1, now.more_scale = nonfinite_.view();
    }
    optimizer_.options() = now;
    local();
    for (run const& r : runs) {
      bytes_.clear();
      for (index_t c : r.counts) bytes_.push_back(c * index_t(sizeof(param)));
      world_.all_gather(backend(), bytes_of(x(r) + r.begin, r.own), bytes_of(x(r), r.size), bytes_);
    }
  }
  static view<std::uint8_t, space> bytes_of(param* p, index_t n) {
    return {reinterpret_cast<std::uint8_t*>(p), n * index_t(sizeof(param))};
  }
  /// Collective: whether any rank found an infinity.
  bool agree_on_settings(float more, bool found) {
    fnv1a h;
    for (double d : {double(optimizer_.config().lr), options_.gradient_scale, options_.clip_norm, double(more),
                     double(options_.skip_nonfinite), double(options_.lr.size())})
      h.add(detail::bit_cast<std::uint64_t>(d));
    const std::array<std::int64_t, 2> mine{std::int64_t(h.value()), found};
    world_.all_gather(detail::host_messages{}, mine, settings_);
    for (std::size_t r = 0; 2 * r < settings_.size(); ++r) {
      if (settings_[2 * r] != settings_[0])
        FRUGAL_THROW(
            comm_error(detail::text("frugal: sharded: the ranks disagree about the rate or the options of a "
                                    "step: rank ",
                                    index_t(r), " has others than rank 0")));
      found = found || settings_[2 * r + 1] != 0;
    }
    return found;
  }
  /// Of the mean gradient: the sums of the tiles, each made by its owner, then those of all ranks, as everywhere.
  template <class Of>
  double sum_of_squares(Of const& of) {
    bool same = true;
    for (tensor const& t : layout().tensors()) {
      grad const*& known = gs_[std::size_t(&t - layout().tensors().data())];
      same = same && known == of(t);
      known = of(t);
    }
    if (!same) to_backend(backend(), gs_there_.view(), gs_);
    const view<double, space> all(sums_.data(), all_tiles_), mine(all.data() + first_tile_, own_.list().tiles);
    using squares = detail::squares<compute, detail::everywhere, grad>;
    if (mine.size() > 0)
      backend().for_teams(detail::tile_sums<segment_list, squares>{own_.list(), {{}, gs_there_.data()}, mine.data()});
    world_.all_gather(backend(), mine, all, tiles_);
    double sum = 0;
    using numbers = detail::elements<double, double, false>;
    backend().copy_out(&sum, detail::canonical_sum(backend(), one_segment(all_tiles_), numbers{all.data()}, all.end()),
                       sizeof sum);
    return sum;
  }

  Optimizer optimizer_;
  communicator<Transport> world_;
  step_options<space> options_;
  std::vector<range> shards_;
  std::vector<index_t> tiles_;  // of each rank
  index_t first_tile_ = 0, all_tiles_ = 0;
  std::vector<run> runs_, tensors_;  // of a flat vector; of a list
  detail::parts_of_state parts_;
  detail::work_table<backend_type> own_;
  std::vector<grad const*> gs_;
  buffer<grad const*, backend_type> gs_there_;
  buffer<double, backend_type> sums_;
  buffer<float, backend_type> nonfinite_;
  detail::overlap_check overlap_;
  std::vector<std::int64_t> settings_;
  std::vector<view<grad const, space>> to_read_;
  std::vector<index_t> bytes_;
  std::int64_t skipped_ = 0;
  double norm_ = 0;
};

}  // namespace v0
}  // namespace frugal
