// SPDX-License-Identifier: Apache-2.0
/// @file What the stages of ZeRO share (sharded.hpp, sharded_gradients.hpp): who owns what, what ranks agree on, norms
/// of all shards together, and the state.
#pragma once
#include <array>

#include "../core/element_policies.hpp"
#include "tensor_parts.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// What a rank's optimizer is made of. One of an element rule is that of a shard.
template <class Optimizer>
struct sharded_policies {
  static_assert(
      sizeof(Optimizer) == 0,
      "frugal: states are sharded of optimizers of element rules (momentum, adamw, lamb ...), and of muon, soap, "
      "shampoo and adafactor; sam goes around, sam(sharded(...)); with all others every rank averages the gradients by "
      "all_reduce, and steps");
};
template <has_element_rule Optimizer>
struct sharded_policies<Optimizer> : decltype(policies_of(std::declval<Optimizer const&>())) {};
/// One that says that no tensor knows of the others has whole ones.
template <class Optimizer>
requires(Optimizer::moves_tensors_alone) struct sharded_policies<Optimizer> {
  using rule = void;
  using backend = std::remove_cvref_t<decltype(std::declval<Optimizer&>().backend())>;
  using storage = full;
  struct support {};
  using types = typename types_within<Optimizer>::type;
};

/// One rank's side of a step of all, but for where gradients come from.
template <class Optimizer, class Transport>
class sharded_step : private sum_gatherer {
 protected:
  using policies = sharded_policies<Optimizer>;
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
  static constexpr bool by_tensors = !has_element_rule<Optimizer>;

 public:
  using space = typename Optimizer::space;
  using parameter = param;
  using optimizer_type = Optimizer;
  using element_types = typename policies::types;

  /// Of the optimizer. The rate must be the same on all ranks, which is checked at each step; so must all others.
  auto& config() { return optimizer_.config(); }
  /// As an unsharded optimizer has them: clip_norm and skip_nonfinite are about the whole gradient; found_inf of any
  /// rank means skip. The rest must be the same on all ranks.
  step_options<space>& options() { return options_; }
  /// Not collective: all ranks call it.
  void set_group(group const& g) { optimizer_.set_group(g); }
  /// For who wraps it: what its groups multiply the rate and the decay by, in the backend's memory.
  group_factors const* factors_there() const requires(!by_tensors) { return optimizer_.factors_there(); }
  /// Waits for the backend.
  step_report report() const { return {optimizer_.report().steps, skipped_, norm_}; }
  /// What rank r owns.
  range part(int r) const requires(!by_tensors) { return plan_.shards().at(std::size_t(r)); }
  /// Who owns tensor k, counted in the layout; -1: nobody.
  int owner(std::size_t k) const requires(by_tensors) { return plan_.owners().at(k); }
  communicator<Transport>& world() { return world_; }
  /// Bytes of messages that left this rank.
  std::int64_t bytes_sent() const { return world_.bytes_sent(); }

  /// This rank's part of the state: for a job that goes on with as many ranks, each with a checkpoint of its own.
  template <class Visitor>
  void visit_state(Visitor&& visit) {
    optimizer_.visit_state(visit);
  }
  std::size_t state_bytes() const { return optimizer_.state_bytes(); }
  /// Throws what a step now would, for the sake of config() and options().
  void check_settings() {
    optimizer_.options() = options_;
    optimizer_.check_settings();
  }
  std::string algorithm() const { return optimizer_.algorithm(); }
  std::uint64_t state_layout() const { return optimizer_.state_layout(); }
  frugal::layout const& layout() const { return plan_.model(); }
  backend_type const& backend() const { return optimizer_.backend(); }

  /// Collective. The state that the unsharded optimizer would have: on every rank, in host memory.
  whole_state gather() {
    if constexpr (by_tensors)
      return whole_state(its_tensors().gather(save_state(optimizer_), pieces_of(optimizer_), world_));
    else return {plan_.whole_layout(), parts_, save_state(optimizer_), world_};
  }
  /// Collective. The opposite: takes this rank's part of a state that came from any number of ranks, or from an
  /// unsharded optimizer; the same on all ranks. One of another method, model or type is refused, and nothing changes.
  void scatter(whole_state const& whole) {
    const std::uint64_t its = optimizer_.state_layout();
    if constexpr (by_tensors) {
      whole.compare(world_);
      restore_state(optimizer_, its_tensors().part(whole.state(), pieces_of(optimizer_), its));
    } else {
      restore_state(optimizer_, whole.part(plan_.whole_layout(), parts_, its, world_));
    }
  }

 protected:
  /// Collective.
  /// @param expected  the layout that the optimizer is to have (of whole tensors it has its own), and
  /// @param where  the part of it
  sharded_step(Optimizer optimizer, frugal::layout model, communicator<Transport> world, frugal::layout const& expected,
               range where)
      : optimizer_(std::move(optimizer)),
        world_(std::move(world)),
        plan_(std::move(model), world_.rank(), world_.size()) {
    agree(world_, "sharded", plan_.facts(optimizer_.algorithm()));
    frugal::layout const& seen = by_tensors ? optimizer_.layout() : expected;
    if constexpr (by_tensors) {
      plan_.assign(plan_.owners_of(seen, world_));
      if constexpr (requires { optimizer_.config().spread; })
        require(!optimizer_.config().spread, "spread, of a sharded optimizer",
                "false: turns go by the costs of all tensors, and a rank knows its own", "true");
      in_order_ = buffer<double, backend_type>(backend(), plan_.all_tiles());
    } else {
      plan_.cut();
      plan_.check(optimizer_.state_layout(), seen, where);
    }
    own_ = work_table<backend_type>(backend(), plan_.segments_of(seen, where), 1);
    xs_.reserve(plan_.tensors().size());
    gs_.reserve(seen.tensors().size());
    known_gs_.resize(seen.tensors().size());
    gs_there_ = buffer<grad const*, backend_type>(backend(), known_gs_);
    sums_ = buffer<double, backend_type>(backend(), plan_.all_tiles() + sum_scratch(tiles_of(plan_.all_tiles())));
    nonfinite_ = buffer<float, backend_type>(backend(), 1);
    if constexpr (sums > 0) {
      const auto m = plan_.measured_in(seen, where);
      whole_tensors_ = buffer<segment, backend_type>(backend(), m.whole);
      first_tiles_ = buffer<index_t, backend_type>(backend(), m.first_tiles);
      coordinates_ = buffer<double, backend_type>(backend(), m.coordinates);
      measured_ = buffer<double, backend_type>(backend(), sums * plan_.all_tiles() + 1);
    }
    settings_.resize(2 * std::size_t(world_.size()));
    bytes_.reserve(std::size_t(world_.size()));
    if constexpr (!by_tensors)
      parts_ = parts_of_state(pieces_of(optimizer_), storage_traits::alignment,
                              type_name<typename storage_traits::cell>(), world_);
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
  /// Collective: the mean gradient of a run, of this rank's part of it, in place.
  void reduce(shard_run const& r, grad* g) {
    if (world_.size() == 1) return;  // the mean of one
    world_.reduce_scatter(backend(), view<grad, space>(g, r.size), view<grad, space>(g + r.begin, r.own), r.counts,
                          op::mean{});
  }
  /// Collective, before the optimizer's step, with the mean gradient at gradients(): settles its options. False: it is
  /// skipped, and all is done.
  bool goes_on(bool skip) {
    const exact total = exact(options_.gradient_scale) * exact(double(more_));
    exact factor = total;
    if (!skip && (options_.skip_nonfinite || options_.clip_norm < std::numeric_limits<double>::infinity())) {
      const exact norm = sqrt(exact(sum_of_squares())) * select(total < exact(0.0), exact(0.0) - total, total);
      norm_ = norm.v[0];
      skip = options_.skip_nonfinite && !(norm_ - norm_ == 0);
      const exact ratio = exact(options_.clip_norm) / (norm + exact(1e-6));
      if (!(ratio.v[0] > 1)) factor = total * ratio;
    }
    if (skip) {
      ++skipped_;
      return false;
    }
    step_options<space> now;
    now.gradient_scale = factor.v[0], now.lr = options_.lr;
    if (!(now.gradient_scale - now.gradient_scale == 0)) {  // no gradient_scale that a caller may ask for
      const float f = float(factor.v[0]);
      backend().copy_in(nonfinite_.data(), &f, sizeof f);
      now.gradient_scale = 1, now.more_scale = nonfinite_.view();
    }
    optimizer_.options() = now;
    if constexpr (!by_tensors) optimizer_.gather_sums_by(this);
    return true;
  }
  /// Collective, after it: everybody's shards of parameters(), of which there is one for each run.
  void spread(std::vector<shard_run> const& runs) {
    if constexpr (!by_tensors) optimizer_.gather_sums_by(nullptr);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      bytes_.clear();
      for (index_t c : runs[i].counts) bytes_.push_back(c * index_t(sizeof(param)));
      world_.all_gather(backend(), bytes_of(xs_[i] + runs[i].begin, runs[i].own), bytes_of(xs_[i], runs[i].size),
                        bytes_);
    }
  }
  Optimizer& optimizer() { return optimizer_; }
  shard_plan const& plan() const { return plan_; }
  /// Where they are: the parameters of each run, and the gradient of each tensor that the optimizer sees.
  std::vector<param*>& parameters() { return xs_; }
  std::vector<grad const*>& gradients() { return gs_; }

 private:
  tensor_parts its_tensors() { return {optimizer_.tensor_states(), world_}; }
  /// Collective. Shards begin at tiles, so the tiles' sums are those of the model: the rest is the unsharded
  /// optimizer's.
  whole_sums gather(double* own) override {
    const index_t mine = own_.list().tiles, all = plan_.all_tiles();
    for (int k = 0; k < sums; ++k)
      world_.all_gather(backend(), view<double, space>(own + k * mine, mine),
                        view<double, space>(measured_.data() + k * all, all), plan_.tiles());
    return {whole_tensors_.data(),
            whole_tensors_.size(),
            {first_tiles_.data(), all, measured_.data()},
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
  double sum_of_squares() {
    if (gs_ != known_gs_) {
      known_gs_ = gs_;
      to_backend(backend(), gs_there_.view(), known_gs_);
    }
    const index_t tiles = plan_.all_tiles();
    const view<double, space> all(sums_.data(), tiles), mine(all.data() + plan_.first_tile(), own_.list().tiles);
    using squares = squares<compute, everywhere, grad>;
    if (mine.size() > 0)
      backend().for_teams(tile_sums<segment_list, squares>{own_.list(), {{}, gs_there_.data()}, mine.data()});
    world_.all_gather(backend(), mine, all, plan_.tiles());
    double const* of_tiles = all.data();
    if constexpr (by_tensors) {
      for (auto const& r : plan_.tile_runs())
        backend().copy(in_order_.data() + r.to, all.data() + r.from, std::size_t(r.count) * sizeof(double));
      of_tiles = in_order_.data();
    }
    double sum = 0;
    using numbers = elements<double, double, false>;
    backend().copy_out(&sum, canonical_sum(backend(), one_segment(tiles), numbers{of_tiles}, all.end()), sizeof sum);
    return sum;
  }

  Optimizer optimizer_;
  communicator<Transport> world_;
  shard_plan plan_;
  step_options<space> options_;
  parts_of_state parts_;
  work_table<backend_type> own_;
  std::vector<param*> xs_;
  std::vector<grad const*> gs_, known_gs_;
  buffer<grad const*, backend_type> gs_there_;
  buffer<double, backend_type> sums_, in_order_;
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
