// SPDX-License-Identifier: Apache-2.0
/// @file MeZO: Malladi, Gao, Nichani, Damian, Lee, Chen, Arora, "Fine-Tuning Language Models with Just Forward Passes",
/// NeurIPS 2023, Algorithms 1 and 2; the estimate is SPSA's: Spall, "Multivariate Stochastic Approximation Using a
/// Simultaneous Perturbation Gradient Approximation", IEEE TAC 37(3), 1992. Step t = 1, 2, ..., with n directions
/// z_i = z(seed, t, i):
///
///     p_i = (f(x + epsilon z_i) - f(x - epsilon z_i)) / (2 epsilon)      G = 1/n sum of p_i z_i
///     x = x - lr (G + weight_decay x)         with momentum: m = momentum m + G in the place of G
///
/// Only forward passes; what is stored or sent is a seed and the scalars p_i, from which anybody repeats the step.
#pragma once
#include <cmath>
#include <functional>

#include "../core/counter.hpp"
#include "../core/groups.hpp"
#include "../core/policy.hpp"
#include "../core/state.hpp"
#include "random_directions.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of the paper, for language models.
struct mezo_config {
  double lr = 1e-6;         ///< [0, 1e30]
  double epsilon = 1e-3;    ///< radius of a probe, (0, 1e30]
  double weight_decay = 0;  ///< decoupled, [0, 1e30]; lr weight_decay <= 1; a group's factor may exclude it
  double momentum = 0;      ///< [0, 1); > 0 at construction costs a vector of state. (1 - momentum) lr gives an average
  int directions = 1;       ///< of a step, >= 1
  std::uint64_t seed = 0;   ///< of the directions
};
inline void validate(mezo_config const& c) {
  require_range("lr", c.lr, 0, 1e30, true);
  require(c.epsilon > 0, "epsilon", "> 0", c.epsilon);
  require_range("epsilon", c.epsilon, 0, 1e30, true);
  require_range("weight_decay", c.weight_decay, 0, 1e30, true);
  require_range("lr * weight_decay", c.lr * c.weight_decay, 0, 1, true);
  require_range("momentum", c.momentum, 0, 1, false);
  require(c.directions >= 1, "directions", ">= 1", c.directions);
}

/// What a step does, given the model before: everything that a replica needs, but the seed.
struct mezo_update {
  std::int64_t step = 0;  ///< from 1
  double lr = 0, weight_decay = 0, momentum = 0;
  std::vector<double> scalars;  ///< p_i; none: the step changes nothing
};
/// The ranges of mezo_config; scalars are finite.
inline void validate(mezo_update const& u) {
  validate(mezo_config{.lr = u.lr, .weight_decay = u.weight_decay, .momentum = u.momentum});
  for (double p : u.scalars) require(std::isfinite(p), "a scalar of an update", "a finite number", p);
}

/// What a step saw.
struct mezo_report {
  double loss;    ///< at x + epsilon z_0, as in the released code
  double scalar;  ///< p_0
  bool skipped;   ///< a loss was not finite: x is what it was, the step is counted, its directions are gone
};

// How parameters come back after a probe.
/// By the moves of the paper: + epsilon z, - 2 epsilon z, + epsilon z. No memory; x comes back but for roundings, which
/// add up like a random walk: after 1000 steps 2e-6 of it in float, a tenth of it in bf16.
struct restored_in_place {};
/// From a copy: a vector more, and exact. The default of bf16 and half parameters; replicas need it.
struct restored_from_copy {};

namespace detail {
template <class T>
struct is_direction : std::bool_constant<direction<T>> {};
template <class T>
struct is_restoration
    : std::bool_constant<std::is_same_v<T, restored_in_place> || std::is_same_v<T, restored_from_copy>> {};
template <class... P>
using restoration_of = typename first_of<
    is_restoration,
    std::conditional_t<is_narrow<typename types_of<P...>::param>, restored_from_copy, restored_in_place>, P...>::type;

/// A loss of any type, which is called with the number of the direction.
struct any_loss {
  void* loss;
  double (*call)(void*, int);
  /// Good as long as *loss is.
  template <class F>
  static any_loss of(F*& loss) {
    static_assert(std::is_invocable_r_v<double, F&> || std::is_invocable_r_v<double, F&, int>,
                  "frugal: the loss takes nothing, or the number of the direction, and returns a number");
    return {&loss, [](void* f, [[maybe_unused]] int direction) -> double {
              F& now = **static_cast<F**>(f);
              if constexpr (std::is_invocable_v<F&, int>) return double(std::invoke(now, direction));
              else return double(std::invoke(now));
            }};
  }
};

/// mezo, but its kernels, and what only the compiler has to know.
template <team_backend Backend, class Types>
class mezo_of_any_direction {
 protected:
  using P = typename Types::param;
  using T = typename Types::compute;
  mezo_of_any_direction(Backend b, frugal::layout extent, mezo_config const& c,
                        direction_kind<Backend, Types> const& direction, range const& support, bool copies)
      : config_(c),
        groups_(extent.groups()),
        name_(direction.name),
        copies_(copies),
        directions_(b, std::move(extent), direction, support),
        steps_(b),
        has_momentum_(c.momentum > 0),
        m_(zeros<T>(b, has_momentum_ ? directions_.slots() : 0)),
        copy_(b, copies ? layout().size() : 0) {
    groups_.check(config_);
  }

 public:
  using space = typename Backend::space;
  using config_type = mezo_config;
  using parameters = model_view<P, space>;

  /// One step: 2 n calls of `loss`, which evaluates the model in x as it then is and returns f (a double, or what
  /// converts to one; it may take the number of the direction, to choose a batch for each). What it does at random must
  /// be the same at both calls for a direction.
  template <class F>
  mezo_report step(parameters x, F&& loss) {
    auto* f = std::addressof(loss);
    return step_by(x, any_loss::of(f));
  }
  /// What the last of these steps did, for a log.
  mezo_update const& last() const { return last_; }

  // ---- the same in parts, for whoever evaluates, or exchanges scalars, in their own way ----
  /// x += sign epsilon z_i, of the step to come; sign may be any small integer: +1, -2, +1 are the moves of the paper.
  void shift(parameters x, int direction, int sign) {
    check_settings();
    directions_.shift(stream(), x, x, probe_term(direction, sign));
  }
  /// p_i, by two calls of `loss`; x comes back. Not finite if a loss was not.
  template <class F>
  double probe(parameters x, int direction, F&& loss) {
    auto* f = std::addressof(loss);
    return probe_by(x, direction, any_loss::of(f));
  }
  /// What the step to come does, with these scalars of directions 0, 1, ...; if one is not finite, nothing.
  mezo_update update(std::vector<double> const& scalars) const {
    mezo_update u;
    settle(u, scalars);
    return u;
  }
  /// The step, as any replica does it: the same bits from the same x. Only the next one is accepted.
  void apply(parameters x, mezo_update const& u) {
    check(u, steps() + 1);
    x.for_each(layout(), "parameters", [](std::size_t, P*) {});  // also where nothing moves
    run(u, x, x);
  }
  /// Throws unless an update can be this object's step of that number.
  void check(mezo_update const& u, std::int64_t step) const {
    require(u.step == step && step < most_steps, "the step of an update", step, u.step);
    validate(u);
    groups_.check(mezo_config{.lr = u.lr, .weight_decay = u.weight_decay});
    require(u.momentum == 0 || has_momentum_, "the momentum of an update", 0, u.momentum);
  }
  /// G, for an optimizer of one's own; then advance(). Scalars are finite, one at least.
  void gradient(parameters g, std::vector<double> const& scalars) {
    require(!scalars.empty(), "the scalars of a gradient", "one at least", "none");
    for (double p : scalars) require(std::isfinite(p), "a scalar of a gradient", "a finite number", p);
    terms_of(scalars, next());
    directions_.write(stream(), g, terms_);
  }
  /// Counts a step that was made elsewhere.
  void advance() { steps_.set(next()); }

  mezo_config& config() { return config_; }
  mezo_config const& config() const { return config_; }
  /// Throws what a step now would, for the sake of config().
  void check_settings() const {
    groups_.check(config_);
    require(config_.momentum == 0 || has_momentum_, "momentum", "0, as at construction", config_.momentum);
  }
  /// Steps so far.
  std::int64_t steps() const { return steps_.get(); }
  /// The id of direction i of the step to come, for random_stream{config().seed}.
  std::uint64_t id(int i) const { return direction_id(std::uint32_t(next()), std::uint32_t(i)); }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("step", role::counter, steps_.show());
    if (has_momentum_) visit("m", role::moment, m_.view());
  }
  std::size_t state_bytes() const { return m_.bytes(); }
  std::string algorithm() const { return std::string("mezo/") + name_; }
  /// Of the layout, the support, the seed and the format of random numbers.
  std::uint64_t state_layout() const {
    return fnv1a().add(directions_.hash()).add(config_.seed).add(normal_format_version).value();
  }
  frugal::layout const& layout() const { return directions_.layout(); }
  Backend const& backend() const { return directions_.backend(); }

 protected:
  random_stream stream() const { return {config_.seed}; }
  random_term probe_term(int direction, int sign) const {
    require(direction >= 0, "a direction", ">= 0", direction);
    return {id(direction), (exact(double(sign)) * exact(config_.epsilon)).v[0]};
  }
  random_directions<Backend, Types>& directions() { return directions_; }

 private:
  static constexpr std::int64_t most_steps = std::int64_t(1) << 32;
  std::int64_t next() const {
    const std::int64_t t = steps() + 1;
    require(t < most_steps, "the steps of mezo", "below 2^32", t);
    return t;
  }
  void copy(parameters x, bool back) {
    if (copies_)
      x.for_each(layout(), "parameters", [&](std::size_t i, P* p) {
        tensor const& t = layout().tensors()[i];
        P* const kept = copy_.data() + t.offset;
        if (t.size > 0) backend().copy(back ? p : kept, back ? kept : p, std::size_t(t.size) * sizeof(P));
      });
  }
  parameters before(parameters x) const { return copies_ ? parameters(copy_.view()) : x; }
  mezo_report step_by(parameters x, any_loss const& loss) {
    check_settings();
    scalars_.clear();
    copy(x, false);
    double first = 0, other;
    for (int i = 0; i < config_.directions; ++i) scalars_.push_back(measure(x, i, loss, i == 0 ? first : other));
    settle(last_, scalars_);
    const bool skipped = last_.scalars.empty();
    if (skipped) copy(x, true);
    run(last_, before(x), x);
    return {first, scalars_[0], skipped};
  }
  double probe_by(parameters x, int direction, any_loss const& loss) {
    check_settings();
    double first;
    copy(x, false);
    const double p = measure(x, direction, loss, first);
    copy(x, true);
    return p;
  }
  double measure(parameters x, int i, any_loss const& loss, double& plus) {
    const parameters from = before(x);
    const auto move = [&](int sign) { directions_.shift(stream(), from, x, probe_term(i, sign)); };
    double minus;
    int at = 0;
    FRUGAL_TRY {
      move(at = 1);
      plus = loss.call(loss.loss, i);
      move(copies_ ? -1 : -2);
      at = -1;
      minus = loss.call(loss.loss, i);
    }
    FRUGAL_CATCH_ALL {  // of the loss
      if (copies_) copy(x, true);
      else move(-at);
      FRUGAL_RETHROW;
    }
    if (!copies_) shift(x, i, 1);
    return (plus - minus) / (2 * config_.epsilon);
  }
  void settle(mezo_update& u, std::vector<double> const& scalars) const {
    require(!scalars.empty(), "the scalars of a step", "one at least", "none");
    u.step = next();
    u.lr = config_.lr, u.weight_decay = config_.weight_decay, u.momentum = config_.momentum;
    u.scalars = scalars;
    for (double p : scalars)
      if (!std::isfinite(p)) return u.scalars.clear();
  }
  void terms_of(std::vector<double> const& scalars, std::int64_t t) {
    terms_.clear();
    for (double p : scalars)
      terms_.push_back({direction_id(std::uint32_t(t), std::uint32_t(terms_.size())),
                        (exact(p) / exact(double(scalars.size()))).v[0]});
  }
  void run(mezo_update const& u, parameters from, parameters to) {
    if (!u.scalars.empty()) {
      terms_of(u.scalars, u.step);
      directions_.step(stream(), from, to, terms_, u.lr, u.weight_decay, u.momentum,
                       has_momentum_ ? m_.data() : nullptr);
    }
    steps_.set(u.step);
  }

  mezo_config config_;
  factors_of_groups groups_;
  char const* name_;
  bool copies_;
  random_directions<Backend, Types> directions_;
  counter<Backend> steps_;
  bool has_momentum_;
  buffer<T, Backend> m_;
  buffer<P, Backend> copy_;
  mezo_update last_;
  std::vector<double> scalars_;
  std::vector<random_term> terms_;
};
}  // namespace detail

template <team_backend Backend, class Direction, class Support, class Types, class Restoration>
class mezo : public detail::mezo_of_any_direction<Backend, Types> {
  using base = detail::mezo_of_any_direction<Backend, Types>;
  static constexpr bool copies = std::is_same_v<Restoration, restored_from_copy>;
  static_assert(std::is_same_v<Support, all> || std::is_same_v<Support, range>,
                "frugal: directions are for all coordinates, or for a range of them");

 public:
  using direction_type = Direction;
  using typename base::parameters, typename base::space;
  static constexpr bool is_exact = copies;  ///< whether x comes back exactly

  /// @param extent a count of elements, or a layout of tensors
  /// @param policies a direction (gaussian, as in the paper; rademacher is faster and errs less), types<>, a range,
  /// restored_in_place or restored_from_copy, in any order
  template <class... Policies>
  mezo(Backend b, frugal::layout extent, mezo_config c = {}, Policies const&... policies)
      : base(std::move(b), extent, (validate(c), c), detail::direction_kind<Backend, Types>::template of<Direction>(),
             moving(detail::policy_or_default<Support>(policies...), extent), copies) {
    static_assert(((std::is_same_v<Policies, Direction> || std::is_same_v<Policies, Support> ||
                    std::is_same_v<Policies, Types> || std::is_same_v<Policies, Restoration>)&&...),
                  "frugal: a policy of mezo is a direction (gaussian, rademacher, spherical), types<>, a range, or "
                  "restored_in_place or restored_from_copy, at most one of each, and that of the object's type");
  }

  using base::shift;
  /// out = x + sign epsilon z_i, for a model that works on other numbers than those that are trained: x never changes,
  /// and may be float where the model's are bf16.
  template <class Out>
  void shift(parameters x, int direction, int sign, view<Out, space> out) {
    this->check_settings();
    this->directions().template shift_to<Direction>(this->stream(), x, model_view<Out, space>(out),
                                                    this->probe_term(direction, sign));
  }

 private:
  static range moving(Support const& support, [[maybe_unused]] frugal::layout const& extent) {
    if constexpr (std::is_same_v<Support, range>) return support;
    else return {0, extent.size()};
  }
};
template <class B, class... P>
mezo(B, layout, mezo_config, P...) -> mezo<B, typename detail::first_of<detail::is_direction, gaussian, P...>::type,
                                           support_of<P...>, types_of<P...>, detail::restoration_of<P...>>;
template <class B, class L>
mezo(B, L) -> mezo<B, gaussian, all, types<>, restored_in_place>;

}  // namespace v0
}  // namespace frugal
