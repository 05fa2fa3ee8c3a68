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
#pragma once
#include "../core/element_optimizer.hpp"
#include "../core/factored.hpp"

namespace frugal {
inline namespace v0 {

struct adafactor_config {
  double lr = 1e-3;         ///< learning rate, >= 0
  double beta1 = 0.9;       ///< of the mean of updates, [0, 1); 0 at construction: no momentum, and no memory for it
  double decay = 0.99;      ///< of the mean squares, (0, 1)
  double clip = 1;          ///< the root mean square of an update is at most this, times lr; > 0
  double epsilon = 1e-30;   ///< added to squared gradients, >= 0
  double weight_decay = 0;  ///< decoupled; >= 0, and lr weight_decay <= 1
  double beta2 = -1;        ///< [0, 1): in place of b, at this step; negative: b
};
inline void validate(adafactor_config const& c) {
  require_range("lr", c.lr, 0, 1e30, true);
  require_range("beta1", c.beta1, 0, 1);
  require_range("decay", c.decay, 0, 1);
  require(c.decay > 0, "decay", "> 0", c.decay);
  require_range("clip", c.clip, 0, 1e300, true);
  require(c.clip > 0, "clip", "> 0", c.clip);
  require_range("epsilon", c.epsilon, 0, 1e30, true);
  require_range("weight_decay", c.weight_decay, 0, 1e30, true);
  require_range("lr * weight_decay", c.lr * c.weight_decay, 0, 1, true);
  if (!(c.beta2 < 0)) require_range("beta2", c.beta2, 0, 1);
}

template <team_backend Backend, class Types = types<>>
class adafactor {
  using T = typename Types::compute;
  using P = typename Types::param;
  using G = typename Types::grad;
  static constexpr index_t line = Backend::line_bytes / sizeof(T);

 public:
  using config_type = adafactor_config;
  using space = typename Backend::space;

  /// @param extent a count of elements, or a layout: the last two axes of a tensor's shape are its matrices, those of
  ///   one axis or none are vectors; axes of one element count
  explicit adafactor(Backend b, frugal::layout extent, adafactor_config c = {}, Types = {})
      : backend_(std::move(b)),
        layout_(std::move(extent)),
        config_(c),
        groups_(layout_.groups()),
        momentum_(c.beta1 > 0) {
    check_settings();
    std::vector<detail::factored::matrix> matrices;
    std::vector<detail::factored::whole_tensor> tensors;
    std::vector<std::int32_t> of_panel;
    std::vector<segment> rows, columns;
    index_t slots = 0, row_parts = 0, column_parts = 0, row = 0, column = 0;
    fnv1a hash;
    hash.add(layout_.hash()).add(std::uint64_t(momentum_));
    for (std::size_t i = 0; i < layout_.tensors().size(); ++i) {
      tensor const& t = layout_.tensors()[i];
      if (layout_.groups()[std::size_t(t.group)].frozen || t.size == 0) continue;
      hash.add(i);
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
    slots_ = momentum_ ? slots : 0;
    if (!tensors.empty()) first_ = std::size_t(tensors[0].tensor);
    matrices_ = buffer<detail::factored::matrix, Backend>(backend_, matrices);
    tensors_ = buffer<detail::factored::whole_tensor, Backend>(backend_, tensors);
    of_panel_ = buffer<std::int32_t, Backend>(backend_, of_panel);
    row_work_ = detail::work_table<Backend>(backend_, rows, 1);
    column_work_ = detail::work_table<Backend>(backend_, columns, 1);
    for (auto [to, n] : {std::pair{&m_, momentum_ ? slots + line : 0}, {&rows_, row}, {&columns_, column}})
      *to = zeros<T>(backend_, n);
    inverse_rows_ = buffer<T, Backend>(backend_, row);
    inverse_columns_ = buffer<T, Backend>(backend_, column);
    row_parts_ = buffer<T, Backend>(backend_, row_parts);
    column_parts_ = buffer<T, Backend>(backend_, column_parts);
    sums_ = buffer<double, Backend>(backend_, (std::max)(index_t(of_panel.size()), row_work_.list().tiles));
    const std::size_t count = layout_.tensors().size();
    factor_ = buffer<T, Backend>(backend_, index_t(count));
    control_ = buffer<detail::factored::control, Backend>(backend_, std::vector<detail::factored::control>(1));
    factors_there_ = buffer<group_factors, Backend>(backend_, groups_.factors());
    coefficients_ = buffer<detail::factored::coefficients<T>, Backend>(backend_, groups_.size());
    overlap_ = detail::overlap_check(2 * count);
    xs_.resize(count);
    gs_.resize(count);
    new_xs_.resize(count);
    new_gs_.resize(count);
    xs_there_ = buffer<P*, Backend>(backend_, xs_);
    gs_there_ = buffer<G const*, Backend>(backend_, gs_);
  }
  adafactor(adafactor&&) noexcept = default;
  adafactor& operator=(adafactor&&) noexcept = default;

  /// One update. `x` and `g` have the layout's sizes, as one vector or a tensor each; `x` is changed in place; they do
  /// not overlap. On a GPU nothing waits.
  void step(model_view<P, space> x, model_view<G const, space> g) {
    check_settings();
    x.for_each(layout_, "parameters", [&](std::size_t i, P* p) { new_xs_[i] = p; });
    g.for_each(layout_, "gradients", [&](std::size_t i, G const* p) { new_gs_[i] = p; });
    x.require_alike(layout_, g);
    if (new_xs_ != xs_ || new_gs_ != gs_) {
      overlap_.clear();
      for (std::size_t i = 0; i < xs_.size(); ++i) {
        overlap_.add(new_xs_[i], layout_.tensors()[i].size, true);
        overlap_.add(new_gs_[i], layout_.tensors()[i].size, false);
      }
      overlap_.refuse_overlap("parameters and gradients");
      xs_ = new_xs_;
      gs_ = new_gs_;
      if constexpr (line > 0) follow();
      to_backend(backend_, xs_there_.view(), xs_);
      to_backend(backend_, gs_there_.view(), gs_);
    }
    run();
  }

  config_type& config() { return config_; }
  /// Throws what a step now would, for the sake of config().
  void check_settings() const {
    groups_.check(config_);
    require((config_.beta1 > 0) == momentum_, "beta1", "0, or > 0, as at construction", config_.beta1);
  }
  /// Changes the factors of the group of that name; whether it is frozen was settled at construction.
  void set_group(group const& g) {
    groups_.set(layout_.groups(), g, config_);
    to_backend(backend_, factors_there_.view(), groups_.factors());
  }
  /// Updates so far; waits for the backend.
  std::int64_t steps() const { return to_host(backend_, control_.view())[0].step; }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("step", role::counter, view<std::int64_t, space>(&control_.data()->step, 1));
    visit("clock", role::clock, view<double, space>(&control_.data()->power, 1));
    if (momentum_) visit("m", role::moment, view<T, space>(m_.data() + shift_, slots_));
    visit("rows", role::moment, rows_.view());
    visit("columns", role::moment, columns_.view());
  }
  std::size_t state_bytes() const { return std::size_t(slots_) * sizeof(T) + rows_.bytes() + columns_.bytes(); }
  std::string algorithm() const { return "adafactor/full"; }
  std::uint64_t state_layout() const { return state_layout_; }
  frugal::layout const& layout() const { return layout_; }
  Backend const& backend() const { return backend_; }

 private:
  void run() {
    namespace f = detail::factored;
    if (of_panel_.size() == 0) return backend_.run(begin_step());
    const f::panels work{matrices_.data(), of_panel_.data(), of_panel_.size()};
    auto const* const k = coefficients_.data();
    backend_.run(begin_step());
    backend_.for_teams(f::sums<T, G>{work, gs_there_.data(), k, row_parts_.data(), column_parts_.data()});
    backend_.for_each(column_work_.list(), f::average<T, false>{matrices_.data(), k, column_parts_.data(),
                                                                columns_.data(), inverse_columns_.data()});
    backend_.for_each(row_work_.list(),
                      f::average<T, true>{matrices_.data(), k, row_parts_.data(), rows_.data(), inverse_rows_.data()});
    backend_.for_teams(detail::tile_sums<segment_list, f::of_rows<T>>{row_work_.list(), {rows_.data()}, sums_.data()});
    backend_.for_each(row_work_.list(), f::invert_rows<T>{sums_.data(), rows_.data(), inverse_rows_.data()});
    backend_.for_teams(
        f::measure<T, G>{work, gs_there_.data(), inverse_rows_.data(), inverse_columns_.data(), sums_.data()});
    backend_.for_teams(f::conclude<T>{tensors_.data(), tensors_.size(), k, config_.clip, sums_.data(), factor_.data()});
    backend_.for_teams(f::apply<T, P, G>{work, xs_there_.data(), gs_there_.data(), k, inverse_rows_.data(),
                                         inverse_columns_.data(), factor_.data(),
                                         momentum_ ? m_.data() + shift_ : nullptr});
  }
  // Moves the momentum to where it reaches a line's boundary when the parameters do.
  void follow() requires(line > 0) {
    if (slots_ == 0) return;
    const index_t shift = index_t(reinterpret_cast<std::uintptr_t>(xs_[first_]) / sizeof(P)) % line;
    if (shift != shift_) backend_.copy(m_.data() + shift, m_.data() + shift_, std::size_t(slots_) * sizeof(T));
    shift_ = shift;
  }
  auto begin_step() const {
    return detail::factored::begin<T, adafactor_config>{config_, factors_there_.data(), std::int32_t(groups_.size()),
                                                        control_.data(), coefficients_.data()};
  }

  Backend backend_;
  frugal::layout layout_;
  adafactor_config config_;
  detail::factors_of_groups groups_;
  bool momentum_;
  index_t slots_ = 0, shift_ = 0;  // of the momentum, and where it begins
  std::size_t first_ = 0;          // tensor that moves
  std::uint64_t state_layout_ = 0;
  detail::overlap_check overlap_;
  std::vector<P*> xs_, new_xs_;
  std::vector<G const*> gs_, new_gs_;
  detail::work_table<Backend> row_work_, column_work_;
  buffer<detail::factored::matrix, Backend> matrices_;
  buffer<detail::factored::whole_tensor, Backend> tensors_;
  buffer<std::int32_t, Backend> of_panel_;
  buffer<T, Backend> m_, rows_, columns_, inverse_rows_, inverse_columns_, row_parts_, column_parts_, factor_;
  buffer<double, Backend> sums_;
  buffer<detail::factored::control, Backend> control_;
  buffer<group_factors, Backend> factors_there_;
  buffer<detail::factored::coefficients<T>, Backend> coefficients_;
  buffer<P*, Backend> xs_there_;
  buffer<G const*, Backend> gs_there_;
};
template <class B, class... P>
adafactor(B, layout, adafactor_config, P...) -> adafactor<B, types_of<P...>>;
template <class B>
adafactor(B, layout) -> adafactor<B>;

}  // namespace v0
}  // namespace frugal
