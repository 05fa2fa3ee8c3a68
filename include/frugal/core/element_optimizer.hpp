// SPDX-License-Identifier: Apache-2.0
/// @file The optimizer of every element rule: a rule, times a storage, a support, element types, a rounding
/// and a backend.
#pragma once
#include "begin_step.hpp"
#include "concepts.hpp"
#include "groups.hpp"
#include "located_model.hpp"
#include "measure.hpp"
#include "policy.hpp"
#include "state.hpp"
#include "state_column.hpp"
#include "step_options.hpp"
#include "work_table.hpp"

namespace frugal {
inline namespace v0 {

template <template <class> class RuleOf, team_backend Backend, class Storage, class Support, class Types,
          class Rounding = nearest>
class element_optimizer {
  using compute = typename Types::compute;
  using rule = RuleOf<compute>;
  using storage_traits = detail::storage_traits<Storage, compute>;
  using support_traits = detail::support_traits<Support>;
  using cell = typename storage_traits::cell;
  using where = typename support_traits::kernel;
  using param = typename Types::param;
  using grad = typename Types::grad;
  using control = detail::control<rule>;
  using rounding_traits = detail::rounding_traits<Rounding>;
  using rounding = typename rounding_traits::kernel;
  static_assert(
      rounding_traits::any_parameter || detail::is_narrow<param>,
      "frugal: stochastic and float_master are for bf16 and half parameters: add frugal::types<frugal::bf16>{}, "
      "or leave the rounding out");
  static constexpr int states = detail::state_count<rule>;
  static constexpr index_t line = Backend::line_bytes / sizeof(compute);
  static constexpr bool quantised = detail::block_of<Storage> > 0;
  static constexpr index_t block = quantised ? detail::block_of<Storage> : blockwise8::block;
  static constexpr bool copied = std::is_same_v<Rounding, float_master>;
  static constexpr bool random = std::is_same_v<Rounding, stochastic>;
  static constexpr int sums = detail::sum_count<rule>;
  static constexpr bool anchored = detail::anchored<rule>;

 public:
  using config_type = typename rule::config;
  using element_types = Types;
  using space = typename Backend::space;

  /// @param extent a count of elements, or a layout of tensors
  /// @param policies storage, support, types and rounding, in any order
  template <class... Policies>
  element_optimizer(Backend b, frugal::layout extent, config_type c = {}, Policies const&... policies)
      : backend_(std::move(b)),
        layout_(std::move(extent)),
        config_(c),
        groups_(layout_.groups()),
        storage_(detail::policy_or_default<Storage>(policies...)),
        rounding_(detail::policy_or_default<Rounding>(policies...)) {
    static_assert(
        ((std::is_same_v<Policies, Storage> || std::is_same_v<Policies, Support> || std::is_same_v<Policies, Types> ||
          std::is_same_v<Policies, Rounding>)&&...),
        "frugal: a policy is a storage (full, bf16_state, blockwise8), a support (all, range, mask, indices), "
        "types<> or a rounding (nearest, stochastic, float_master), at most one of each, and that of the "
        "object's type");
    place(detail::policy_or_default<Support>(policies...));
  }
  element_optimizer(element_optimizer&&) noexcept = default;
  element_optimizer& operator=(element_optimizer&&) noexcept = default;

  /// One update. `x` and `g` have the layout's size; `x` is changed in place; they do not overlap. On a GPU nothing
  /// waits.
  void step(view<param, space> x, view<grad const, space> g) {
    check(x, "vector", layout_.size());
    check(g, "vector", layout_.size());
    detail::require_alike(x, g, "vector");
    step_on([&](tensor const& t) { return view<param, space>(x.data() + t.offset, t.size); },
            [&](tensor const& t) { return view<grad const, space>(g.data() + t.offset, t.size); });
  }
  /// The same for separate tensors, in the layout's order.
  void step(tensor_list<param, space> x, tensor_list<grad const, space> g) {
    auto const& tensors = layout_.tensors();
    require(x.size() == index_t(tensors.size()), "the count of parameter tensors", tensors.size(), x.size());
    require(g.size() == index_t(tensors.size()), "the count of gradient tensors", tensors.size(), g.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      check(x[index_t(i)], tensors[i].name.c_str(), tensors[i].size);
      check(g[index_t(i)], tensors[i].name.c_str(), tensors[i].size);
      detail::require_alike(x[index_t(i)], g[index_t(i)], tensors[i].name.c_str());
    }
    step_on([&](tensor const& t) { return x[&t - tensors.data()]; },
            [&](tensor const& t) { return g[&t - tensors.data()]; });
  }

  /// What the rule's pull leads to: kept here, in the parameters' type. Where it is not called, that is where the
  /// parameters are at the first step. On a GPU nothing waits.
  void anchor(model_view<param const, space> x) requires(anchored) {
    x.for_each(layout_, "the anchor", [&](std::size_t i, param const* p) { anchors_[i] = p; });
    take_anchors();
  }

  config_type& config() { return config_; }
  step_options<space>& options() { return options_; }
  /// Throws what a step now would, for the sake of config() and options().
  void check_settings() const {
    groups_.check(config_);
    validate(options_);
  }
  /// Changes the factors of the group of that name; whether it is frozen and how its states are kept was settled at
  /// construction.
  void set_group(group const& g) {
    groups_.set(layout_.groups(), g, config_);
    to_backend(backend_, factors_there_.view(), groups_.factors());
  }
  /// For who wraps the optimizer of a part of a model: sums that a rule measures are those of the whole. Null: as they
  /// are.
  void gather_sums_by(detail::sum_gatherer* g) { gatherer_ = g; }
  /// For who wraps it: what its groups multiply the rate and the decay by, in the backend's memory.
  group_factors const* factors_there() const { return factors_there_.data(); }
  /// Waits for the backend.
  step_report report() const {
    const control c = to_host(backend_, control_.view())[0];
    return {c.step, c.skipped, c.norm};
  }

  /// The views are good until the next step: on CPUs states move with the parameters' alignment.
  template <class Visitor>
  void visit_state(Visitor&& visit) {
    using doubles = view<double, space>;
    visit("step", role::counter, view<std::int64_t, space>(&control_.data()->step, 1));
    visit("clock", role::clock,
          doubles(reinterpret_cast<double*>(&control_.data()->clock), sizeof(typename rule::clock) / sizeof(double)));
    for (int k = 0; k < states; ++k) {
      const std::string name = rule::states[k].name;
      if (!quantised || plain_.slots() > 0) visit(name, role::moment, cells_[k].view());
      if constexpr (quantised) {
        visit(name + ".codes", role::codes, codes_[k].view());
        visit(name + ".scales", role::scales, scales_[k].view());
      }
    }
    if constexpr (copied) {
      if (!quantised || plain_.slots() > 0) visit("master", role::moment, master_.view());
      if constexpr (quantised) visit("master.blocks", role::moment, block_master_.view());
    }
    if constexpr (anchored) {
      if (!quantised || plain_.slots() > 0) visit("anchor", role::moment, anchor_.view());
      if constexpr (quantised) visit("anchor.blocks", role::moment, block_anchor_.view());
      visit("anchored", role::counter, anchor_taken_.view());
      anchor_known_ = false;  // whoever has the views may change it
    }
  }
  /// Bytes of all states: what grows with the model.
  std::size_t state_bytes() const {
    std::size_t bytes = master_.bytes() + block_master_.bytes() + anchor_.bytes() + block_anchor_.bytes();
    for (int k = 0; k < states; ++k) bytes += cells_[k].bytes() + codes_[k].bytes() + scales_[k].bytes();
    return bytes;
  }
  std::string algorithm() const { return detail::text(rule::name, "/", storage_traits::name, rounding_traits::name); }
  std::uint64_t state_layout() const { return state_layout_; }
  frugal::layout const& layout() const { return layout_; }
  Backend const& backend() const { return backend_; }

 protected:
  /// For what a derived class does with state K outside of a step: runs what `make(where, state, anchor)` makes, a
  /// functor of elements whose bound reads state and anchor (null in what has none).
  template <int K, class Make>
  void for_each_with_state(Make const& make) const {
    const auto at = support_traits::bound(support_.data());
    cell const* const cells = cells_[K].data();
    backend_.for_each(plain_.list(), make(at, cells, anchor_.data()));
    if constexpr (quantised) {
      using book = dynamic_code<rule::states[K].range == values::any>;
      const auto of = make(at, static_cast<float const*>(nullptr), block_anchor_.data());
      backend_.for_teams(detail::of_decoded_state<std::remove_const_t<decltype(of)>, book, block>{
          blocks_.list(), of, codes_[K].data(), scales_[K].data()});
    }
  }
  /// The clock as it is; waits for the backend.
  typename rule::clock clock_there() const {
    control c;
    backend_.copy_out(&c, control_.data(), sizeof c);
    return c.clock;
  }
  control* control_there() const { return control_.data(); }
  index_t groups() const { return groups_.size(); }
  /// x(tensor) and g(tensor) are where they are now: usually where they were at the last step.
  template <class X, class G>
  void locate(X const& x, G const& g) {
    [[maybe_unused]] const bool moved = located_.locate(
        backend_, layout_, [&](tensor const& t) { return x(t).data(); }, [&](tensor const& t) { return g(t).data(); });
    if constexpr (line > 0)
      if (moved) follow();
  }
  /// The anchor is what is there now, for each tensor. (nvcc takes a protected function with `requires` for private.)
  void anchor_at([[maybe_unused]] std::vector<param*> const& x) {
    if constexpr (anchored) {
      std::copy(x.begin(), x.end(), anchors_.begin());
      take_anchors();
    }
  }
  /// One pass of a rule, which may be another one with the same states, over what was located.
  template <class R>
  void pass(detail::control<R> const* ctl, R const* rules) const {
    const auto update = elements_of(ctl, rules);
    if constexpr (random)
      backend_.for_teams(detail::drawn_update<decltype(elements_of(ctl, rules))>{plain_.list(), update});
    else backend_.for_each(plain_.list(), update);
    if constexpr (quantised) backend_.for_teams(blocks_of(ctl, rules));
  }

 private:
  // Tables and states. (Here, as a constructor is compiled again for each list of policies.)
  void place(Support const& chosen) {
    groups_.check(config_);
    std::vector<segment> whole, plain, blocks;
    support_traits::segments(chosen, layout_, whole);
    std::erase_if(whole,
                  [&](segment const& s) { return layout_.groups()[std::size_t(s.group)].frozen || s.size == 0; });
    fnv1a hash;
    hash.add(layout_.hash());
    for (segment const& s : whole) {
      hash.add(std::uint64_t(s.flat)).add(std::uint64_t(s.size));
      if (quantised && layout_.groups()[std::size_t(s.group)].full_states) hash.add("full");
      (stored_in_blocks(s) ? blocks : plain).push_back(s);
    }
    const auto table = support_traits::table(chosen, layout_);
    for (auto entry : table) hash.add(std::uint64_t(entry));
    state_layout_ = hash.value();
    support_ = buffer<typename support_traits::cell, Backend>(backend_, table);
    if constexpr (sums > 0) place_sums(whole, table);

    measured_ = detail::work_table<Backend>(backend_, std::move(whole), 1);
    plain_ = detail::work_table<Backend>(backend_, std::move(plain), storage_traits::alignment);
    for (auto& s : cells_) s = {backend_, plain_.slots(), line};
    if constexpr (copied) master_ = {backend_, plain_.slots(), line};
    if constexpr (random) {
      std::vector<std::uint64_t> addresses;
      for (tensor const& t : layout_.tensors()) addresses.push_back(t.address);
      addresses_ = buffer<std::uint64_t, Backend>(backend_, addresses);
    }
    if constexpr (quantised) {
      blocks_ = detail::work_table<Backend>(backend_, std::move(blocks), block);
      const index_t count = (blocks_.slots() + block - 1) / block;
      for (int k = 0; k < states; ++k) {
        codes_[k] = buffer<std::uint8_t, Backend>(backend_, count * block);
        codes_[k].fill(
            std::uint8_t(rule::states[k].range == values::any ? dynamic_code<true>::zero : dynamic_code<false>::zero));
        scales_[k] = zeros<float>(backend_, count);
      }
      if constexpr (copied) block_master_ = zeros<float>(backend_, count * block);
    }
    if constexpr (anchored) {
      anchor_ = {backend_, plain_.slots(), line};
      block_anchor_ = zeros<param>(backend_, (blocks_.slots() + block - 1) / block * block);
      anchor_taken_ = zeros<std::int64_t>(backend_, 1);
      anchors_.resize(layout_.tensors().size());
      anchors_there_ = buffer<param const*, Backend>(backend_, anchors_);
    }
    control_ = buffer<control, Backend>(backend_, std::vector<control>(1));
    factors_there_ = buffer<group_factors, Backend>(backend_, groups_.factors());
    rules_ = buffer<rule, Backend>(backend_, groups_.size());
    located_ = detail::located_model<param, grad, Backend>(backend_, layout_);
    sums_ = buffer<double, Backend>(backend_, detail::sum_scratch(measured_.list().tiles));
  }
  bool stored_in_blocks(segment const& s) const {
    if constexpr (quantised)
      return layout_.tensors()[std::size_t(s.tensor)].size >= storage_.min_size &&
             !layout_.groups()[std::size_t(s.group)].full_states;
    else return false;
  }
  template <class T>
  static void check(view<T, space> v, char const* what, index_t n) {
    const bool gradient = std::is_const_v<T>;
    if (v.size() != n) [[unlikely]]
      refuse(std::string(gradient ? "gradient of " : "parameter ") + what, detail::text(n) + " elements",
             detail::text(v.size()));
    if (!v.data() && n > 0) [[unlikely]]
      refuse(std::string(gradient ? "gradient of " : "parameter ") + what, "a pointer", "null");
  }
  template <class X, class G>
  void step_on(X const& x, G const& g) {
    check_settings();
    locate(x, g);
    run();
  }

  // States begin where the parameters do. Of several segments, the first counts: tensors usually begin alike.
  void follow() requires(line > 0) {
    if (plain_.slots() == 0) return;
    segment const& s = plain_.first();
    const index_t first = detail::place_in_line(located_.x(s.tensor) + s.inner, line);
    for (auto& c : cells_) c.begin_at(backend_, first);
    if constexpr (copied) master_.begin_at(backend_, first);
    if constexpr (anchored) anchor_.begin_at(backend_, first);
  }

  // Tables of a rule that measures: where each tensor's tiles begin, and how many coordinates are owned.
  template <class Table>
  void place_sums(std::vector<segment> const& whole, [[maybe_unused]] Table const& table) {
    std::vector<index_t> first(layout_.tensors().size());
    std::vector<double> coordinates;
    index_t tiles = 0;
    double all = 0;
    for (segment const& s : whole) {
      index_t n = s.size;
      if constexpr (std::is_same_v<Support, mask>)
        n = index_t(std::count_if(table.begin() + s.flat, table.begin() + s.flat + s.size, [](auto on) { return on; }));
      coordinates.push_back(double(n));
      all += double(n);
      first[std::size_t(s.tensor)] = tiles;
      tiles += tiles_of(s.size);
    }
    coordinates.push_back(all);
    first_tile_ = buffer<index_t, Backend>(backend_, first);
    coordinates_ = buffer<double, Backend>(backend_, coordinates);
    tile_sums_ = buffer<double, Backend>(backend_, sums * tiles + 1);
    if constexpr (detail::of_tensors<rule>) tensor_rules_ = buffer<rule, Backend>(backend_, index_t(first.size()));
  }
  void take_anchors() requires(anchored) {
    to_backend(backend_, anchors_there_.view(), anchors_);
    anchor_taken_.fill(0);
    keep_anchor(anchors_there_.data());
  }
  void keep_anchor(param const* const* from) requires(anchored) {
    const where bound = support_traits::bound(support_.data());
    backend_.for_each(plain_.list(),
                      detail::take_anchor<rule, where, param>{bound, from, anchor_.data(), anchor_taken_.data()});
    backend_.for_each(blocks_.list(),
                      detail::take_anchor<rule, where, param>{bound, from, block_anchor_.data(), anchor_taken_.data()});
    backend_.run(detail::set_to_one{anchor_taken_.data()});
  }
  detail::anchor_column<param, anchored> column_of([[maybe_unused]] param const* p) const {
    if constexpr (anchored) return {p};
    else return {};
  }

  rounding rounding_of_slots([[maybe_unused]] float* master) const {
    if constexpr (copied) return rounding(master);
    else if constexpr (random)
      return {{random_stream{rounding_.seed}.derive(rounding_traits::tag)}, addresses_.data(), &control_.data()->step};
    else return {};
  }

  template <class R>
  auto elements_of(detail::control<R> const* ctl, R const* rules) const {
    detail::element_update<R, where, rounding, param, grad, cell> update{ctl,
                                                                         rules,
                                                                         support_traits::bound(support_.data()),
                                                                         rounding_of_slots(master_.data()),
                                                                         {located_.xs_there(), located_.gs_there()},
                                                                         {},
                                                                         column_of(anchor_.data())};
    for (int k = 0; k < states; ++k) update.s[k] = cells_[k].data();
    return update;
  }
  template <class R>
  auto blocks_of(detail::control<R> const* ctl, R const* rules) const {
    detail::block_update<R, where, rounding, param, grad, block> update{blocks_.list(),
                                                                        ctl,
                                                                        rules,
                                                                        support_traits::bound(support_.data()),
                                                                        rounding_of_slots(block_master_.data()),
                                                                        {located_.xs_there(), located_.gs_there()},
                                                                        {},
                                                                        column_of(block_anchor_.data())};
    for (int k = 0; k < states; ++k) update.s[k] = {codes_[k].data(), scales_[k].data()};
    return update;
  }

  void run() {
    detail::begin_step(backend_, options_, config_, factors_there_, measured_.list(), located_.gs_there(), sums_.data(),
                       control_.data(), rules_.data(), support_traits::bound(support_.data()));
    rule const* rules = rules_.data();
    if constexpr (detail::of_tensors<rule>) rules = tensor_rules_.data();
    if constexpr (anchored) {
      if (!anchor_known_) keep_anchor(const_cast<param const* const*>(located_.xs_there()));
      anchor_known_ = true;
    }
    if constexpr (sums > 0) {
      const detail::sums_of_tiles to{first_tile_.data(), measured_.list().tiles, tile_sums_.data()};
      const auto measure = elements_of<rule>(control_.data(), rules_.data());
      backend_.for_teams(
          detail::measure_elements<std::remove_const_t<decltype(measure)>, rule>{plain_.list(), measure, to});
      if constexpr (quantised) {
        const auto measure8 = blocks_of<rule>(control_.data(), rules_.data());
        backend_.for_teams(
            detail::measure_blocks<std::remove_const_t<decltype(measure8)>, rule>{blocks_.list(), measure8, to});
      }
      detail::whole_sums over{measured_.list().table, measured_.segments(), to, coordinates_.data()};
      if (gatherer_) over = gatherer_->gather(tile_sums_.data());
      backend_.for_teams(detail::conclude<rule>{over, control_.data(), rules_.data(), std::int32_t(groups_.size()),
                                                tensor_rules_.data()});
    }
    pass<rule>(control_.data(), rules);
  }

  Backend backend_;
  frugal::layout layout_;
  config_type config_;
  detail::factors_of_groups groups_;
  Storage storage_;
  Rounding rounding_;
  step_options<space> options_;
  std::uint64_t state_layout_ = 0;
  detail::located_model<param, grad, Backend> located_;
  detail::work_table<Backend> measured_, plain_, blocks_;
  buffer<typename support_traits::cell, Backend> support_;
  detail::state_column<cell, Backend> cells_[states];
  buffer<std::uint8_t, Backend> codes_[states];
  buffer<float, Backend> scales_[states];
  detail::state_column<float, Backend> master_;
  buffer<float, Backend> block_master_;
  buffer<std::uint64_t, Backend> addresses_;
  buffer<control, Backend> control_;
  buffer<group_factors, Backend> factors_there_;
  buffer<rule, Backend> rules_;
  buffer<double, Backend> sums_;
  // Of a rule that measures.
  buffer<index_t, Backend> first_tile_;
  buffer<double, Backend> coordinates_, tile_sums_;
  buffer<rule, Backend> tensor_rules_;
  detail::sum_gatherer* gatherer_ = nullptr;
  // Of a rule with an anchor.
  bool anchor_known_ = false;
  detail::state_column<param, Backend> anchor_;
  buffer<param, Backend> block_anchor_;
  buffer<std::int64_t, Backend> anchor_taken_;
  std::vector<param const*> anchors_;
  buffer<param const*, Backend> anchors_there_;
};

}  // namespace v0
}  // namespace frugal
