// SPDX-License-Identifier: Apache-2.0
/// @file SOAP: Vyas, Morwani, Zhao, Shapira, Brandfonbrener, Janson, Kakade, "SOAP: Improving and Stabilizing Shampoo
/// using Adam", ICLR 2025, as in the authors' released code: Adam in a slowly moving eigenbasis of Shampoo's
/// statistics.
///
/// For each axis k with a basis Q_k (d_k x d_k), by (..)' the contraction with Q_k^T along every such axis:
///     g' = Q^T g,    m = beta1 m + (1 - beta1) g',    v = beta2 v + (1 - beta2) g' g'
///     n = Q (m / (sqrt(v) + epsilon))                 (over its root mean square, if `normalise`)
///     x = x - lr sqrt(1 - beta2^t) / (1 - beta1^t) n
///     x = x - lr weight_decay x
///     P_k = b P_k + (1 - b) g_(k) g_(k)^T             (g_(k): the unfolding)
/// and in every `frequency`-th step each Q_k makes one step of orthogonal iteration: columns in the order of falling
/// Q_k^T P_k Q_k, then the orthonormal factor of P_k Q_k. m follows the basis, v only the order.
/// The first gradient makes the first basis, and changes nothing else.
#pragma once
#include "kronecker_optimizer.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of the released code. What is below `normalise` is read at construction.
struct soap_config {
  double lr = 3e-3;             ///< learning rate, >= 0
  double beta1 = 0.95;          ///< [0, 1)
  double beta2 = 0.95;          ///< [0, 1)
  double epsilon = 1e-8;        ///< >= 0
  double weight_decay = 1e-2;   ///< decoupled, after the step; >= 0, and lr weight_decay <= 1
  double statistics_beta = -1;  ///< b; [0, 1), or negative: beta2
  index_t frequency = 10;       ///< steps between two of a basis, >= 1
  bool correct_bias = true;     ///< the two factors with beta^t
  bool normalise = false;       ///< steps of root mean square lr; for frequencies of a hundred or so
  index_t max_dim = 10000;      ///< longer axes have no basis; >= 1
  index_t merge_limit = 0;      ///< neighbouring axes are one up to this length (merged_axes); 0: none are
  bool one_sided = false;       ///< the longest axis has no basis; of equals the first
  bool vectors = false;         ///< tensors of one axis have a basis
  bool spread = false;          ///< different tensors' bases move in different steps
};
inline void validate(soap_config const& c) {
  detail::validate_moments(c);
  require_range("lr * weight_decay", c.lr * c.weight_decay, 0, 1, true);
  require_range("statistics_beta", c.statistics_beta < 0 ? 0 : c.statistics_beta, 0, 1);
  require(c.frequency >= 1, "frequency", ">= 1", c.frequency);
  require(c.max_dim >= 1, "max_dim", ">= 1", c.max_dim);
  require(c.merge_limit >= 0, "merge_limit", ">= 0", c.merge_limit);
}

/// Adam as SOAP has it: epsilon beside the uncorrected root, the decay after the step.
template <class T>
struct soap_rule {
  static constexpr char const* name = "soap";
  static constexpr state_info states[] = {{"m", values::any}, {"v", values::non_negative}};
  using scalar = T;
  using config = soap_config;
  using clock = detail::moments_clock;
  T beta1, rest1, beta2, rest2, epsilon, rate, decay;

  FRUGAL_FN soap_rule(config const& c, group_factors const& g, clock const& k)
      : beta1(T(c.beta1)), rest1(T(1 - c.beta1)), beta2(T(c.beta2)), rest2(T(1 - c.beta2)), epsilon(T(c.epsilon)) {
    const exact lr = exact(c.lr) * exact(g.lr), one(1.0);
    exact a = lr;
    if (c.correct_bias) a = a * sqrt(one - exact(k.beta2_power)) / (one - exact(k.beta1_power));
    rate = T(a.v[0]);
    decay = T((lr * exact(c.weight_decay) * exact(g.weight_decay)).v[0]);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void moments(V g, V& m, V& v) const {
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * (g * g);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN V along(V m, V v) const {
    return m / (sqrt(v) + epsilon);
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void apply(V& x, V n) const {
    x = x - rate * n;
    x = x - decay * x;
  }
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& m, V& v) const {
    moments(g, m, v);
    apply(x, along(m, v));
  }
};

/// @param policies types<>, a rounding, a storage of the moments (full, bf16_state), and who carries out dense algebra,
/// in any order
template <class Backend, class Types = types<>, class Rounding = nearest, class Provider = builtin_linalg,
          class Storage = full>
class soap : public detail::kronecker_optimizer<soap<Backend, Types, Rounding, Provider, Storage>, soap_rule, Backend,
                                                Types, Rounding, Provider, Storage> {
  using base = detail::kronecker_optimizer<soap, soap_rule, Backend, Types, Rounding, Provider, Storage>;
  friend base;
  using typename base::block;
  using typename base::matrices;
  using typename base::piece;
  using T = typename Types::compute;

 public:
  using space = typename Backend::space;
  template <class... Policies>
  soap(Backend b, frugal::layout extent, soap_config c = {}, Policies const&... policies)
      : base(std::move(b), std::move(extent), c, policies...) {
    place(c);
  }

 private:
  static constexpr bool first_gradient_starts = true;

  void place(soap_config const& c) {
    this->allocate(c.normalise, c.spread);
    normalise_ = c.normalise;
    index_t largest = 0;
    for (piece const& p : this->pieces_)
      for (matrices const& a : p.blocks[0].axes) largest = (std::max)(largest, a.size);
    product_ = buffer<T, Backend>(this->backend_, largest * largest);
    ordered_ = buffer<T, Backend>(this->backend_, largest * largest);
    values_ = buffer<T, Backend>(this->backend_, largest);
    order_ = buffer<std::uint32_t, Backend>(this->backend_, largest);
  }

  void shape(piece& p, tensor const&) {
    choose_axes(p.blocks[0], this->config_);
    for (matrices const& a : p.blocks[0].axes) {
      eigen_.add(a.size, [&](index_t n) { return this->linalg_.template eigen<T>(n); });
      qr_.add(a.size, [&](index_t n) { return this->linalg_.template qr<T>(n, n); });
    }
  }
  static void choose_axes(block& b, soap_config const& c) {
    const bool vector = b.shape.size() <= 1;
    if (vector && !c.vectors) return;
    b.shape = merged_axes(b.shape, c.merge_limit);
    index_t left_out = -1;
    if (c.one_sided && b.shape.size() > 1)
      left_out = std::max_element(b.shape.begin(), b.shape.end()) - b.shape.begin();
    for (index_t k = 0; k < index_t(b.shape.size()); ++k) {
      const index_t d = b.shape[std::size_t(k)];
      if (d > 1 && d <= c.max_dim && k != left_out) b.axes.push_back({k, d, 0});
    }
  }
  double beta() const {
    auto const& c = this->config_;
    return c.statistics_beta < 0 ? c.beta2 : c.statistics_beta;
  }
  void add_statistics(block const& b, T const* g, double keep) {
    for (matrices const& a : b.axes)
      this->linalg_.mode_syrk(1 - beta(), this->along(g, b, a.axis), keep, this->p_of(a));
  }
  mat_view<T, space> square(buffer<T, Backend> const& of, index_t n) const { return {of.data(), n, n}; }
  /// The columns of `from` so that the first n values fall.
  void order_columns(index_t n, mat_view<T, space> from, mat_view<T, space> to) {
    const view<std::uint32_t, space> order(order_.data(), n);
    const std::array<index_t, 2> shape{n, n};
    this->linalg_.sort_order(view<T, space>(values_.data(), n), true, order);
    this->linalg_.take(axis_view<T, space>(view<T, space>(from.data(), n * n), shape, 1), order,
                       axis_view<T, space>(view<T, space>(to.data(), n * n), shape, 1));
  }

  void begin(piece& p, T const* g) {
    block const& b = p.blocks[0];
    add_statistics(b, g, 0);
    for (matrices const& a : b.axes) {
      eigen_.of(a.size)(this->p_of(a), view<T, space>(values_.data(), a.size), square(product_, a.size));
      order_columns(a.size, square(product_, a.size), this->q_of(a));
    }
  }
  void move(piece& p, T const* g) {
    block const& b = p.blocks[0];
    T *const w1 = this->w1_.data(), *const w2 = this->w2_.data();
    T const* const turned = this->through(b, g, true, w1, w2);
    T* const n = turned == w2 ? w2 : w1;
    this->moments(p, turned, n);
    T const* const d = this->through(b, n, false, w1, w2);
    this->apply(p, d, normalise_ ? this->scale_to(p, d, nullptr) : nullptr);
    add_statistics(b, g, beta());
    if (!b.axes.empty() && this->due(p)) turn(p, b, w1, w2);
  }
  void turn(piece const& p, block const& b, T* w1, T* w2) {
    const auto m = this->m_.data() + p.where.slot, kept_v = this->v_.data() + p.where.slot;
    T const* const back = this->through(b, this->wide(p, m), false, w1, w2);
    T *const v = this->wide(p, kept_v), *const spare = back == w1 ? w2 : w1;
    auto const& la = this->linalg_;
    const auto bytes = std::size_t(b.size) * sizeof(T);
    for (matrices const& a : b.axes) {
      const auto product = square(product_, a.size), ordered = square(ordered_, a.size);
      la.gemm(1, this->p_of(a), this->q_of(a), 0, product);
      this->backend_.for_teams(
          detail::dots_of_columns<T>{this->q_of(a).data(), product.data(), a.size, a.size, values_.data()});
      order_columns(a.size, product, ordered);
      qr_.of(a.size)(ordered, this->q_of(a));
      la.take(this->along(v, b, a.axis), view<std::uint32_t const, space>(order_.data(), a.size),
              this->along(spare, b, a.axis));
      this->backend_.copy(v, spare, bytes);
    }
    this->keep(p, v, kept_v);
    this->keep(p, this->through(b, back, true, w1, w2), m);
  }
  std::size_t bytes() const { return product_.bytes() + ordered_.bytes() + values_.bytes() + order_.bytes(); }

  bool normalise_;
  detail::by_size<symmetric_eigen<T, Backend, Provider>> eigen_;
  detail::by_size<thin_qr<T, Backend, Provider>> qr_;
  buffer<T, Backend> product_, ordered_, values_;
  buffer<std::uint32_t, Backend> order_;
};
template <class B, class... P>
soap(B, layout, soap_config, P...) -> soap<B, types_of<P...>, rounding_of<P...>, provider_of<P...>, storage_of<P...>>;
template <class B>
soap(B, layout) -> soap<B>;

}  // namespace v0
}  // namespace frugal
