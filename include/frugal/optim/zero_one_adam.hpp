// SPDX-License-Identifier: Apache-2.0
/// @file 0/1 Adam: Lu, Li, Zhang, De Sa, He, "Maximizing Communication Efficiency for Large-scale Training via 0/1
/// Adam", ICLR 2023: what a rank computes. Communication is the caller's; this says what is due, and when.
///
///     m = beta1 m + (1 - beta1) g
///     v = beta2 v + (1 - beta2) g^2                         at some steps, and after freeze_step at none
///     x = x - lr (m / (sqrt(v) + epsilon) + weight_decay x)
///
/// Up to freeze_step, g is a mean over the ranks: exact where v changes, compressed elsewhere. After it, g is the
/// rank's own; x0 is where the ranks were together last, l the sum of the rates since then; every so many steps
///
///     z = (x - x0) (sqrt(v) + epsilon)            c = the compressed mean of all z
///     x = x0 + c / (sqrt(v) + epsilon)            m = -c / l, unless l is 0
#pragma once
#include "../core/model_view.hpp"
#include "../core/moments.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of the authors' program.
struct zero_one_adam_config {
  double lr = 1e-3;                   ///< learning rate, >= 0
  double beta1 = 0.9;                 ///< [0, 1)
  double beta2 = 0.999;               ///< [0, 1)
  double epsilon = 1e-8;              ///< >= 0
  double weight_decay = 0;            ///< decoupled; >= 0, and lr weight_decay <= 1
  std::int64_t freeze_step = 100000;  ///< the last step that may change v; >= 1; usually the end of the warm-up
  std::int64_t variance_scaler = 16;  ///< so many changes of v, and the steps between them double; >= 1
  std::int64_t local_scaler = 32678;  ///< so many steps after freeze_step, and those between meetings double; >= 1
  std::int64_t local_limit = 16;      ///< the most steps between meetings; >= 1
};
inline void validate(zero_one_adam_config const& c) {
  detail::validate_moments(c);
  require_range("lr * weight_decay", c.lr * c.weight_decay, 0, 1, true);
  require(c.freeze_step >= 1, "freeze_step", ">= 1", c.freeze_step);
  require(c.variance_scaler >= 1, "variance_scaler", ">= 1", c.variance_scaler);
  require(c.local_scaler >= 1, "local_scaler", ">= 1", c.local_scaler);
  require(c.local_limit >= 1, "local_limit", ">= 1", c.local_limit);
}

/// What the next step of 0/1 Adam takes as its gradient.
enum class zero_one_gradient {
  mean,             ///< of all ranks' gradients, as they are
  compressed_mean,  ///< the same, compressed with error feedback
  own               ///< this rank's
};

namespace detail {

/// Which steps do what: for kernels, and for the host, which asks before it communicates.
struct zero_one_clock {
  double steps = 0;
  double interval = 1, changes = 0;       // of v: steps between two, and how many since that doubled
  double local_interval = 1, locals = 0;  // the same of meetings
  double frozen = 0;                      // are steps local?
  double changes_v = 0, meets = 0;        // at this step, after it
  double rates = 0;                       // since the last meeting

  /// Is n a multiple? A restored clock may hold anything.
  static FRUGAL_FN bool divides(double d, double n) {
    return d >= 1 && d <= n && n <= 0x1p62 && std::int64_t(n) % std::int64_t(d) == 0;
  }
  FRUGAL_FN void advance(zero_one_adam_config const& c) {
    steps += 1;
    if (steps > double(c.freeze_step)) frozen = 1;
    changes_v = frozen == 0 && divides(interval, steps);
    if (changes_v != 0 && ++changes >= double(c.variance_scaler)) {
      changes = 0;
      interval *= 2;
    }
    if (frozen == 0) return;
    rates = (exact(rates) + exact(c.lr)).v[0];
    meets = divides(local_interval, steps);
    if (++locals >= double(c.local_scaler)) {
      locals = 0;
      const double twice = 2 * local_interval, limit = double(c.local_limit);
      local_interval = twice < limit ? twice : limit;
    }
  }
  FRUGAL_FN void met() { rates = meets = 0; }
};

}  // namespace detail

template <class T>
struct zero_one_adam_rule {
  static constexpr char const* name = "zero_one_adam";
  static constexpr state_info states[] = {{"m", values::any}, {"v", values::non_negative}};
  static constexpr bool anchored = true;  // to where the ranks were together; a step does not read it
  using scalar = T;
  using config = zero_one_adam_config;
  using clock = detail::zero_one_clock;
  T beta1, rest1, beta2, rest2, epsilon, rate, decay, changes_v;

  FRUGAL_FN zero_one_adam_rule(config const& c, group_factors const& g, clock const& k)
      : beta1(T(c.beta1)),
        rest1(T(1 - c.beta1)),
        beta2(T(c.beta2)),
        rest2(T(1 - c.beta2)),
        epsilon(T(c.epsilon)),
        rate(T((exact(c.lr) * exact(g.lr)).v[0])),
        decay(T((exact(c.weight_decay) * exact(g.weight_decay)).v[0])),
        changes_v(T(k.changes_v)) {}
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& m, V& v, V) const {
    m = beta1 * m + rest1 * g;
    v = select(V(changes_v) > V(T(0)), beta2 * v + rest2 * (g * g), v);
    x = x - rate * (m / (sqrt(v) + epsilon) + decay * x);
  }
};

namespace detail {

/// A meeting as a rule: c comes in place of the gradient.
template <class T>
struct zero_one_meeting : zero_one_adam_rule<T> {
  using base = zero_one_adam_rule<T>;
  T by;
  FRUGAL_FN zero_one_meeting(zero_one_adam_config const& c, group_factors const& g, zero_one_clock const& k)
      : base(c, g, k) {
    const exact l = exact(k.rates) * exact(g.lr);
    by = T(l.v[0] == 0 ? 0 : (exact(-1.0) / l).v[0]);  // a rate of zero: nothing moved, and m stays
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V c, V& m, V& v, V x0) const {
    x = x0 + c / (sqrt(v) + base::epsilon);
    m = select(V(by) < V(T(0)), by * c, m);
  }
};
/// Makes the meeting's coefficients, and the clock begins to sum again.
template <class Step, class Meeting>
struct begin_meeting {
  typename Step::config config;
  group_factors const* factors;
  index_t groups;
  control<Step>* step;
  control<Meeting>* meeting;
  Meeting* rules;
  FRUGAL_FN void operator()() const {
    for (index_t i = 0; i < groups; ++i) rules[i] = Meeting(config, factors[i], step->clock);
    meeting->factor = 1;
    meeting->skip = 0;
    step->clock.met();
  }
};

/// z = (x - x0) (sqrt(v) + epsilon).
template <class T, class Where, class P, class G, class Cell>
struct scaled_difference {
  using scalar = T;
  Where where;
  P const* const* x;
  G* const* z;
  P const* x0;
  Cell const* state;  // v
  T epsilon;

  struct bound {
    Where where;
    P const* x;
    G* z;
    P const* x0;
    Cell const* state;
    T epsilon;
    bool active = true;
    FRUGAL_FN bool aligned(int width) const {
      return Where::contiguous && multiple_of(x, width) && multiple_of(z, width) && multiple_of(x0, width) &&
             multiple_of(state, width);
    }
    P const* contiguous() const { return Where::contiguous ? x : nullptr; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      const V away = where.load(c, x) - c.load(x0), old = where.load(c, z);
      where.store(c, z, where.keep(c, old, away * (sqrt(c.load(state)) + epsilon)));
    }
  };
  FRUGAL_FN bound bind(segment const& s) const {
    return {where.bind(s), x[s.tensor] + s.inner, z[s.tensor] + s.inner, x0 + s.slot, state + s.slot, epsilon};
  }
};

}  // namespace detail

template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class zero_one_adam : public element_optimizer<zero_one_adam_rule, Backend, Storage, Support, Types, Rounding> {
  using base = element_optimizer<zero_one_adam_rule, Backend, Storage, Support, Types, Rounding>;
  using P = typename Types::param;
  using G = typename Types::grad;
  using T = typename Types::compute;
  using rule = zero_one_adam_rule<T>;
  using meeting = detail::zero_one_meeting<T>;
  static_assert(!std::is_same_v<Rounding, float_master>,
                "frugal: zero_one_adam keeps where the ranks were together in the parameters' type: no float_master");

 public:
  using space = typename Backend::space;

  template <class... Policies>
  zero_one_adam(Backend b, frugal::layout extent, zero_one_adam_config c = {}, Policies const&... policies)
      : base(std::move(b), std::move(extent), c, policies...),
        xs_(this->layout().tensors().size()),
        zs_(xs_.size()),
        xs_there_(this->backend(), xs_),
        zs_there_(this->backend(), zs_),
        overlap_(2 * xs_.size()),
        control_(this->backend(), std::vector<detail::control<meeting>>(1)),
        rules_(this->backend(), this->groups()) {}

  /// What the next step takes. Waits for the backend only after a step that could be skipped, and after visit_state().
  zero_one_gradient gradient() {
    auto const& k = known();
    const double next = k.steps + 1;
    if (k.frozen != 0 || next > double(this->config().freeze_step)) return zero_one_gradient::own;
    return k.divides(k.interval, next) ? zero_one_gradient::mean : zero_one_gradient::compressed_mean;
  }
  /// One update. A meeting that is due comes first.
  void step(view<P, space> x, view<G const, space> g) {
    begin(x, g);
    base::step(x, g);
    end();
  }
  void step(tensor_list<P, space> x, tensor_list<G const, space> g) {
    begin(x, g);
    base::step(x, g);
    end();
  }

  /// Do the ranks meet now, before the next step?
  bool meets() { return known().meets != 0; }
  /// What this rank brings: z is written where this object owns coordinates, and stays as it is elsewhere.
  void difference(model_view<P const, space> x, model_view<G, space> z) {
    require(meets(), "difference()", "a meeting that is due", "none");
    this->check_settings();
    x.for_each(this->layout(), "the parameters", [&](std::size_t i, P const* p) { xs_[i] = const_cast<P*>(p); });
    z.for_each(this->layout(), "the difference", [&](std::size_t i, G* p) { zs_[i] = p; });
    auto const& tensors = this->layout().tensors();
    overlap_.clear();
    for (std::size_t i = 0; i < xs_.size(); ++i) {
      overlap_.add(xs_[i], tensors[i].size, false);
      overlap_.add(zs_[i], tensors[i].size, true);
    }
    overlap_.refuse_overlap("parameters and their difference");
    Backend const& b = this->backend();
    to_backend(b, xs_there_.view(), xs_);
    to_backend(b, zs_there_.view(), zs_);
    const T epsilon = T(this->config().epsilon);
    P const* const* const from = const_cast<P const* const*>(xs_there_.data());
    this->template for_each_with_state<1>([&]<class At, class Cell>(At at, Cell const* v, P const* x0) {
      return detail::scaled_difference<T, At, P, G, Cell>{at, from, zs_there_.data(), x0, v, epsilon};
    });
  }
  /// The ranks are together: c, equal on all of them, is the mean of what they brought.
  void meet(model_view<P, space> x, model_view<G const, space> c) {
    require(meets(), "meet()", "a meeting that is due", "none");
    locate(x, c, "the mean difference");
    this->backend().run(detail::begin_meeting<rule, meeting>{this->config(), this->factors_there(), this->groups(),
                                                             this->control_there(), control_.data(), rules_.data()});
    this->pass(static_cast<detail::control<meeting> const*>(control_.data()),
               static_cast<meeting const*>(rules_.data()));
    this->anchor_at(xs_);
    clock_.met();
  }

  /// As every optimizer's. After the freeze, between a meeting and the next step only: all rates that l sums have one
  /// factor.
  void set_group(group const& g) {
    require(known().frozen == 0 || this->clock_there().rates == 0, "set_group()", "meet() before",
            "steps since the last meeting");
    base::set_group(g);
  }
  template <class Visitor>
  void visit_state(Visitor&& visit) {
    base::visit_state(visit);
    is_known_ = false;
  }

 private:
  using base::anchor;

  detail::zero_one_clock const& known() {
    if (!is_known_) clock_ = this->clock_there();
    is_known_ = true;
    return clock_;
  }
  // Where they are now, once all is checked.
  void locate(model_view<P, space> x, model_view<G const, space> g, char const* what) {
    this->check_settings();
    x.for_each(this->layout(), "the parameters", [&](std::size_t i, P* p) { xs_[i] = p; });
    g.for_each(this->layout(), what, [&](std::size_t i, G const* p) { zs_[i] = const_cast<G*>(p); });
    x.require_alike(this->layout(), g);
    auto const* const first = this->layout().tensors().data();
    base::locate([&](tensor const& t) { return view<P, space>(xs_[std::size_t(&t - first)], t.size); },
                 [&](tensor const& t) { return view<G const, space>(zs_[std::size_t(&t - first)], t.size); });
  }
  void begin(model_view<P, space> x, model_view<G const, space> g) {
    require(!meets(), "a step of zero_one_adam", "meet() before", "a meeting that is due");
    if (clock_.frozen == 0 && gradient() == zero_one_gradient::own) {
      locate(x, g, "the gradient");
      this->anchor_at(xs_);
    }
  }
  void end() {
    auto const& o = this->options();
    if (o.skip_nonfinite || o.found_inf.size() > 0) is_known_ = false;  // who knows whether it happened?
    else clock_.advance(this->config());
  }

  bool is_known_ = true;
  detail::zero_one_clock clock_;  // the host's copy
  std::vector<P*> xs_;
  std::vector<G*> zs_;
  buffer<P*, Backend> xs_there_;
  buffer<G*, Backend> zs_there_;
  detail::overlap_check overlap_;
  buffer<detail::control<meeting>, Backend> control_;
  buffer<meeting, Backend> rules_;
};
template <class B, class... P>
zero_one_adam(B, layout, zero_one_adam_config, P...)
    -> zero_one_adam<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
zero_one_adam(B, layout) -> zero_one_adam<B>;

}  // namespace v0
}  // namespace frugal
