// SPDX-License-Identifier: Apache-2.0
/// @file Muon: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; weight decay and the
/// scale that matches AdamW: Liu et al., "Muon is Scalable for LLM Training", 2025. For each matrix:
///
///     m = momentum m + (1 - momentum) g
///     u = (1 - momentum) g + momentum m     (Nesterov; else u = m)
///     O = the orthogonal factor of u, roughly: from X = u / (|u| + 1e-7), some times X = a X + (b A + c A A) X with
///         A = X X^T                         (|u| of all elements; for more rows than columns, of the transpose)
///     x = (1 - lr weight_decay) x - lr s O
///
/// Tensors of more than two axes are matrices of shape[0] rows. Vectors, embeddings and heads belong to another
/// optimizer: see layout::only.
#pragma once
#include "../core/begin_step.hpp"
#include "../core/located_model.hpp"
#include "../linalg/linalg.hpp"
#include "muon_kernels.hpp"

namespace frugal {
inline namespace v0 {

/// Policies: types<>, a rounding, a storage of the momentum (full, bf16_state), and who carries out dense algebra
/// (builtin_linalg, eigen_linalg{} ...), in any order.
template <class Backend, class Types = types<>, class Rounding = nearest, class Provider = builtin_linalg,
          class Storage = full>
class muon {
  using P = typename Types::param;
  using G = typename Types::grad;
  using T = typename Types::compute;
  using rule = muon_rule<T>;
  using storage_traits = detail::storage_traits<Storage, T>;
  using cell = typename storage_traits::cell;
  using control = detail::control<rule>;
  using rounding = typename detail::rounding_traits<Rounding>::kernel;
  static constexpr index_t slot_alignment = 16;
  static constexpr bool copied = std::is_same_v<Rounding, float_master>, random = std::is_same_v<Rounding, stochastic>;
  static_assert(
      detail::rounding_traits<Rounding>::any_parameter || detail::is_narrow<P>,
      "frugal: stochastic and float_master are for bf16 and half parameters: add frugal::types<frugal::bf16>{}, "
      "or leave the rounding out");

  static_assert(detail::block_of<Storage> == 0, "frugal: the momentum of muon is stored as full or bf16_state");

 public:
  using config_type = muon_config;
  using space = typename Backend::space;
  static constexpr bool moves_tensors_alone = true;  ///< no tensor knows of the others: they may be on several ranks

  /// Throws where a tensor that is not in a frozen group is no matrix.
  template <class... Policies>
  muon(Backend b, frugal::layout extent, muon_config c = {}, Policies const&... policies)
      : la_(std::move(b), detail::policy_or_default<Provider>(policies...)),
        layout_(std::move(extent)),
        config_(c),
        groups_(layout_.groups()),
        rounding_(detail::policy_or_default<Rounding>(policies...)) {
    static_assert(
        ((std::is_same_v<Policies, Types> || std::is_same_v<Policies, Rounding> || std::is_same_v<Policies, Provider> ||
          std::is_same_v<Policies, Storage>)&&...),
        "frugal: a policy of muon is types<>, a rounding (nearest, stochastic, float_master), a storage (full, "
        "bf16_state) or a provider of dense algebra, at most one of each, and that of the object's type");
    place();
  }
  muon(muon&&) noexcept = default;
  muon& operator=(muon&&) noexcept = default;

  /// One update; `x` and `g` are vectors of the layout's size, or a view for each tensor. On a GPU nothing waits.
  void step(model_view<P, space> x, model_view<G const, space> g) {
    check_settings();
    located_.locate(backend(), layout_, x, g);
    detail::begin_step(backend(), options_, config_, factors_there_, measured_.list(), located_.gs_there(),
                       sums_.data(), control_.data(), rules_.data());
    for (segment const& s : matrices_) move(s);
  }

  muon_config& config() { return config_; }
  step_options<space>& options() { return options_; }
  /// Throws what a step now would, for the sake of config() and options().
  void check_settings() const {
    groups_.check(config_);
    validate(options_);
  }
  /// Changes the factors of the group of that name; whether it is frozen was settled at construction.
  void set_group(group const& g) {
    groups_.set(layout_.groups(), g, config_);
    to_backend(backend(), factors_there_.view(), groups_.factors());
  }
  /// Waits for the backend.
  step_report report() const {
    const control c = to_host(backend(), control_.view())[0];
    return {c.step, c.skipped, c.norm};
  }
  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("step", role::counter, view<std::int64_t, space>(&control_.data()->step, 1));
    visit("m", role::moment, m_.view());
    if constexpr (copied) visit("master", role::moment, master_.view());
  }
  /// Which part of the state is whose, for `sharded`.
  detail::tensor_states tensor_states() const {
    detail::tensor_states all{slot_alignment, {layout_.hash()}, {}};
    for (segment const& s : matrices_)
      all.tensors.push_back({0,
                             s.tensor,
                             std::vector<index_t>(copied ? 2 : 1, s.size),
                             0,
                             {std::uint64_t(s.flat), std::uint64_t(s.size)}});
    return all;
  }
  std::size_t state_bytes() const { return m_.bytes() + master_.bytes(); }
  /// Of what a step needs besides, once for all matrices: two of the largest, and two squares of the longest short
  /// side.
  std::size_t workspace_bytes() const { return x_.bytes() + y_.bytes() + a_.bytes() + b_.bytes(); }
  std::string algorithm() const {
    return detail::text(rule::name, "/", storage_traits::name, detail::rounding_traits<Rounding>::name);
  }
  std::uint64_t state_layout() const { return state_layout_; }
  frugal::layout const& layout() const { return layout_; }
  Backend const& backend() const { return la_.backend(); }

 private:
  // Tables and states.
  void place() {
    groups_.check(config_);
    fnv1a hash;
    hash.add(layout_.hash());
    index_t cells = 0, side = 0;
    std::vector<segment> matrices;
    std::vector<std::uint64_t> addresses;
    for (std::size_t i = 0; i < layout_.tensors().size(); ++i) {
      tensor const& t = layout_.tensors()[i];
      addresses.push_back(t.address);
      if (layout_.groups()[std::size_t(t.group)].frozen || t.size == 0) continue;
      if (t.shape.size() < 2)
        refuse(detail::text("tensor '", t.name, "' under muon"), "a matrix, or a frozen group (layout::only)",
               detail::text(t.shape.size(), t.shape.size() == 1 ? " axis" : " axes"));
      const index_t rows = t.shape[0], cols = t.size / rows;
      matrices.push_back({.size = t.size, .flat = t.offset, .tensor = std::int32_t(i), .group = t.group});
      hash.add(std::uint64_t(t.offset)).add(std::uint64_t(t.size));
      cells = cells < t.size ? t.size : cells;
      const index_t shorter = rows < cols ? rows : cols;
      side = side < shorter ? shorter : side;
    }
    state_layout_ = hash.value();
    for (std::size_t k = 0; k < matrices.size(); ++k)
      matrices[k].slot =
          k == 0 ? 0
                 : matrices[k - 1].slot + (matrices[k - 1].size + slot_alignment - 1) / slot_alignment * slot_alignment;
    matrices_ = matrices;
    slots_ = matrices.empty() ? 0 : matrices.back().slot + matrices.back().size;
    measured_ = detail::work_table<Backend>(backend(), std::move(matrices), 1);
    m_ = zeros<cell>(backend(), slots_);
    master_ = zeros<float>(backend(), copied ? slots_ : 0);
    for (auto* each : {&x_, &y_}) *each = zeros<T>(backend(), cells);
    for (auto* each : {&a_, &b_}) *each = zeros<T>(backend(), side * side);
    if constexpr (random) addresses_ = buffer<std::uint64_t, Backend>(backend(), addresses);
    control_ = buffer<control, Backend>(backend(), std::vector<control>(1));
    factors_there_ = buffer<group_factors, Backend>(backend(), groups_.factors());
    rules_ = buffer<rule, Backend>(backend(), groups_.size());
    located_ = detail::located_model<P, G, Backend>(backend(), layout_);
    sums_ = buffer<double, Backend>(backend(), detail::sum_scratch(measured_.list().tiles + tiles_of(cells)));
  }
  void move(segment const& s) {
    const index_t n = s.size, rows = layout_.tensors()[std::size_t(s.tensor)].shape[0], cols = n / rows;
    rule const* const r = rules_.data() + s.group;
    const one_segment all(n);
    backend().for_each(all, detail::muon_momentum<T, G, cell>{control_.data(), r, located_.g(s.tensor),
                                                              m_.data() + s.slot, x_.data()});
    double const* squares =
        detail::canonical_sum(backend(), all, detail::elements<T, T, true>{x_.data()}, sums_.data());
    backend().for_each(all, detail::muon_normalise<T>{squares, x_.data()});
    T const* const o = orthogonalise(rows, cols);
    const exact longer(double(rows < cols ? cols : rows)), ratio(double(rows) / double(cols));
    const exact scale =
        config_.scale == muon_scale::match_adamw ? exact(0.2) * sqrt(longer) : sqrt(larger(exact(1.0), ratio));
    const detail::muon_apply<T, P, rounding> apply{control_.data(), r, rounding_of_slots(), located_.x(s.tensor), o, s,
                                                   scale.v[0]};
    if constexpr (random) backend().for_teams(detail::muon_apply_drawn<decltype(apply)>{apply, n});
    else backend().for_each(all, apply);
  }
  // Of what is in x_, with y_ as the other place; returns where the result is.
  T const* orthogonalise(index_t rows, index_t cols) {
    using mat = mat_view<T, space>;
    newton_schulz const& it = config_.iteration;
    const index_t side = rows < cols ? rows : cols;
    const mat a(a_.data(), side, side), b(b_.data(), side, side);
    T *from = x_.data(), *to = y_.data();
    for (int k = 0; k < it.steps; ++k, std::swap(from, to)) {
      const mat x(from, rows, cols), y(to, rows, cols);
      if (rows <= cols) la_.syrk(1, x, 0, a);
      else la_.syrk(1, transposed(x), 0, a);
      backend().copy(b.data(), a.data(), std::size_t(side * side) * sizeof(T));
      la_.syrk(it.c, a, it.b, b);  // a is symmetric
      backend().copy(to, from, std::size_t(rows * cols) * sizeof(T));
      if (rows <= cols) la_.gemm(1, b, x, it.a, y);
      else la_.gemm(1, x, b, it.a, y);
    }
    return from;
  }
  rounding rounding_of_slots() {
    if constexpr (copied) return rounding(master_.data());
    else if constexpr (random)
      return {{random_stream{rounding_.seed}.derive(detail::rounding_traits<stochastic>::tag)},
              addresses_.data(),
              &control_.data()->step};
    else return {};
  }

  linalg<Backend, Provider> la_;
  frugal::layout layout_;
  muon_config config_;
  detail::factors_of_groups groups_;
  Rounding rounding_;
  step_options<space> options_;
  std::uint64_t state_layout_ = 0;
  index_t slots_ = 0;
  std::vector<segment> matrices_;
  detail::located_model<P, G, Backend> located_;
  detail::work_table<Backend> measured_;
  buffer<cell, Backend> m_;
  buffer<T, Backend> x_, y_, a_, b_;
  buffer<float, Backend> master_;
  buffer<std::uint64_t, Backend> addresses_;
  buffer<control, Backend> control_;
  buffer<group_factors, Backend> factors_there_;
  buffer<rule, Backend> rules_;
  buffer<double, Backend> sums_;
};
template <class B, class... P>
muon(B, layout, muon_config, P...) -> muon<B, types_of<P...>, rounding_of<P...>, provider_of<P...>, storage_of<P...>>;
template <class B>
muon(B, layout) -> muon<B>;

}  // namespace v0
}  // namespace frugal
