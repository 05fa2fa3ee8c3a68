// SPDX-License-Identifier: Apache-2.0
/// @file MKOR: Mozaffari, Li, Zhang, Mehri Dehnavi, "MKOR: Momentum-Enabled Kronecker-Factor-Based Optimizer Using
/// Rank-1 Updates", NeurIPS 2023. For each linear layer the inverses J of two matrices F that follow the means v of its
/// inputs (with a 1 for the bias) and of its output gradients:
///
///     F = gamma F + (1 - gamma) v v^T
///     J = 1/gamma (J - (1 - gamma) / (gamma + (1 - gamma) v^T u) u u^T),  u = J v
///     before it, if max |J| > threshold:  J = zeta J + (1 - zeta) I
///     every step:  [dW | db] = r J_G [dW | db] J_A               (optim/layerwise.hpp)
#pragma once
#include "layerwise.hpp"

namespace frugal {
inline namespace v0 {

/// How a mean enters an inverse.
enum class mkor_update {
  sherman_morrison,  ///< as above: J stays the inverse of F
  printed,           ///< Algorithm 1 of the paper, which amplifies where the one above damps
  released  ///< the paper's code: of the inverse of (gamma J + (1 - gamma) I)^-1 + v v^T; the first is left out
};

/// Defaults of the released code, but for the threshold and zeta, which are this library's, as the exact rule is.
struct mkor_config {
  double gamma = 0.95;              ///< (0, 1)
  std::int64_t refresh_every = 10;  ///< steps; >= 1
  std::int64_t warmup_steps = 0;    ///< in which every step refreshes; >= 0
  mkor_update update = mkor_update::sherman_morrison;
  double clip = 100;                ///< of the entries whose means are taken, > 0
  double threshold = 50;            ///< of the stabiliser, > 1; at most gamma / 2 of what a factor of 16 bits can hold
  double zeta = 0.9;                ///< [0, 1]
  bool rescale = true;              ///< to the norm of the gradient
  int micro_batches = 1;            ///< observations a step, >= 1
  double gradient_scale = 1;        ///< on output gradients: 1 / loss scale; > 0
  fall_back_config fall_back = {};  ///< MKOR-H
};
inline void validate(mkor_config const& c) {
  require(c.gamma > 0 && c.gamma < 1, "gamma", "(0, 1)", c.gamma);
  require(c.refresh_every >= 1, "refresh_every", ">= 1", c.refresh_every);
  require(c.warmup_steps >= 0, "warmup_steps", ">= 0", c.warmup_steps);
  require(c.clip > 0 && c.clip <= 1e30, "clip", "(0, 1e30]", c.clip);
  require(c.threshold > 1 && c.threshold <= 1e300, "threshold", "(1, 1e300]", c.threshold);
  require_range("zeta", c.zeta, 0, 1, true);
  require(c.micro_batches >= 1, "micro_batches", ">= 1", c.micro_batches);
  require(c.gradient_scale > 0 && c.gradient_scale <= 1e300, "gradient_scale", "(0, 1e300]", c.gradient_scale);
  validate(c.fall_back);
}

/// In binary16, rounded to nearest on every store: the factors of the paper's code.
struct half_state {};

namespace detail {
template <class Compute>
struct storage_traits<half_state, Compute> {
  static_assert(std::is_same_v<Compute, float>, "frugal: half factors are for float gradients");
  using cell = half;
  static constexpr char const* name = "half";
  static constexpr index_t alignment = 32;
};

/// What a refresh does to J, J = beta J + alpha u u^T + delta I: from the diagonal of J, which holds the largest entry
/// of a positive definite matrix, from v and from J v, which becomes u. A mean that is not finite changes nothing;
/// where v^T J v is negative J has lost its positivity to roundings, and begins anew as I.
template <class T>
struct mkor_coefficients {
  static constexpr unsigned team_threads = 256;
  static constexpr index_t slots = 256;
  static constexpr int scratch_bytes = int(slots * index_t(sizeof(T)));
  mkor_update update;
  double gamma, threshold, zeta, ridge;  // ridge: times the largest entry, what rounding may take from an eigenvalue
  T const *j, *v;
  index_t n;
  T *u, *to;  // to: alpha, beta, delta

  index_t teams() const { return 1; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    using one = lanes<T, 1>;
    T* part = team.template scratch<T>();
    for (index_t s = team.lane(); s < slots; s += team.lanes()) {
      T here(0);
      for (index_t i = s; i < n; i += slots) here = j[i * n + i] > here ? j[i * n + i] : here;
      part[s] = here;
    }
    for (index_t h = slots / 2; h > 0; h /= 2) {
      team.sync();
      for (index_t s = team.lane(); s < h; s += team.lanes()) part[s] = part[s + h] > part[s] ? part[s + h] : part[s];
    }
    team.sync();
    const exact most{double(part[0])};
    const bool stabilise = most.v[0] > threshold;
    exact keep(stabilise ? zeta : 1.0), add(stabilise ? 1 - zeta : 0.0);
    if (update == mkor_update::released) {
      keep = exact(gamma) * keep;
      add = exact(gamma) * add + exact(1 - gamma);
    }
    const one k(T(keep.v[0])), a(T(add.v[0]));
    team.sync();
    for (index_t s = team.lane(); s < slots; s += team.lanes()) {
      one sum(T(0));
      for (index_t i = s; i < n; i += slots) {
        const one each = k * one(u[i]) + a * one(v[i]);
        u[i] = each.v[0];
        sum = sum + one(v[i]) * each;
      }
      part[s] = sum.v[0];
    }
    for (index_t h = slots / 2; h > 0; h /= 2) {
      team.sync();
      for (index_t s = team.lane(); s < h; s += team.lanes()) part[s] = part[s] + part[s + h];
    }
    team.sync();
    const T dot = part[0];
    const bool usable = dot - dot == T(0) && !(dot < T(0)), begin = dot < T(0);
    if (!usable)
      for (index_t i = team.lane(); i < n; i += team.lanes()) u[i] = T(0);
    if (team.lane() != 0) return;
    const exact g(gamma), rest(1 - gamma), unit(1.0), s{double(dot)};
    exact alpha = exact(0.0) - rest / (g * (g + rest * s)), beta = unit / g;
    if (update == mkor_update::printed) alpha = rest / (g * g * (unit + g * rest * s)), beta = g;
    if (update == mkor_update::released) alpha = exact(0.0) - unit / (unit + s), beta = unit;
    to[0] = usable ? T(alpha.v[0]) : T(0);
    to[1] = usable ? T((beta * keep).v[0]) : T(begin ? 0 : 1);
    to[2] = usable ? T((beta * add + exact(ridge) * most).v[0]) : T(begin ? 1 : 0);
  }
};

/// The matrices of MKOR: J of each side, stored in cells, computed with in T.
template <class T, class Storage, class Backend, class Provider>
class mkor_curvature {
  static_assert(block_of<Storage> == 0, "frugal: the factors of MKOR are full, bf16 or half");
  using space = typename Backend::space;
  using cell = typename storage_traits<Storage, T>::cell;
  static constexpr bool narrow = !std::is_same_v<cell, T>;
  static constexpr double ridge = !narrow ? 0 : std::is_same_v<cell, half> ? 0x1p-10 : 0x1p-7;

 public:
  using config = mkor_config;
  static constexpr char const* name = "mkor";
  static constexpr char const* storage_name = storage_traits<Storage, T>::name;
  /// Up to the threshold a refresh divides by gamma: its cells must hold that.
  static void check(mkor_config const& c) {
    validate(c);
    constexpr double largest = std::is_same_v<cell, half> ? 65504 : 0x1.fep127;
    if (narrow && c.threshold > c.gamma / 2 * largest) [[unlikely]]
      refuse(text("threshold, with factors in ", storage_name), text("(1, ", c.gamma / 2 * largest, "]"),
             text(c.threshold));
  }

  mkor_curvature(linalg<Backend, Provider> const& a, std::vector<index_t> const& sides)
      : algebra_(a), sides_(sides), at_(sides.size()), row_(sides.size()) {
    index_t cells = 0, rows = 0, most = 0;
    for (std::size_t parity : {0, 1})  // all inputs, then all outputs
      for (std::size_t s = parity; s < sides.size(); s += 2) {
        row_[s] = rows;
        rows += sides[s];
      }
    for (std::size_t s = 0; s < sides.size(); ++s) {
      at_[s] = cells;
      cells += (sides[s] * sides[s] + 31) / 32 * 32;
      most = (std::max)(most, sides[s]);
    }
    Backend const& b = a.backend();
    j_ = buffer<cell, Backend>(b, cells);
    means_ = buffer<T, Backend>(b, rows);
    u_ = buffer<T, Backend>(b, most);
    coefficients_ = buffer<T, Backend>(b, 3);
    if (narrow)
      for (auto& w : wide_) w = buffer<T, Backend>(b, most * most);
    j_.fill(0);
    means_.fill(0);
    for (index_t s = 0; s < index_t(sides.size()); ++s) {
      const mat_view<T, space> w = widened(s, 0, false);
      b.fill(w.data(), 0, std::size_t(w.extent()) * sizeof(T));
      b.for_teams(add_identity<T>{w.data(), w.rows(), {T(1), nullptr}});
      store(s, w);
    }
  }

  void observe(index_t side, mat_view<T const, space> rows, double scale, double of, bool first, bool bias,
               mkor_config const& c) {
    algebra_.backend().for_teams(clipped_sums<T>{rows.data(), rows.rows(), rows.cols(), rows.ld(), T(scale / of),
                                                 T(c.clip), T(1 / double(rows.rows())), T(first ? 0 : 1), mean(side),
                                                 bias});
  }
  view<T, space> statistics() { return means_.view(); }
  void refresh(index_t side, bool first, mkor_config const& c) {
    if (first && c.update == mkor_update::released) return;
    const mat_view<T, space> w = widened(side, 0, true);
    const index_t n = w.rows();
    const view<T, space> u(u_.data(), n);
    const view<T const, space> v(mean(side), n), uu = u;
    algebra_.gemv(1, mat_view<T const, space>(w), v, 0, u);
    T* const c3 = coefficients_.data();
    algebra_.backend().for_teams(
        mkor_coefficients<T>{c.update, c.gamma, c.threshold, c.zeta, ridge, w.data(), v.data(), n, u.data(), c3});
    algebra_.rank_1(view<T const, space>(c3, 1), uu, uu, view<T const, space>(c3 + 1, 1), w);
    algebra_.backend().for_teams(add_identity<T>{w.data(), n, {T(0), c3 + 2}});
    store(side, w);
  }
  mat_view<T const, space> inverse(index_t side) { return widened(side, side % 2, true); }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("means", role::moment, means_.view());
    for (std::size_t s = 0; s < sides_.size(); ++s)
      visit(text(s % 2 ? "outputs." : "inputs.", s / 2), role::moment,
            view<cell, space>(j_.data() + at_[s], sides_[s] * sides_[s]));
  }
  std::size_t state_bytes() const { return j_.bytes() + means_.bytes(); }

 private:
  T* mean(index_t side) { return means_.data() + row_[std::size_t(side)]; }
  /// J as it can be computed with: itself, or a copy.
  mat_view<T, space> widened(index_t side, index_t place, bool filled) {
    const index_t n = sides_[std::size_t(side)];
    cell* const p = j_.data() + at_[std::size_t(side)];
    if constexpr (narrow) {
      T* const w = wide_[place].data();
      if (filled) algebra_.backend().for_each(one_segment(n * n), copy_scaled<T, cell, T>{p, w, nullptr});
      return {w, n, n};
    } else {
      return {p, n, n};
    }
  }
  void store(index_t side, mat_view<T, space> w) {
    if constexpr (narrow)
      algebra_.backend().for_each(one_segment(w.extent()),
                                  copy_scaled<T, T, cell>{w.data(), j_.data() + at_[std::size_t(side)], nullptr});
  }

  linalg<Backend, Provider> algebra_;
  std::vector<index_t> sides_, at_, row_;
  buffer<cell, Backend> j_;
  buffer<T, Backend> means_, u_, coefficients_, wide_[2];
};

template <class Backend, class Storage, class Types, class Provider>
using mkor_base = layerwise<mkor_curvature<typename Types::compute, Storage, Backend, Provider>, Backend, Provider,
                            typename Types::compute>;
}  // namespace detail

/// A transformation of gradients in place, float or double; then any optimizer:
///
///     pre.observe(layer, activations, output_gradients);   // of each layer, if pre.due()
///     pre.precondition(gradient);
///     opt.step(weights, gradient);
///
/// Policies, in any order: linear_layers, the storage of the factors (full, bf16_state, half_state), types, a provider
/// of dense algebra. Bits are equal on every backend with the builtin provider.
template <class Backend, class Storage = full, class Types = types<>, class Provider = builtin_linalg>
class mkor : public detail::mkor_base<Backend, Storage, Types, Provider> {
 public:
  template <class... P>
  mkor(Backend b, frugal::layout l, mkor_config c = {}, P const&... policies)
      : detail::mkor_base<Backend, Storage, Types, Provider>(std::move(b), std::move(l), c,
                                                             detail::policy_or_default<linear_layers>(policies...),
                                                             detail::policy_or_default<Provider>(policies...)) {}
};
template <class B, class... P>
mkor(B, layout, mkor_config, P...) -> mkor<B, storage_of<P...>, types_of<P...>, provider_of<P...>>;
template <class B>
mkor(B, layout) -> mkor<B>;

}  // namespace v0
}  // namespace frugal
