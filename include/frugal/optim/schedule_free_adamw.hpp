// SPDX-License-Identifier: Apache-2.0
/// @file Schedule-Free AdamW: Defazio, Yang, Mehta, Mishchenko, Khaled, Cutkosky, "The Road Less Scheduled", NeurIPS
/// 2024, Algorithm 1. Gradients are taken at y; z is where steps are made; x, an average of the z, is the result:
///
///     gamma_t = lr min(1, t / warmup)
///     v = beta2 v + (1 - beta2) g^2
///     z = z - gamma_t (g / (sqrt(v / (1 - beta2^t)) + epsilon) + weight_decay y)
///     x = (1 - c) x + c z         c = gamma_t^2 / (gamma_1^2 + ... + gamma_t^2)
///     y = (1 - beta1) z + beta1 x
///
/// The parameters are y. Kept is d = z - y, for all three follow from two of them:
///
///     u = g / (sqrt(v / (1 - beta2^t)) + epsilon) + weight_decay y
///     y = y + c d - gamma_t (1 - beta1 (1 - c)) u
///     d = (1 - c) (d - gamma_t beta1 u)                                  x = y - (1 / beta1 - 1) d
#pragma once
#include "../core/element_optimizer.hpp"
#include "../core/model_view.hpp"

namespace frugal {
inline namespace v0 {

/// Where the second moment's bias is corrected.
enum class bias_correction {
  of_the_moment,  ///< as above; the authors' program since version 1.3
  of_the_rate     ///< as printed: gamma_t has a factor sqrt(1 - beta2^t), which also counts in c; v is as it is
};

/// Defaults of the authors' program.
struct schedule_free_adamw_config {
  double lr = 2.5e-3;       ///< learning rate, >= 0
  double beta1 = 0.9;       ///< how near y is to the average, (0, 1); 0.95 to 0.98 for long runs
  double beta2 = 0.999;     ///< [0, 1)
  double epsilon = 1e-8;    ///< >= 0
  double weight_decay = 0;  ///< decoupled, taken at y; >= 0, and lr weight_decay <= 1
  std::int64_t warmup = 0;  ///< steps over which the rate grows; >= 0; the method needs it
  bias_correction correction = bias_correction::of_the_moment;
};
inline void validate(schedule_free_adamw_config const& c) {
  require_range("lr", c.lr, 0, 1e30, true);
  require(c.beta1 > 0 && c.beta1 < 1, "beta1", "(0, 1)", c.beta1);
  require_range("beta2", c.beta2, 0, 1);
  require_range("epsilon", c.epsilon, 0, 1e30, true);
  require_range("weight_decay", c.weight_decay, 0, 1e30, true);
  require_range("lr * weight_decay", c.lr * c.weight_decay, 0, 1, true);
  require(c.warmup >= 0, "warmup", ">= 0", c.warmup);
}

template <class T>
struct schedule_free_adamw_rule {
  static constexpr char const* name = "schedule_free_adamw";
  static constexpr state_info states[] = {{"d", values::any}, {"v", values::non_negative}};
  using scalar = T;
  using config = schedule_free_adamw_config;
  struct clock {
    double steps = 0, beta2_power = 1, weights = 0;  // weights: the sum of all gamma^2
    double gamma = 0, unbias = 1, share = 0;         // of this step; share is c
    FRUGAL_FN void advance(config const& c) {
      steps += 1;
      beta2_power = (exact(beta2_power) * exact(c.beta2)).v[0];
      const exact root = sqrt(exact(1.0) - exact(beta2_power)), one(1.0);
      exact rate(c.lr);
      if (steps < double(c.warmup)) rate = rate * (exact(steps) / exact(double(c.warmup)));
      const bool printed = c.correction == bias_correction::of_the_rate;
      if (printed) rate = rate * root;
      const exact weight = rate * rate;
      weights = (exact(weights) + weight).v[0];
      gamma = rate.v[0];
      unbias = printed ? 1 : (one / root).v[0];
      share = weights > 0 ? (weight / exact(weights)).v[0] : 0;
    }
  };
  T beta2, rest2, epsilon, decay, unbias, share, rest, along, lag;

  FRUGAL_FN schedule_free_adamw_rule(config const& c, group_factors const& g, clock const& k)
      : beta2(T(c.beta2)),
        rest2(T(1 - c.beta2)),
        epsilon(T(c.epsilon)),
        decay(T((exact(c.weight_decay) * exact(g.weight_decay)).v[0])),
        unbias(T(k.unbias)),
        share(T(k.share)),
        rest(T(1 - k.share)) {
    const exact rate = exact(k.gamma) * exact(g.lr), beta1(c.beta1), one(1.0);
    along = T((rate * (one - beta1 * (one - exact(k.share)))).v[0]);
    lag = T((rate * beta1).v[0]);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& d, V& v) const {
    v = beta2 * v + rest2 * (g * g);
    const V u = g / (unbias * sqrt(v) + epsilon) + decay * x;
    x = x + share * d - along * u;
    d = rest * (d - lag * u);
  }
};

namespace detail {

/// x = x - behind d, where x was y: the average, in place.
template <class T, class Where, class P, class Cell>
struct to_average {
  using scalar = T;
  Where where;
  P* const* x;
  Cell const* state;  // d
  T behind;

  struct bound {
    Where where;
    P* x;
    Cell const* state;
    T behind;
    bool active = true;
    FRUGAL_FN bool aligned(int width) const {
      return Where::contiguous && multiple_of(x, width) && multiple_of(state, width);
    }
    P const* contiguous() const { return Where::contiguous ? x : nullptr; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      const V y = where.load(c, x);
      where.store(c, x, where.keep(c, y, y - V(behind) * c.load(state)));
    }
  };
  FRUGAL_FN bound bind(segment const& s) const {
    return {where.bind(s), x[s.tensor] + s.inner, state + s.slot, behind};
  }
};

}  // namespace detail

template <class Backend, class Storage = full, class Support = all, class Types = types<>, class Rounding = nearest>
class schedule_free_adamw
    : public element_optimizer<schedule_free_adamw_rule, Backend, Storage, Support, Types, Rounding> {
  using base = element_optimizer<schedule_free_adamw_rule, Backend, Storage, Support, Types, Rounding>;
  using P = typename Types::param;
  using G = typename Types::grad;
  using T = typename Types::compute;

 public:
  using space = typename Backend::space;
  using parameters = model_view<P, space>;

  template <class... Policies>
  schedule_free_adamw(Backend b, frugal::layout extent, schedule_free_adamw_config c = {}, Policies const&... policies)
      : base(std::move(b), std::move(extent), c, policies...),
        at_(this->layout().tensors().size()),
        from_(at_.size()),
        at_there_(this->backend(), at_),
        overlap_(2 * at_.size()) {}

  /// As every optimizer's; the parameters are y.
  void step(view<P, space> x, view<G const, space> g) {
    require_training();
    base::step(x, g);
  }
  void step(tensor_list<P, space> x, tensor_list<G const, space> g) {
    require_training();
    base::step(x, g);
  }

  /// x becomes the average that belongs to the parameters y, which stay. What this object does not own is copied.
  void average(model_view<P const, space> y, parameters x) {
    this->check_settings();
    copy(y, x);
    become_average(x);
  }
  /// In place: w goes to `keep` and becomes the average, until training_mode(w, keep) brings it back, bit for bit. No
  /// step is made in between. `keep` is memory for a model that is not used meanwhile: usually that of the gradients.
  void evaluation_mode(parameters w, parameters keep) {
    require_training();
    this->check_settings();
    copy(w, keep);
    become_average(w);
    evaluating_ = true;
  }
  void training_mode(parameters w, parameters keep) {
    require(evaluating_, "training_mode()", "an object in evaluation mode", "one that trains");
    copy(keep, w);
    evaluating_ = false;
  }
  bool evaluating() const { return evaluating_; }

  /// As every optimizer's, in training mode: the weights that belong to a state are y.
  template <class Visitor>
  void visit_state(Visitor&& visit) {
    require_training("a state of schedule_free_adamw");
    base::visit_state(visit);
  }

 private:
  void require_training(char const* what = "a step of schedule_free_adamw") const {
    require(!evaluating_, what, "training_mode() before", "evaluation mode");
  }
  void locate(parameters w) {
    w.for_each(this->layout(), "the parameters that are written", [&](std::size_t i, P* p) { at_[i] = p; });
  }
  template <class From>
  void copy(From from, parameters to) {
    auto const& tensors = this->layout().tensors();
    from.for_each(this->layout(), "the parameters that are read", [&](std::size_t i, P const* p) { from_[i] = p; });
    locate(to);
    overlap_.clear();
    for (std::size_t i = 0; i < at_.size(); ++i) {
      overlap_.add(from_[i], tensors[i].size, false);
      overlap_.add(at_[i], tensors[i].size, true);
    }
    overlap_.refuse_overlap("parameters and their average");
    for (std::size_t i = 0; i < at_.size(); ++i)
      if (tensors[i].size > 0) this->backend().copy(at_[i], from_[i], std::size_t(tensors[i].size) * sizeof(P));
  }
  void become_average(parameters w) {
    locate(w);
    Backend const& b = this->backend();
    to_backend(b, at_there_.view(), at_);
    const T behind = T((exact(1.0) / exact(this->config().beta1) - exact(1.0)).v[0]);
    this->template for_each_with_state<0>([&]<class At, class Cell>(At at, Cell const* d, P const*) {
      return detail::to_average<T, At, P, Cell>{at, at_there_.data(), d, behind};
    });
  }
  std::vector<P*> at_;
  std::vector<P const*> from_;
  buffer<P*, Backend> at_there_;
  detail::overlap_check overlap_;
  bool evaluating_ = false;
};
template <class B, class... P>
schedule_free_adamw(B, layout, schedule_free_adamw_config, P...)
    -> schedule_free_adamw<B, storage_of<P...>, support_of<P...>, types_of<P...>, rounding_of<P...>>;
template <class B>
schedule_free_adamw(B, layout) -> schedule_free_adamw<B>;

}  // namespace v0
}  // namespace frugal
