// SPDX-License-Identifier: Apache-2.0
/// @file What the stages of ZeRO share (sharded.hpp, sharded_gradients.hpp): who owns what, what ranks agree on, norms
/// of all shards together, and the state.
#pragma once
#include <array>

#include "../core/element_policies.hpp"
#include "whole_state.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// One rank's side of a step of all, but for where gradients come from.
template <class Optimizer, class Transport>
class sharded_step : private sum_gatherer {
 protected:
  using policies = decltype(policies_of(std::declval<Optimizer const&>()));
  using backend_type = typename policies::backend;
  using support = typename policies::support;
  using param = typename policies::types::param;
  using grad = typename policies::types::grad;
  using compute = typename policies::types::compute;
  using storage_traits = detail::storage_traits<typename policies::storage, compute>;
  static_assert(
      std::is_floating_point_v<grad>,
      "frugal: gradients of ranks are added as float or double: use types<bf16, float> or types<half, float>");
  static constexpr int sums = sum_count<typename policies::rule>;  // that a step needs of the whole model

 public:
  using space = typename Optimizer::space;
  using parameter = param;

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
  frugal::layout const& layout() const { return model_; }
  backend_type const& backend() const { return optimizer_.backend(); }

  /// Collective. The state that the unsharded optimizer would have: on every rank, in host memory.
  whole_state gather() { return {whole_layout(), parts_, optimizer_, world_}; }
  /// Collective. The opposite: takes this rank's part of a state that came from any number of ranks, or from an
  /// unsharded optimizer; the same on all ranks. One of another method, model or type is refused, and nothing changes.
  void scatter(whole_state const& whole) { whole.scatter(whole_layout(), parts_, optimizer_, world_); }

 protected:
  /// Collective.
  /// @param seen  the layout that the optimizer is to have, and
  /// @param where  its support
  sharded_step(Optimizer optimizer, frugal::layout model, communicator<Transport> world, frugal::layout const& seen,
               support const& where)
      : optimizer_(std::move(optimizer)), model_(std::move(model)), world_(std::move(world)) {
    frugal::layout const& l = model_;
    const int ranks = world_.size(), me = world_.rank();
    fnv1a groups;
    for (group const& g : l.groups())
      groups.add(g.name)
          .add(bit_cast<std::uint64_t>(g.lr))
          .add(bit_cast<std::uint64_t>(g.weight_decay))
          .add(std::uint64_t(g.full_states));
    const range all{0, l.size()};
    agree(world_, "sharded",
          {{"the method", std::int64_t(fnv1a().add(optimizer_.algorithm()).value())},
           {"the number of elements", l.size(), true},
           {"the layout or its frozen groups", std::int64_t(layout_of(l, all))},
           {"the factors of groups, or which have full states", std::int64_t(groups.value())}});
    const range own = shard(l, world_);
    require(optimizer_.state_layout() == layout_of(seen, where), "the optimizer of a shard",
            text("one of the shard [", own.begin, ", ", own.end, ")"), "another");
    for (int r = 0; r < ranks; ++r) {
      shards_.push_back(shard(l, r, ranks));
      index_t tiles = 0;
      for (segment const& s : segments_of(l, shards_.back())) tiles += tiles_of(s.size);
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
    own_ = work_table<backend_type>(backend(), segments_of(seen, where), 1);
    gs_.resize(seen.tensors().size());
    gs_there_ = buffer<grad const*, backend_type>(backend(), gs_);
    sums_ = buffer<double, backend_type>(backend(), all_tiles_ + sum_scratch(tiles_of(all_tiles_)));
    nonfinite_ = buffer<float, backend_type>(backend(), 1);
    if constexpr (sums > 0) place_sums(seen, where);
    settings_.resize(2 * std::size_t(ranks));
    bytes_.reserve(std::size_t(ranks));
    parts_ = parts_of_state(optimizer_, storage_traits::alignment, type_name<typename storage_traits::cell>(), world_);
  }

  /// Elements that lie together in the caller's memory, and how many of them each rank owns.
  struct run {
    index_t flat, size;
    std::size_t tensor;
    std::vector<index_t> counts;
    index_t begin, own;  // of this rank's
  };
  template <class Support>
  static std::vector<segment> segments_of(frugal::layout const& l, Support const& where) {
    std::vector<segment> s;
    support_traits<Support>::segments(where, l, s);
    std::erase_if(s, [&](segment const& x) { return l.groups()[std::size_t(x.group)].frozen || x.size == 0; });
    return s;
  }
  /// As an optimizer of that support has it.
  template <class Support>
  static std::uint64_t layout_of(frugal::layout const& l, Support const& where) {
    fnv1a hash;
    hash.add(l.hash());
    for (segment const& s : segments_of(l, where)) hash.add(std::uint64_t(s.flat)).add(std::uint64_t(s.size));
    return hash.value();
  }
  std::uint64_t whole_layout() const { return layout_of(model_, range{0, model_.size()}); }
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
  /// Checks what a step would, and reads factors from the backend's memory. Collective: whether any rank says to skip.
  bool begins() {
    more_ = 1;
    float found = 0;
    if (options_.more_scale.size() > 0) backend().copy_out(&more_, options_.more_scale.data(), sizeof more_);
    if (options_.found_inf.size() > 0) backend().copy_out(&found, options_.found_inf.data(), sizeof found);
    return agree_on_settings(found != 0);
  }
  void check_settings() {
    optimizer_.options() = options_;
    optimizer_.check_settings();
  }
  /// Collective: the mean gradient of a run, of this rank's part of it, in place.
  void reduce(run const& r, grad* g) {
    if (world_.size() == 1) return;  // the mean of one
    world_.reduce_scatter(backend(), view<grad, space>(g, r.size), view<grad, space>(g + r.begin, r.own), r.counts,
                          op::mean{});
  }
  /// Collective. of(tensor): the mean gradient of what the optimizer sees; local(): its step; x(run): where a run is.
  template <class Of, class Local, class X>
  void finish(bool skip, std::vector<run> const& runs, Of const& of, Local const& local, X const& x) {
    const exact total = exact(options_.gradient_scale) * exact(double(more_));
    exact factor = total;
    if (!skip && (options_.skip_nonfinite || options_.clip_norm < std::numeric_limits<double>::infinity())) {
      const exact norm = sqrt(exact(sum_of_squares(of))) * select(total < exact(0.0), exact(0.0) - total, total);
      norm_ = norm.v[0];
      skip = options_.skip_nonfinite && !(norm_ - norm_ == 0);
      const exact ratio = exact(options_.clip_norm) / (norm + exact(1e-6));
      if (!(ratio.v[0] > 1)) factor = total * ratio;
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
    optimizer_.gather_sums_by(this);
    local();
    optimizer_.gather_sums_by(nullptr);
    for (run const& r : runs) {
      bytes_.clear();
      for (index_t c : r.counts) bytes_.push_back(c * index_t(sizeof(param)));
      world_.all_gather(backend(), bytes_of(x(r) + r.begin, r.own), bytes_of(x(r), r.size), bytes_);
    }
  }
  Optimizer& optimizer() { return optimizer_; }
  range own() const { return shards_[std::size_t(world_.rank())]; }
  std::vector<run> const& runs() const { return runs_; }
  std::vector<run> const& tensors() const { return tensors_; }

 private:
  /// What a rule that measures concludes over: the tensors that this rank has elements of, as they are in the model.
  void place_sums(frugal::layout const& seen, support const& where) {
    std::vector<segment> whole;
    std::vector<index_t> first(seen.tensors().size());
    std::vector<double> coordinates;
    double all = 0;
    index_t tile = 0;
    const auto own = segments_of(seen, where);
    for (tensor const& t : model_.tensors()) {
      if (t.size == 0 || model_.groups()[std::size_t(t.group)].frozen) continue;
      const auto it = std::find_if(own.begin(), own.end(), [&](segment const& s) {
        return seen.tensors()[std::size_t(s.tensor)].name == t.name;
      });
      if (it != own.end()) {
        whole.push_back({.size = t.size, .first_tile = tile, .tensor = it->tensor, .group = it->group});
        first[std::size_t(it->tensor)] = tile;
        coordinates.push_back(double(t.size));
      }
      all += double(t.size);
      tile += tiles_of(t.size);
    }
    coordinates.push_back(all);
    whole_tensors_ = buffer<segment, backend_type>(backend(), whole);
    first_tiles_ = buffer<index_t, backend_type>(backend(), first);
    coordinates_ = buffer<double, backend_type>(backend(), coordinates);
    measured_ = buffer<double, backend_type>(backend(), sums * all_tiles_ + 1);
  }
  /// Collective. Shards begin at tiles, so the tiles' sums are those of the model: the rest is the unsharded
  /// optimizer's.
  whole_sums gather(double* own) override {
    const index_t mine = own_.list().tiles;
    for (int k = 0; k < sums; ++k)
      world_.all_gather(backend(), view<double, space>(own + k * mine, mine),
                        view<double, space>(measured_.data() + k * all_tiles_, all_tiles_), tiles_);
    return {whole_tensors_.data(),
            whole_tensors_.size(),
            {first_tiles_.data(), all_tiles_, measured_.data()},
            coordinates_.data()};
  }
  static view<std::uint8_t, space> bytes_of(param* p, index_t n) {
    return {reinterpret_cast<std::uint8_t*>(p), n * index_t(sizeof(param))};
  }
  /// Collective: whether any rank found an infinity.
  bool agree_on_settings(bool found) {
    fnv1a h;
    for (double d : {double(optimizer_.config().lr), options_.gradient_scale, options_.clip_norm, double(more_),
                     double(options_.skip_nonfinite), double(options_.lr.size())})
      h.add(bit_cast<std::uint64_t>(d));
    const std::array<std::int64_t, 2> mine{std::int64_t(h.value()), found};
    world_.all_gather(host_messages{}, mine, settings_);
    for (std::size_t r = 0; 2 * r < settings_.size(); ++r) {
      if (settings_[2 * r] != settings_[0])
        FRUGAL_THROW(
            comm_error(text("frugal: sharded: the ranks disagree about the rate or the options of a "
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
    for (tensor const& t : optimizer_.layout().tensors()) {
      grad const*& known = gs_[std::size_t(&t - optimizer_.layout().tensors().data())];
      same = same && known == of(t);
      known = of(t);
    }
    if (!same) to_backend(backend(), gs_there_.view(), gs_);
    const view<double, space> all(sums_.data(), all_tiles_), mine(all.data() + first_tile_, own_.list().tiles);
    using squares = squares<compute, everywhere, grad>;
    if (mine.size() > 0)
      backend().for_teams(tile_sums<segment_list, squares>{own_.list(), {{}, gs_there_.data()}, mine.data()});
    world_.all_gather(backend(), mine, all, tiles_);
    double sum = 0;
    using numbers = elements<double, double, false>;
    backend().copy_out(&sum, canonical_sum(backend(), one_segment(all_tiles_), numbers{all.data()}, all.end()),
                       sizeof sum);
    return sum;
  }

  Optimizer optimizer_;
  frugal::layout model_;
  communicator<Transport> world_;
  step_options<space> options_;
  std::vector<range> shards_;
  std::vector<index_t> tiles_;  // of each rank
  index_t first_tile_ = 0, all_tiles_ = 0;
  std::vector<run> runs_, tensors_;  // of a flat vector; of a list
  parts_of_state parts_;
  work_table<backend_type> own_;
  std::vector<grad const*> gs_;
  buffer<grad const*, backend_type> gs_there_;
  buffer<double, backend_type> sums_;
  // Of a rule that measures.
  buffer<segment, backend_type> whole_tensors_;
  buffer<index_t, backend_type> first_tiles_;
  buffer<double, backend_type> coordinates_, measured_;
  buffer<float, backend_type> nonfinite_;
  std::vector<std::int64_t> settings_;
  std::vector<index_t> bytes_;
  std::int64_t skipped_ = 0;
  double norm_ = 0;
  float more_ = 1;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
