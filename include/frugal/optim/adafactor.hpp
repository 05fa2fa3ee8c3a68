// SPDX-License-Identifier: Apache-2.0
/// @file Adafactor: Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", ICML 2018, in
/// the form of Dahl et al., "Benchmarking Neural Network Training Algorithms", 2023: with momentum, an outside rate,
/// and a decay that is corrected for its start. A matrix has its mean squares as a row and a column; a vector is a
/// matrix of one row, which is exact.
///
///     b = decay (1 - decay^(t-1)) / (1 - decay^t)
///     r = b r + (1 - b) mean over columns of g^2 + epsilon        one for each row
///     c = b c + (1 - b) mean over rows of g^2 + epsilon           one for each column
///     u = g / sqrt(r c / mean(r))
///     m = beta1 m + (1 - beta1) lr u / max(1, rms(u) / clip)      rms over the tensor
///     x = (1 - lr weight_decay) x - m
///
/// The paper's relative steps have s = min(lr, 1 / sqrt(t)) in place of lr, and s max(min_rms, rms(x)) beside u.
#pragma once
#include "../core/element_optimizer.hpp"
#include "../core/factored.hpp"

namespace frugal {
inline namespace v0 {

struct adafactor_config {
  double lr = 1e-3;         ///< learning rate, >= 0; of relative steps, of which the paper has it at 1e-2, the most
  double beta1 = 0.9;       ///< of the mean of updates, [0, 1); 0 at construction: no momentum, and no memory for it
  double decay = 0.99;      ///< of the mean squares, (0, 1)
  double clip = 1;          ///< the root mean square of an update is at most this, times lr; > 0
  double epsilon = 1e-30;   ///< added to squared gradients, [1e-37, 1e30]: a float above 0
  double weight_decay = 0;  ///< decoupled; >= 0, and lr weight_decay <= 1
  double beta2 = -1;        ///< [0, 1): in place of b, at this step; negative: b
  bool relative_step = false;
  double min_rms = 1e-3;  ///< of relative steps: parameters of a smaller root mean square move as if it were this; >= 0
};
inline void validate(adafactor_config const& c) {
  require_range("lr", c.lr, 0, 1e30, true);
  require_range("beta1", c.beta1, 0, 1);
  require_range("decay", c.decay, 0, 1);
  require(c.decay > 0, "decay", "> 0", c.decay);
  require_range("clip", c.clip, 0, 1e300, true);
  require(c.clip > 0, "clip", "> 0", c.clip);
  require_range("epsilon", c.epsilon, 1e-37, 1e30, true);  // what has no gradients is divided by its root
  require_range("weight_decay", c.weight_decay, 0, 1e30, true);
  require_range("lr * weight_decay", c.lr * c.weight_decay, 0, 1, true);
  if (!(c.beta2 < 0)) require_range("beta2", c.beta2, 0, 1);
  require_range("min_rms", c.min_rms, 0, 1e30, true);
}

/// What the kernels take from a configuration and a group; not a rule of elements.
template <class T>
struct adafactor_rule {
  using scalar = T;
  using config = adafactor_config;
  struct clock {
    double power = 1, mean = 0;  // decay^t; b
    FRUGAL_FN void advance(config const& c) {
      const exact one(1.0), before(power), now = before * exact(c.decay);
      mean = c.beta2 < 0 ? (exact(c.decay) * (one - before) / (one - now)).v[0] : c.beta2;
      power = now.v[0];
    }
  };
  T beta1, rest1, beta2, rest2, epsilon;
  double lr, of_group, decay, clip, min_rms;
  bool relative;

  FRUGAL_FN adafactor_rule(config const& c, group_factors const& g, clock const& k)
      : beta1(T(c.beta1)),
        rest1(T(1 - c.beta1)),
        beta2(T(k.mean)),
        rest2(T((exact(1.0) - exact(k.mean)).v[0])),
        epsilon(T(c.epsilon)),
        lr(c.lr),
        of_group(g.lr),
        decay((exact(c.weight_decay) * exact(g.weight_decay)).v[0]),
        clip(c.clip),
        min_rms(c.min_rms),
        relative(c.relative_step) {}
  /// From the sums of u^2 and, where steps are relative, of x^2 over a tensor.
  FRUGAL_FN detail::factored::of_tensor<T> conclude(double of_u, double of_x, double size, std::int64_t t) const {
    const exact one(1.0), n(size);
    exact rate(lr);
    if (relative) rate = smaller(one / sqrt(exact(double(t))), rate);
    rate = rate * exact(of_group);
    const T shrink = T((one - rate * exact(decay)).v[0]);
    if (relative) rate = rate * larger(exact(min_rms), sqrt(exact(of_x) / n));
    const exact ratio = sqrt(exact(of_u) / n) / exact(clip);
    return {T((ratio.v[0] <= 1 ? rate : rate / ratio).v[0]), shrink};  // a NaN goes on into the step
  }
};

/// Policies: types<> and a rounding, in any order.
template <team_backend Backend, class Types = types<>, class Rounding = nearest>
class adafactor {
  using T = typename Types::compute;
  using P = typename Types::param;
  using G = typename Types::grad;
  using rule = adafactor_rule<T>;
  using control = detail::control<rule>;
  using rounding = typename detail::rounding_traits<Rounding>::kernel;
  static constexpr bool copied = std::is_same_v<Rounding, float_master>, random = std::is_same_v<Rounding, stochastic>;
  static_assert(
      detail::rounding_traits<Rounding>::any_parameter || detail::is_narrow<P>,
      "frugal: stochastic and float_master are for bf16 and half parameters: add frugal::types<frugal::bf16>{}, "
      "or leave the rounding out");
  static constexpr index_t line = Backend::line_bytes / sizeof(T);

 public:
  using config_type = adafactor_config;
  using space = typename Backend::space;
  static constexpr bool moves_tensors_alone = true;  ///< no tensor knows of the others: they may be on several ranks

  /// @param extent a count of elements, or a layout: the last two axes of a tensor's shape are its matrices, those of
  ///   one axis or none are vectors; axes of one element count
  template <class... Policies>
  explicit adafactor(Backend b, frugal::layout extent, adafactor_config c = {}, Policies const&... policies)
      : backend_(std::move(b)),
        layout_(std::move(extent)),
        config_(c),
        groups_(layout_.groups()),
        rounding_(detail::policy_or_default<Rounding>(policies...)),
        momentum_(c.beta1 > 0) {
    static_assert(((std::is_same_v<Policies, Types> || std::is_same_v<Policies, Rounding>)&&...),
                  "frugal: a policy of adafactor is types<> or a rounding (nearest, stochastic, float_master), at most "
                  "one of each, and that of the object's type");
    place();
  }
  adafactor(adafactor&&) noexcept = default;
  adafactor& operator=(adafactor&&) noexcept = default;

  /// One update. `x` and `g` have the layout's sizes, as one vector or a tensor each; `x` is changed in place; they do
  /// not overlap. On a GPU nothing waits.
  void step(model_view<P, space> x, model_view<G const, space> g) {
    check_settings();
    [[maybe_unused]] const bool moved = located_.locate(backend_, layout_, x, g);
    if constexpr (line > 0)
      if (moved) follow();
    run();
  }

  config_type& config() { return config_; }
  step_options<space>& options() { return options_; }
  /// Throws what a step now would, for the sake of config() and options().
  void check_settings() const {
    groups_.check(config_);
    validate(options_);
    require((config_.beta1 > 0) == momentum_, "beta1", "0, or > 0, as at construction", config_.beta1);
  }
  /// Changes the factors of the group of that name; whether it is frozen was settled at construction.
  void set_group(group const& g) {
    groups_.set(layout_.groups(), g, config_);
    to_backend(backend_, factors_there_.view(), groups_.factors());
  }
  /// Waits for the backend.
  step_report report() const {
    const control c = to_host(backend_, control_.view())[0];
    return {c.step, c.skipped, c.norm};
  }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("step", role::counter, view<std::int64_t, space>(&control_.data()->step, 1));
    visit("clock", role::clock, view<double, space>(&control_.data()->clock.power, 1));
    if (momentum_) visit("m", role::moment, m_.view());
    visit("rows", role::moment, rows_.view());
    visit("columns", role::moment, columns_.view());
    if constexpr (copied) visit("master", role::moment, master_.view());
  }
  /// Which part of the state is whose, for `sharded`.
  detail::tensor_states tensor_states() const {
    detail::tensor_states all{1, {layout_.hash(), std::uint64_t(momentum_)}, {}};
    for (std::size_t i = 0; i < layout_.tensors().size(); ++i) {
      tensor const& t = layout_.tensors()[i];
      if (layout_.groups()[std::size_t(t.group)].frozen || t.size == 0) continue;
      auto& one = all.tensors.emplace_back(detail::tensor_states::one{0, index_t(i), {}, 0, {i}});
      if (momentum_) one.slots.push_back(t.size);
      const index_t columns = t.shape.empty() ? 1 : t.shape.back(),
                    rows = t.shape.size() < 2 ? 1 : *(t.shape.end() - 2);
      one.slots.push_back(t.size / columns);
      one.slots.push_back(t.size / rows);
      if constexpr (copied) one.slots.push_back(t.size);
    }
    return all;
  }
  std::size_t state_bytes() const { return m_.bytes() + master_.bytes() + rows_.bytes() + columns_.bytes(); }
  std::string algorithm() const { return detail::text("adafactor/full", detail::rounding_traits<Rounding>::name); }
  std::uint64_t state_layout() const { return state_layout_; }
  frugal::layout const& layout() const { return layout_; }
  Backend const& backend() const { return backend_; }

 private:
  // Tables and states. (Here, as a constructor is compiled again for each list of policies.)
  void place() {
    check_settings();
    std::vector<detail::factored::matrix> matrices;
    std::vector<detail::factored::whole_tensor> tensors;
    std::vector<std::int32_t> of_panel;
    std::vector<segment> rows, columns, whole;
    std::vector<std::uint64_t> addresses;
    index_t slots = 0, row_parts = 0, column_parts = 0, row = 0, column = 0;
    fnv1a hash;
    hash.add(layout_.hash()).add(std::uint64_t(momentum_));
    for (std::size_t i = 0; i < layout_.tensors().size(); ++i) {
      tensor const& t = layout_.tensors()[i];
      addresses.push_back(t.address);
      if (layout_.groups()[std::size_t(t.group)].frozen || t.size == 0) continue;
      hash.add(i);
      whole.push_back({.size = t.size, .flat = t.offset, .tensor = std::int32_t(i), .group = t.group});
      const std::size_t axes = t.shape.size();
      detail::factored::matrix m{};
      m.rows = axes < 2 ? 1 : t.shape[axes - 2];
      m.columns = axes < 2 ? t.size : t.shape[axes - 1];
      m.strips = (m.columns + detail::factored::panel_columns - 1) / detail::factored::panel_columns;
      m.tensor = std::int32_t(i);
      m.group = t.group;
      const index_t panels = (m.rows + detail::factored::panel_rows - 1) / detail::factored::panel_rows;
      tensors.push_back({index_t(of_panel.size()), 0, t.size, std::int32_t(i), t.group});
      for (m.inner = 0; m.inner < t.size; m.inner += m.rows * m.columns) {
        m.row = row;
        m.column = column;
        m.slot = slots;
        m.row_parts = row_parts;
        m.column_parts = column_parts;
        m.first_panel = index_t(of_panel.size());
        rows.push_back({.size = m.rows, .tensor = std::int32_t(matrices.size())});
        columns.push_back({.size = m.columns, .tensor = std::int32_t(matrices.size())});
        of_panel.resize(of_panel.size() + std::size_t(panels * m.strips), std::int32_t(matrices.size()));
        matrices.push_back(m);
        row += m.rows;
        column += m.columns;
        slots += m.rows * m.columns;
        row_parts += m.rows * m.strips;
        column_parts += m.columns * panels;
      }
      tensors.back().panels = index_t(of_panel.size()) - tensors.back().first_panel;
    }
    state_layout_ = hash.value();
    if (!tensors.empty()) first_ = tensors[0].tensor;
    matrices_ = buffer<detail::factored::matrix, Backend>(backend_, matrices);
    tensors_ = buffer<detail::factored::whole_tensor, Backend>(backend_, tensors);
    of_panel_ = buffer<std::int32_t, Backend>(backend_, of_panel);
    row_work_ = detail::work_table<Backend>(backend_, rows, 1);
    column_work_ = detail::work_table<Backend>(backend_, columns, 1);
    measured_ = detail::work_table<Backend>(backend_, std::move(whole), 1);
    if (momentum_) m_ = {backend_, slots, line};
    if constexpr (copied) master_ = {backend_, slots, line};
    rows_ = zeros<T>(backend_, row);
    columns_ = zeros<T>(backend_, column);
    if constexpr (random) addresses_ = buffer<std::uint64_t, Backend>(backend_, addresses);
    inverse_rows_ = buffer<T, Backend>(backend_, row);
    inverse_columns_ = buffer<T, Backend>(backend_, column);
    row_parts_ = buffer<T, Backend>(backend_, row_parts);
    column_parts_ = buffer<T, Backend>(backend_, column_parts);
    sums_ = buffer<double, Backend>(backend_, (std::max)({2 * index_t(of_panel.size()), row_work_.list().tiles,
                                                          detail::sum_scratch(measured_.list().tiles)}));
    const std::size_t count = layout_.tensors().size();
    of_tensors_ = buffer<detail::factored::of_tensor<T>, Backend>(backend_, index_t(count));
    control_ = buffer<control, Backend>(backend_, std::vector<control>(1));
    factors_there_ = buffer<group_factors, Backend>(backend_, groups_.factors());
    rules_ = buffer<rule, Backend>(backend_, groups_.size());
    located_ = detail::located_model<P, G, Backend>(backend_, layout_);
  }
  void run() {
    namespace f = detail::factored;
    detail::begin_step(backend_, options_, config_, factors_there_, measured_.list(), located_.gs_there(), sums_.data(),
                       control_.data(), rules_.data());
    if (of_panel_.size() == 0) return;
    using seen =
        std::conditional_t<copied, detail::keep_master, detail::round_to_nearest>;  // draws are for what is written
    const f::panels work{matrices_.data(), of_panel_.data(), of_panel_.size()};
    control const* const ctl = control_.data();
    rule const* const k = rules_.data();
    backend_.for_teams(f::sums<rule, G>{work, ctl, located_.gs_there(), k, row_parts_.data(), column_parts_.data()});
    backend_.for_each(column_work_.list(), f::average<rule, false>{matrices_.data(), ctl, k, column_parts_.data(),
                                                                   columns_.data(), inverse_columns_.data()});
    backend_.for_each(row_work_.list(), f::average<rule, true>{matrices_.data(), ctl, k, row_parts_.data(),
                                                               rows_.data(), inverse_rows_.data()});
    backend_.for_teams(detail::tile_sums<segment_list, f::of_rows<T>>{row_work_.list(), {rows_.data()}, sums_.data()});
    backend_.for_each(row_work_.list(), f::invert_rows<T>{sums_.data(), rows_.data(), inverse_rows_.data()});
    backend_.for_teams(f::measure<rule, P, G, seen>{work, ctl, located_.xs_there(), located_.gs_there(), k,
                                                    rounded_as<seen>(), inverse_rows_.data(), inverse_columns_.data(),
                                                    sums_.data()});
    backend_.for_teams(
        f::conclude<rule>{tensors_.data(), tensors_.size(), work.count, ctl, k, sums_.data(), of_tensors_.data()});
    backend_.for_teams(f::apply<rule, P, G, rounding>{work, ctl, located_.xs_there(), located_.gs_there(), k,
                                                      rounded_as<rounding>(), inverse_rows_.data(),
                                                      inverse_columns_.data(), of_tensors_.data(), m_.data()});
  }
  template <class Kernel>
  Kernel rounded_as() const {
    if constexpr (std::is_same_v<Kernel, detail::keep_master>) return Kernel(master_.data());
    else if constexpr (std::is_same_v<Kernel, detail::round_at_random>)
      return {{random_stream{rounding_.seed}.derive(detail::rounding_traits<stochastic>::tag)},
              addresses_.data(),
              &control_.data()->step};
    else return {};
  }
  // States begin where the parameters do.
  void follow() requires(line > 0) {
    if (tensors_.size() == 0) return;
    const index_t first = detail::place_in_line(located_.x(first_), line);
    if (momentum_) m_.begin_at(backend_, first);
    if constexpr (copied) master_.begin_at(backend_, first);
  }

  Backend backend_;
  frugal::layout layout_;
  adafactor_config config_;
  detail::factors_of_groups groups_;
  Rounding rounding_;
  bool momentum_;
  step_options<space> options_;
  std::int32_t first_ = 0;  // tensor that moves
  std::uint64_t state_layout_ = 0;
  detail::located_model<P, G, Backend> located_;
  detail::work_table<Backend> measured_, row_work_, column_work_;
  buffer<detail::factored::matrix, Backend> matrices_;
  buffer<detail::factored::whole_tensor, Backend> tensors_;
  buffer<std::int32_t, Backend> of_panel_;
  detail::state_column<T, Backend> m_;
  detail::state_column<float, Backend> master_;
  buffer<T, Backend> rows_, columns_, inverse_rows_, inverse_columns_, row_parts_, column_parts_;
  buffer<std::uint64_t, Backend> addresses_;
  buffer<double, Backend> sums_;
  buffer<control, Backend> control_;
  buffer<detail::factored::of_tensor<T>, Backend> of_tensors_;
  buffer<group_factors, Backend> factors_there_;
  buffer<rule, Backend> rules_;
};
template <team_backend B, class... P>
adafactor(B, layout, adafactor_config, P...) -> adafactor<B, types_of<P...>, rounding_of<P...>>;
template <class B>
adafactor(B, layout) -> adafactor<B>;

}  // namespace v0
}  // namespace frugal
