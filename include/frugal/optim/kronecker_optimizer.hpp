// SPDX-License-Identifier: Apache-2.0
/// @file The optimizer around a method that has two matrices for each axis of a tensor: statistics, and what is made of
/// them now and then (SOAP: a basis; Shampoo: a root). Tensors without matrices are moved by the method's element rule.
#pragma once
#include <limits>
#include <memory>

#include "../core/located_model.hpp"
#include "kronecker.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Factorization objects, one for each size; an object serves all matrices of its size.
template <class Object>
class by_size {
 public:
  template <class Make>
  void add(index_t n, Make const& make) {
    for (auto const& o : all_)
      if (o.first == n) return;
    all_.emplace_back(n, make(n));
  }
  Object& of(index_t n) {
    std::size_t i = 0;
    while (all_[i].first != n) ++i;
    return all_[i].second;
  }

 private:
  std::vector<std::pair<index_t, Object>> all_;
};

/// @tparam Method a class derived from this one: `shape(piece, tensor)` says how a tensor is cut and which axes have
/// matrices, `begin(piece, g)` and `move(piece, g)` what is done with one that has some, at its first gradient and then
template <class Method, template <class> class RuleOf, team_backend Backend, class Types, class Rounding,
          class Provider, class Storage>
class kronecker_optimizer {
 protected:
  using T = typename Types::compute;
  using storage_traits = detail::storage_traits<Storage, T>;
  using cell = typename storage_traits::cell;
  static_assert(block_of<Storage> == 0, "frugal: moments of soap and shampoo are stored as full or bf16_state");
  using param = typename Types::param;
  using grad = typename Types::grad;
  using rule = RuleOf<T>;
  using state_of_step = control<rule>;
  using rounding_policy = rounding_traits<Rounding>;
  static constexpr index_t slot_alignment = 64 / sizeof(cell);
  static constexpr bool copied = std::is_same_v<Rounding, float_master>;
  static constexpr bool random = std::is_same_v<Rounding, stochastic>;
  static_assert(rounding_policy::any_parameter || is_narrow<param>,
                "frugal: stochastic and float_master are for bf16 and half parameters: add "
                "frugal::types<frugal::bf16>{}, or leave the rounding out");

 public:
  using config_type = typename rule::config;
  using space = typename Backend::space;
  static constexpr bool moves_tensors_alone = true;  ///< no tensor knows of the others: they may be on several ranks

  kronecker_optimizer(kronecker_optimizer&&) noexcept = default;
  kronecker_optimizer& operator=(kronecker_optimizer&&) noexcept = default;

  /// One update; arguments as an element optimizer's: one vector each, or a tensor each. Where options() ask for the
  /// gradient's norm, or name numbers in the backend's memory, the step waits for them.
  void step(model_view<param, space> x, model_view<grad const, space> g) {
    check_settings();
    located_.locate(backend_, layout_, x, g);
    if (!prepare()) return;
    if (plain_.list().tiles > 0 && control_.step > 0) run_plain();
    for (piece& p : pieces_) {
      if (control_.step == 0) method().begin(p, gradient(p));
      else method().move(p, gradient(p));
    }
  }

  config_type& config() { return config_; }
  step_options<space>& options() { return options_; }
  void check_settings() const {
    groups_.check(config_);
    validate(options_);
  }
  /// Changes the factors of the group of that name; whether it is frozen was settled at construction.
  void set_group(group const& g) { groups_.set(layout_.groups(), g, config_); }
  step_report report() const { return {counted().step, control_.skipped, control_.norm}; }

  /// Pieces of a tensor's axis k: NAME.pK, the statistics, and NAME.qK, what is made of them; matrices in rows.
  template <class Visitor>
  void visit_state(Visitor&& visit) {
    show();
    visit("step", role::counter, view<std::int64_t, space>(&there_.data()->of.step, 1));
    visit("started", role::counter, view<std::int64_t, space>(&there_.data()->started, 1));
    visit("clock", role::clock,
          view<double, space>(reinterpret_cast<double*>(&there_.data()->of.clock),
                              sizeof(typename rule::clock) / sizeof(double)));
    visit("m", role::moment, m_.view());
    visit("v", role::moment, v_.view());
    if constexpr (copied) visit("master", role::moment, master_.view());
    for (piece const& p : pieces_)
      for (block const& b : p.blocks)
        for (matrices const& a : b.axes) {
          visit(text(b.name, ".p", a.axis), role::moment, view<T, space>(p_of(a).data(), a.size * a.size));
          visit(text(b.name, ".q", a.axis), role::moment, view<T, space>(q_of(a).data(), a.size * a.size));
        }
  }
  /// Which part of the state is whose, for `sharded`.
  detail::tensor_states tensor_states() const {
    detail::tensor_states all{slot_alignment, {layout_.hash()}, {}};
    const auto add = [&](index_t kind, std::size_t i) -> auto& {
      const std::vector<index_t> slots(copied ? 3 : 2, layout_.tensors()[i].size);
      return all.tensors.emplace_back(detail::tensor_states::one{kind, index_t(i), slots, 0, {}});
    };
    auto next = pieces_.begin();
    for (tensor const& t : layout_.tensors()) {
      const auto i = std::size_t(&t - layout_.tensors().data());
      if (t.size == 0 || layout_.groups()[std::size_t(t.group)].frozen) continue;
      if (next != pieces_.end() && std::size_t(next->where.tensor) == i) ++next;
      else add(0, i).words = {std::uint64_t(t.offset), std::uint64_t(t.size)};
    }
    for (piece const& p : pieces_) {
      auto& one = add(1, std::size_t(p.where.tensor));
      for (block const& b : p.blocks)
        for (matrices const& a : b.axes) {
          one.pieces += 2;
          one.words.insert(one.words.end(),
                           {std::uint64_t(p.where.flat), std::uint64_t(a.axis), std::uint64_t(a.size)});
        }
    }
    return all;
  }
  std::size_t state_bytes() const { return m_.bytes() + v_.bytes() + master_.bytes() + pq_.bytes(); }
  /// Bytes that do not belong to the state: copies of the largest tensor.
  std::size_t workspace_bytes() const { return g_.bytes() + w1_.bytes() + w2_.bytes() + method().bytes(); }
  std::string algorithm() const { return text(rule::name, "/", storage_traits::name, rounding_policy::name); }
  std::uint64_t state_layout() const { return state_layout_; }
  frugal::layout const& layout() const { return layout_; }
  Backend const& backend() const { return backend_; }

 protected:
  /// Two square matrices of an axis.
  struct matrices {
    index_t axis, size, at;
  };
  /// A tensor, or a box within one.
  struct block {
    std::string name;
    std::vector<index_t> shape;
    index_t size = 0;
    std::vector<matrices> axes;
    block_map map;
  };
  struct piece {
    segment where;  // slots of states
    index_t tile_of = 0;
    std::vector<block> blocks;
    index_t phase = 0;
    bool whole() const { return blocks.size() == 1; }
  };

  template <class... Policies>
  kronecker_optimizer(Backend b, frugal::layout extent, config_type const& c, Policies const&... policies)
      : backend_(std::move(b)),
        layout_(std::move(extent)),
        config_(c),
        groups_(layout_.groups()),
        rounding_(policy_or_default<Rounding>(policies...)),
        linalg_(backend_, policy_or_default<Provider>(policies...)) {
    static_assert(
        ((std::is_same_v<Policies, Types> || std::is_same_v<Policies, Rounding> || std::is_same_v<Policies, Provider> ||
          std::is_same_v<Policies, Storage>)&&...),
        "frugal: a policy is types<>, a rounding (nearest, stochastic, float_master), a storage (full, bf16_state) or "
        "who carries out dense algebra (builtin_linalg, eigen_linalg, cublas_linalg), at most one of each");
    check_settings();
  }

  /// The second half of construction: the method, which knows how tensors are cut, exists now.
  void allocate(bool every_step, bool spread) {
    std::vector<segment> plain;
    fnv1a hash;
    hash.add(layout_.hash());
    index_t largest = 0, tiles = 1, matrix_cells = 0;
    std::vector<double> cost;
    for (tensor const& t : layout_.tensors()) {
      if (t.size == 0 || layout_.groups()[std::size_t(t.group)].frozen) continue;
      piece p = whole_tensor(t);
      method().shape(p, t);
      bool any = every_step;
      for (block& b : p.blocks) any = any || !b.axes.empty();
      if (any) pieces_.push_back(std::move(p));
      else plain.push_back(p.where);
    }
    for (segment const& s : plain) hash.add(std::uint64_t(s.flat)).add(std::uint64_t(s.size));
    plain_ = work_table<Backend>(backend_, std::move(plain), slot_alignment);
    index_t slots = plain_.slots();
    std::vector<segment> table;
    for (piece& p : pieces_) {
      p.where.slot = slots = (slots + slot_alignment - 1) / slot_alignment * slot_alignment;
      slots += p.where.size;
      table.push_back(p.where);
      largest = p.where.size > largest ? p.where.size : largest;
      double work = 0;
      for (block& b : p.blocks)
        for (matrices& a : b.axes) {
          a.at = matrix_cells;
          matrix_cells += 2 * a.size * a.size;
          work += double(a.size) * double(a.size) * double(a.size);
          hash.add(std::uint64_t(p.where.flat)).add(std::uint64_t(a.axis)).add(std::uint64_t(a.size));
        }
      cost.push_back(work);
    }
    tiles = tiles_of(largest);
    state_layout_ = hash.value();
    const auto phases = refresh_phases(cost, config_.frequency, spread);
    for (std::size_t i = 0; i < pieces_.size(); ++i) pieces_[i].phase = phases[i];
    m_ = zeros<cell>(backend_, slots);
    v_ = zeros<cell>(backend_, slots);
    pq_ = zeros<T>(backend_, matrix_cells);
    if constexpr (copied) master_ = zeros<float>(backend_, slots);
    std::vector<std::uint64_t> addresses;
    for (tensor const& t : layout_.tensors()) addresses.push_back(t.address);
    addresses_ = buffer<std::uint64_t, Backend>(backend_, addresses);
    table_ = buffer<segment, Backend>(backend_, table);
    std::vector<std::int32_t> of_tile;
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      pieces_[i].tile_of = index_t(of_tile.size());
      of_tile.resize(of_tile.size() + std::size_t(tiles_of(pieces_[i].where.size)), std::int32_t(i));
    }
    of_tile_ = buffer<std::int32_t, Backend>(backend_, of_tile);
    g_ = buffer<T, Backend>(backend_, largest);
    w1_ = buffer<T, Backend>(backend_, largest);
    w2_ = buffer<T, Backend>(backend_, largest);
    scale_ = buffer<T, Backend>(backend_, 1);
    for (auto* s : {&sums_, &more_sums_}) *s = buffer<double, Backend>(backend_, sum_scratch(tiles));
    std::vector<segment> whole;
    support_traits<all>::segments({}, layout_, whole);
    std::erase_if(whole,
                  [&](segment const& s) { return s.size == 0 || layout_.groups()[std::size_t(s.group)].frozen; });
    measured_ = work_table<Backend>(backend_, std::move(whole), 1);
    norm_ = buffer<double, Backend>(backend_, sum_scratch(measured_.list().tiles));
    there_ = buffer<kept, Backend>(backend_, std::vector<kept>(1));
    rules_.assign(std::size_t(groups_.size()), rule(config_, groups_.factors()[0], typename rule::clock{}));
    rules_there_ = buffer<rule, Backend>(backend_, rules_);
    located_ = located_model<param, grad, Backend>(backend_, layout_);
  }
  piece whole_tensor(tensor const& t) const {
    const auto number = std::int32_t(&t - layout_.tensors().data());
    piece p;
    p.where = {.size = t.size, .flat = t.offset, .tensor = number, .group = t.group};
    p.blocks.resize(1);
    p.blocks[0].name = t.name;
    p.blocks[0].shape = t.shape;
    p.blocks[0].size = t.size;
    return p;
  }
  mat_view<T, space> p_of(matrices const& a) const { return {pq_.data() + a.at, a.size, a.size}; }
  mat_view<T, space> q_of(matrices const& a) const { return {pq_.data() + a.at + a.size * a.size, a.size, a.size}; }
  template <class U>
  axis_view<U, space> along(U* data, block const& b, index_t axis) const {
    return {view<U, space>(data, b.size), std::span<index_t const>(b.shape), axis};
  }
  bool due(piece const& p) const { return control_.step % config_.frequency == p.phase % config_.frequency; }

  /// `in` times the second matrix (or its transpose) of every axis; from and to the two workspaces in turn. Where the
  /// result is: in itself, if there is no axis.
  T const* through(block const& b, T const* in, bool transpose, T* one, T* other) const {
    for (matrices const& a : b.axes) {
      T* const to = in == one ? other : one;
      const mat_view<T const, space> q(q_of(a));
      linalg_.mode_product(1, operand<T, space>(q, transpose), along(in, b, a.axis), 0, along(to, b, a.axis));
      in = to;
    }
    return in;
  }
  void moments(piece const& p, T const* g, T* d) const {
    backend_.for_each(one_segment(p.where.size),
                      moments_update<rule, cell>{rules_there_.data() + p.where.group, g, m_.data() + p.where.slot,
                                                 v_.data() + p.where.slot, d});
  }
  /// A tensor's state as what is computed with: where it is, or in the place of the gradient.
  T* wide(piece const& p, cell* state) const {
    if constexpr (std::is_same_v<cell, T>) return state;
    else {
      backend_.for_each(one_segment(p.where.size), scaled_gradient<T, cell>{state, g_.data(), T(1)});
      return g_.data();
    }
  }
  void keep(piece const& p, T const* from, cell* state) const {
    if constexpr (!std::is_same_v<cell, T>)
      backend_.for_each(one_segment(p.where.size), scaled_gradient<T, T, cell>{from, state, T(1)});
    else if (from != state) backend_.copy(state, from, std::size_t(p.where.size) * sizeof(T));
  }
  /// The sum of squares of what f gives for a tensor.
  template <class F>
  double const* sum(piece const& p, F const& f, buffer<double, Backend> const& scratch) const {
    return canonical_sum(backend_, one_segment(p.where.size), f, scratch.data());
  }
  T const* scale_to(piece const& p, T const* d, double const* other) const {
    double const* own = sum(p, elements<T, T, true>{d}, sums_);
    backend_.run(direction_scale<T>{own, other, double(p.where.size), scale_.data()});
    return scale_.data();
  }
  /// x along the direction.
  void apply(piece const& p, T const* d, T const* factor) const {
    const segment_list work{table_.data(), of_tile_.data() + p.tile_of, tiles_of(p.where.size)};
    const direction_update<rule, typename rounding_policy::kernel, param> update{
        &there_.data()->of, rules_there_.data(), {}, rounding_of_slots(), located_.x(p.where.tensor), d, factor};
    if constexpr (random)
      backend_.for_teams(drawn_update<direction_update<rule, typename rounding_policy::kernel, param>>{work, update});
    else backend_.for_each(work, update);
  }

  Backend backend_;
  frugal::layout layout_;
  config_type config_;
  factors_of_groups groups_;
  Rounding rounding_;
  linalg<Backend, Provider> linalg_;
  std::vector<piece> pieces_;
  buffer<cell, Backend> m_, v_;
  buffer<T, Backend> pq_, g_, w1_, w2_, scale_;
  buffer<double, Backend> sums_, more_sums_;
  mutable state_of_step control_;
  mutable std::int64_t started_ = 0;
  buffer<rule, Backend> rules_there_;

 private:
  struct kept {
    state_of_step of;
    std::int64_t started = 0;
  };
  Method& method() { return static_cast<Method&>(*this); }
  Method const& method() const { return static_cast<Method const&>(*this); }

  // What was shown may have been changed.
  state_of_step const& counted() const {
    if (shown_) {
      kept k;
      backend_.copy_out(&k, there_.data(), sizeof k);
      control_.step = k.of.step, control_.clock = k.of.clock, started_ = k.started;
      shown_ = false;
    }
    return control_;
  }
  void show() {
    counted();
    publish();
    shown_ = true;
  }
  void publish() const {
    const kept k{control_, started_};
    backend_.copy_in(there_.data(), &k, sizeof k);
  }
  template <class N>
  N const* fetched(view<N const, space> from, N& to) const {
    if (from.size() == 0) return nullptr;
    backend_.copy_out(&to, from.data(), sizeof to);
    return &to;
  }
  // What the step does to every gradient, and the coefficients of the groups; false: it changes nothing.
  bool prepare() {
    counted();
    double squares = 0, lr = 0;
    float more_scale = 1, found_inf = 0;
    const bool measure = measure_gradient(options_);
    if (measure)
      backend_.copy_out(&squares,
                        canonical_sum(backend_, measured_.list(),
                                      detail::squares<T, everywhere, grad>{{}, located_.gs_there()}, norm_.data()),
                        sizeof squares);
    state_of_step next = control_;
    advance<rule>{config_,
                  options_.gradient_scale,
                  options_.clip_norm,
                  options_.skip_nonfinite,
                  std::int32_t(groups_.size()),
                  groups_.factors().data(),
                  measure ? &squares : nullptr,
                  fetched(options_.lr, lr),
                  fetched(options_.more_scale, more_scale),
                  fetched(options_.found_inf, found_inf),
                  &next,
                  rules_.data()}();
    if (next.skip == 0 && Method::first_gradient_starts && started_ == 0) {
      next.step = 0;
      next.clock = {};
    }
    const bool goes_on = next.skip == 0;
    control_ = next;
    control_.skip = 0;
    if (goes_on) started_ = 1;
    publish();
    if (goes_on) to_backend(backend_, rules_there_.view(), rules_);
    return goes_on;
  }
  auto rounding_of_slots() const {
    if constexpr (copied) return keep_master(master_.data());
    else if constexpr (random)
      return round_at_random{
          {random_stream{rounding_.seed}.derive(rounding_policy::tag)}, addresses_.data(), &there_.data()->of.step};
    else return round_to_nearest{};
  }
  void run_plain() {
    using update_type = element_update<rule, everywhere, typename rounding_policy::kernel, param, grad, cell>;
    update_type update{&there_.data()->of,
                       rules_there_.data(),
                       {},
                       rounding_of_slots(),
                       {located_.xs_there(), located_.gs_there()},
                       {m_.data(), v_.data()},
                       {}};
    if constexpr (random) backend_.for_teams(drawn_update<update_type>{plain_.list(), update});
    else backend_.for_each(plain_.list(), update);
  }
  // The gradient in the type that is computed in: where it is, if it is that already.
  T const* gradient(piece const& p) const {
    grad const* g = located_.g(p.where.tensor);
    if constexpr (std::is_same_v<grad, T>)
      if (control_.factor == T(1)) return g;
    backend_.for_each(one_segment(p.where.size), scaled_gradient<T, grad>{g, g_.data(), control_.factor});
    return g_.data();
  }

  step_options<space> options_;
  std::uint64_t state_layout_ = 0;
  mutable bool shown_ = false;
  std::vector<rule> rules_;
  located_model<param, grad, Backend> located_;
  work_table<Backend> plain_, measured_;
  buffer<float, Backend> master_;
  buffer<std::uint64_t, Backend> addresses_;
  buffer<segment, Backend> table_;
  buffer<std::int32_t, Backend> of_tile_;
  buffer<double, Backend> norm_;
  buffer<kept, Backend> there_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
