// SPDX-License-Identifier: Apache-2.0
/// @file Shampoo: Gupta, Koren, Singer, "Shampoo: Preconditioned Stochastic Tensor Optimization", ICML 2018, in the
/// practical form of Anil, Gupta, Koren, Regan, Singer, "Scalable Second Order Optimization for Deep Learning", 2020:
/// running means, roots that are renewed now and then, blocks of long axes, and the size of the step from Adam.
///
/// For each axis k of a tensor (g_(k): the unfolding, of K axes), with c1 = 1 - beta1^t, c2 = 1 - beta2^t:
///     P_k = beta2 P_k + (1 - beta2) g_(k) g_(k)^T
///     S_k = (P_k / c2 + epsilon I)^-exponent          (at t = 1, and in every `frequency`-th step)
///     m = beta1 m + (1 - beta1) g,    v = beta2 v + (1 - beta2) g g
///     a = (m / c1) / (sqrt(v / c2) + graft_epsilon)
///     d = S_1 .. S_K (m / c1),  each along its axis;      d = d |a| / (|d| + 1e-30)
///     x = (1 - lr weight_decay) x - lr d
/// Tensors without matrices go along a. `accumulate`: sums in place of means, and c2 = 1. The paper's own form is
/// {.beta1 = 0, .epsilon = 1e-4, .frequency = 1, .accumulate = true, .graft = false}.
#pragma once
#include "kronecker_optimizer.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of Adam, whose norms the steps have; for the roots, of AlgoPerf's implementation.
/// What is below `graft` is read at construction.
struct shampoo_config {
  double lr = 1e-3;             ///< learning rate, >= 0
  double beta1 = 0.9;           ///< [0, 1)
  double beta2 = 0.999;         ///< [0, 1)
  double epsilon = -1;          ///< beside the eigenvalues, 0 or >= 1e-30; negative: 1e-6, in double 1e-12
  double graft_epsilon = 1e-8;  ///< beside the root of v, >= 0
  double weight_decay = 0;      ///< decoupled; >= 0, and lr weight_decay <= 1
  double exponent = 0;          ///< > 0; 0: 1 / (2 K), which is 1/4 for matrices
  index_t frequency = 20;       ///< steps between two roots, >= 1
  bool accumulate = false;      ///< sums in place of running means
  bool graft = true;            ///< steps have Adam's norm, tensor by tensor
  index_t max_dim = 1024;       ///< longer axes are cut into blocks; >= 1
  index_t merge_limit = 0;      ///< neighbouring axes are one up to this length (merged_axes); 0: none are
  bool vectors = false;         ///< tensors of one axis have a matrix
  bool spread = false;          ///< different tensors' roots are renewed in different steps
};
inline void validate(shampoo_config const& c) {
  require_range("lr", c.lr, 0, 1e30, true);
  require_range("beta1", c.beta1, 0, 1);
  require_range("beta2", c.beta2, 0, 1);
  require(c.epsilon <= 0 || (c.epsilon >= 1e-30 && c.epsilon <= 1e30), "epsilon", "[1e-30, 1e30], 0 or less",
          c.epsilon);  // a power of less may be beyond float
  require_range("graft_epsilon", c.graft_epsilon, 0, 1e30, true);
  require_range("weight_decay", c.weight_decay, 0, 1e30, true);
  require_range("lr * weight_decay", c.lr * c.weight_decay, 0, 1, true);
  require_range("exponent", c.exponent, 0, 100, true);
  require(c.frequency >= 1, "frequency", ">= 1", c.frequency);
  require(c.max_dim >= 1, "max_dim", ">= 1", c.max_dim);
  require(c.merge_limit >= 0, "merge_limit", ">= 0", c.merge_limit);
}

/// The moments, and Adam's direction.
template <class T>
struct shampoo_rule {
  static constexpr char const* name = "shampoo";
  static constexpr state_info states[] = {{"m", values::any}, {"v", values::non_negative}};
  using scalar = T;
  using config = shampoo_config;
  using clock = detail::moments_clock;
  T beta1, rest1, beta2, rest2, epsilon, unbias1, unbias2, rate, kept;

  FRUGAL_FN shampoo_rule(config const& c, group_factors const& g, clock const& k)
      : beta1(T(c.beta1)),
        rest1(T(1 - c.beta1)),
        beta2(T(c.accumulate ? 1 : c.beta2)),
        rest2(T(c.accumulate ? 1 : 1 - c.beta2)),
        epsilon(T(c.graft_epsilon)) {
    const exact lr = exact(c.lr) * exact(g.lr), one(1.0);
    unbias1 = T((one / (one - exact(k.beta1_power))).v[0]);
    unbias2 = c.accumulate ? T(1) : T((one / sqrt(one - exact(k.beta2_power))).v[0]);
    rate = T(lr.v[0]);
    kept = T((one - lr * exact(c.weight_decay) * exact(g.weight_decay)).v[0]);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void moments(V g, V& m, V& v) const {
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * (g * g);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN V along(V m, V) const {
    return unbias1 * m;
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN V grafted(V m, V v) const {
    return unbias1 * m / (unbias2 * sqrt(v) + epsilon);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void apply(V& x, V d) const {
    x = kept * x - rate * d;
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& m, V& v) const {
    moments(g, m, v);
    apply(x, grafted(m, v));
  }
};

namespace detail {
/// Squares of the direction that lends its norm.
template <class Rule, class Cell>
struct grafted_squares {
  using scalar = typename Rule::scalar;
  Rule const* rule;
  Cell const *m, *v;
  struct bound {
    Rule rule;
    Cell const *m, *v;
    Cell const* contiguous() const { return m; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN auto operator()(Chunk c) const {
      const auto a = rule.grafted(c.load(m), c.load(v));
      return a * a;
    }
  };
  FRUGAL_FN bound bind(segment const&) const { return {*rule, m, v}; }
};
}  // namespace detail

/// @param policies types<>, a rounding, a storage of the moments (full, bf16_state), and who carries out dense algebra,
/// in any order
template <class Backend, class Types = types<>, class Rounding = nearest, class Provider = builtin_linalg,
          class Storage = full>
class shampoo : public detail::kronecker_optimizer<shampoo<Backend, Types, Rounding, Provider, Storage>, shampoo_rule,
                                                   Backend, Types, Rounding, Provider, Storage> {
  using base = detail::kronecker_optimizer<shampoo, shampoo_rule, Backend, Types, Rounding, Provider, Storage>;
  friend base;
  using typename base::block;
  using typename base::matrices;
  using typename base::piece;
  using T = typename Types::compute;

 public:
  using space = typename Backend::space;
  template <class... Policies>
  shampoo(Backend b, frugal::layout extent, shampoo_config c = {}, Policies const&... policies)
      : base(std::move(b), std::move(extent), c, policies...) {
    place(c);
  }

 private:
  static constexpr bool first_gradient_starts = false;

  void place(shampoo_config const& c) {
    this->allocate(false, c.spread);
    index_t largest = 0;
    for (piece const& p : this->pieces_)
      if (!p.whole())
        for (block const& each : p.blocks) largest = (std::max)(largest, each.size);
    compact_ = buffer<T, Backend>(this->backend_, largest);
    turned_ = buffer<T, Backend>(this->backend_, largest);
  }

  void shape(piece& p, tensor const& t) {
    auto const& c = this->config_;
    if (t.shape.size() < 2 && !c.vectors) return;
    p.blocks = detail::cut<block, matrices>(t.name, merged_axes(t.shape, c.merge_limit), c.max_dim);
    for (block const& each : p.blocks)
      for (matrices const& a : each.axes)
        root_.add(a.size, [&](index_t n) { return this->linalg_.template inverse_root<T>(n); });
  }
  void begin(piece&, T const*) {}
  void move(piece& p, T const* g) {
    auto const& c = this->config_;
    const bool renew = this->control_.step == 1 || this->due(p);
    const double keep = c.accumulate ? 1 : c.beta2, rest = c.accumulate ? 1 : 1 - c.beta2;
    root_options how{.ridge = c.epsilon < 0 ? (sizeof(T) == 8 ? 1e-12 : 1e-6) : c.epsilon};
    if (!c.accumulate) how.scale = (exact(1.0) / (exact(1.0) - exact(this->control_.clock.beta2_power))).v[0];
    for (block const& b : p.blocks) {
      T const* const gb = compact(p, b, g);
      how.exponent = c.exponent > 0 ? c.exponent : 1 / (2 * double(b.axes.size()));
      for (matrices const& a : b.axes) {
        this->linalg_.mode_syrk(rest, this->along(gb, b, a.axis), keep, this->p_of(a));
        if (renew) root_.of(a.size)(this->p_of(a), how, this->q_of(a));
      }
    }
    T *const w1 = this->w1_.data(), *const w2 = this->w2_.data();
    this->moments(p, g, w1);
    T const* d = w2;
    for (block const& b : p.blocks) {
      if (p.whole()) d = this->through(b, w1, false, w2, w1);
      else put(b, this->through(b, compact(p, b, w1), false, turned_.data(), compact_.data()), w2);
    }
    double const* norm = nullptr;
    if (c.graft) {
      detail::grafted_squares<shampoo_rule<T>, typename base::cell> squares{
          this->rules_there_.data() + p.where.group, this->m_.data() + p.where.slot, this->v_.data() + p.where.slot};
      norm = this->sum(p, squares, this->more_sums_);
    }
    this->apply(p, d, norm ? this->scale_to(p, d, norm) : nullptr);
  }
  T const* compact(piece const& p, block const& b, T const* tensor) {
    if (p.whole()) return tensor;
    this->backend_.for_teams(detail::copy_block<T, true>{b.map, tensor, compact_.data()});
    return compact_.data();
  }
  void put(block const& b, T const* from, T* tensor) {
    this->backend_.for_teams(detail::copy_block<T, false>{b.map, tensor, from});
  }
  std::size_t bytes() const { return compact_.bytes() + turned_.bytes(); }

  detail::by_size<inverse_root<T, Backend, Provider>> root_;
  buffer<T, Backend> compact_, turned_;
};
template <class B, class... P>
shampoo(B, layout, shampoo_config, P...)
    -> shampoo<B, types_of<P...>, rounding_of<P...>, provider_of<P...>, storage_of<P...>>;
template <class B>
shampoo(B, layout) -> shampoo<B>;

}  // namespace v0
}  // namespace frugal
