// SPDX-License-Identifier: Apache-2.0
/// @file K-FAC: Martens and Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", ICML
/// 2015, sections 2, 3 and 6.3, for linear layers: the reference that MKOR is compared with. For each layer second
/// moments of its inputs (with a 1 for the bias) and of its output gradients, and their damped inverses:
///
///     F = gamma F + (1 - gamma) mean of z z^T over samples,      F = I at the start
///     J = (F + damping I)^-1                                     (each_factor)
///     J_A = (F_A + pi sqrt(damping) I)^-1,  J_G = (F_G + sqrt(damping) / pi I)^-1,
///         pi^2 = (trace F_A / size) / (trace F_G / size)         (by_traces)
///     every step: [dW | db] = r J_G [dW | db] J_A                (optim/layerwise.hpp)
#pragma once
#include <vector>

#include "layerwise.hpp"

namespace frugal {
inline namespace v0 {

enum class kfac_damping {
  each_factor,  ///< what later codes do
  by_traces     ///< the paper's factored Tikhonov damping
};

/// Defaults of MKOR, which it is compared with; gamma is the limit in the paper, the damping that of the comparison.
struct kfac_config {
  double gamma = 0.95;              ///< [0, 1)
  std::int64_t refresh_every = 10;  ///< steps; >= 1
  std::int64_t warmup_steps = 0;    ///< in which every step refreshes; >= 0
  double damping = 0.03;            ///< > 0
  kfac_damping damped = kfac_damping::each_factor;
  bool rescale = false;             ///< to the norm of the gradient
  int micro_batches = 1;            ///< observations a step, >= 1
  double gradient_scale = 1;        ///< on output gradients: 1 / loss scale; > 0
  fall_back_config fall_back = {};  ///< as MKOR-H
};
inline void validate(kfac_config const& c) {
  require_range("gamma", c.gamma, 0, 1);
  require(c.refresh_every >= 1, "refresh_every", ">= 1", c.refresh_every);
  require(c.warmup_steps >= 0, "warmup_steps", ">= 0", c.warmup_steps);
  require(c.damping > 0 && c.damping <= 1e30, "damping", "(0, 1e30]", c.damping);
  require(c.micro_batches >= 1, "micro_batches", ">= 1", c.micro_batches);
  require(c.gradient_scale > 0 && c.gradient_scale <= 1e300, "gradient_scale", "(0, 1e300]", c.gradient_scale);
  validate(c.fall_back);
}

namespace detail {

/// The last row and column of a factor with a bias: f_j = beta f_j + alpha mean_j.
template <class T>
struct kfac_border {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 16;
  T* f;
  T const* means;
  index_t n;  // of the factor
  T alpha, beta;
  index_t teams() const { return 1; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    using one = lanes<T, 1>;
    T* const row = f + (n - 1) * n;
    for (index_t j = team.lane(); j < n; j += team.lanes()) {
      const one x = one(alpha) * one(means[j]) + one(beta) * one(row[j]);
      row[j] = x.v[0];
      f[j * n + n - 1] = x.v[0];
    }
  }
};
/// What the diagonal of a factor is raised by, for one of the two: from their traces.
template <class T>
struct kfac_trace_damping {
  static constexpr unsigned team_threads = 256;
  static constexpr index_t slots = 256;
  static constexpr int scratch_bytes = int(2 * slots * index_t(sizeof(double)));
  T const *mine, *other;
  index_t n, m;
  double damping;
  T* to;
  index_t teams() const { return 1; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    double* part = team.template scratch<double>();
    for (index_t s = team.lane(); s < slots; s += team.lanes()) {
      double a = 0, b = 0;
      for (index_t i = s; i < n; i += slots) a = a + double(mine[i * n + i]);
      for (index_t i = s; i < m; i += slots) b = b + double(other[i * m + i]);
      part[s] = a;
      part[slots + s] = b;
    }
    for (index_t h = slots / 2; h > 0; h /= 2) {
      team.sync();
      for (index_t s = team.lane(); s < 2 * h; s += team.lanes()) {
        double* p = part + (s < h ? s : slots + s - h);
        p[0] = p[0] + p[h];
      }
    }
    team.sync();
    if (team.lane() != 0) return;
    const exact ratio = (exact(part[0]) / exact(double(n))) / (exact(part[slots]) / exact(double(m)));
    *to = T(sqrt(exact(damping) * ratio).v[0]);
  }
};

/// The matrices of K-FAC: F and J of each side.
template <class T, class Backend, class Provider>
class kfac_curvature {
  using space = typename Backend::space;

 public:
  using config = kfac_config;
  static constexpr char const* name = "kfac";
  static constexpr char const* storage_name = "full";
  static void check(kfac_config const& c) { validate(c); }

  kfac_curvature(linalg<Backend, Provider> const& a, std::vector<index_t> const& sides)
      : algebra_(a), sides_(sides), at_(sides.size()), solver_(sides.size()), damping_(a.backend(), 1) {
    index_t cells = 0, most = 0;
    for (std::size_t s = 0; s < sides.size(); ++s) {
      at_[s] = cells;
      cells += (sides[s] * sides[s] + 31) / 32 * 32;
      most = (std::max)(most, sides[s]);
      while (solver_[s] < sizes_.size() && sizes_[solver_[s]] != sides[s]) ++solver_[s];
      if (solver_[s] == sizes_.size()) {
        sizes_.push_back(sides[s]);
        solvers_.emplace_back(a.backend(), a.provider(), sides[s]);
      }
    }
    Backend const& b = a.backend();
    f_ = zeros<T>(b, cells);
    j_ = zeros<T>(b, cells);
    work_ = buffer<T, Backend>(b, most * most);
    means_ = buffer<T, Backend>(b, most);
    for (std::size_t s = 0; s < sides.size(); ++s)
      for (auto* m : {&f_, &j_}) b.for_teams(add_identity<T>{m->data() + at_[s], sides[s], {T(1), nullptr}});
  }

  void observe(index_t side, mat_view<T const, space> z, double scale, double of, bool first, bool bias,
               kfac_config const& c) {
    const mat_view<T, space> f = factor(side);
    const double rest = (1 - c.gamma) / of, beta = first ? c.gamma : 1;
    algebra_.syrk(rest * scale * scale / double(z.rows()), transposed(z), beta, f.block(0, 0, z.cols(), z.cols()));
    if (!bias) return;
    Backend const& b = algebra_.backend();
    b.for_teams(clipped_sums<T>{z.data(), z.rows(), z.cols(), z.ld(), T(1), T(1e30), T(1 / double(z.rows())), T(0),
                                means_.data(), true});
    b.for_teams(kfac_border<T>{f.data(), means_.data(), f.rows(), T(rest), T(beta)});
  }
  view<T, space> statistics() { return f_.view(); }
  /// Where a factor with its damping is not positive definite, J stays.
  void refresh(index_t side, bool, kfac_config const& c) {
    const mat_view<T, space> f = factor(side), w(work_.data(), f.rows(), f.rows());
    const mat_view<T const, space> ready = w;
    Backend const& b = algebra_.backend();
    const bool traces = c.damped == kfac_damping::by_traces;
    if (traces) {
      const mat_view<T, space> other = factor(side ^ 1);
      b.for_teams(kfac_trace_damping<T>{f.data(), other.data(), f.rows(), other.rows(), c.damping, damping_.data()});
    }
    b.copy(w.data(), f.data(), std::size_t(f.extent()) * sizeof(T));
    b.for_teams(add_identity<T>{w.data(), w.rows(), {T(c.damping), traces ? damping_.data() : nullptr}});
    auto& solver = solvers_[solver_[std::size_t(side)]];
    solver.factor(ready);
    solver.inverse(w);
    const mat_view<T, space> j(j_.data() + at_[std::size_t(side)], f.rows(), f.rows());
    b.for_teams(root_keep<T>{w.data(), f.rows(), j.data(), f.rows(), solver.reported()});
  }
  mat_view<T const, space> inverse(index_t side) {
    return mat_view<T, space>(j_.data() + at_[std::size_t(side)], sides_[std::size_t(side)], sides_[std::size_t(side)]);
  }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("moments", role::moment, f_.view());
    visit("inverses", role::moment, j_.view());
  }
  std::size_t state_bytes() const { return f_.bytes() + j_.bytes(); }

 private:
  mat_view<T, space> factor(index_t side) {
    const std::size_t s = std::size_t(side);
    return {f_.data() + at_[s], sides_[s], sides_[s]};
  }
  linalg<Backend, Provider> algebra_;
  std::vector<index_t> sides_, at_, sizes_;
  std::vector<std::size_t> solver_;
  std::vector<cholesky<T, Backend, Provider>> solvers_;
  buffer<T, Backend> damping_, f_, j_, work_, means_;
};

template <class Backend, class Types, class Provider>
using kfac_base =
    layerwise<kfac_curvature<typename Types::compute, Backend, Provider>, Backend, Provider, typename Types::compute>;
}  // namespace detail

/// As mkor, which says how it is used. Policies, in any order: linear_layers, types, a provider of dense algebra.
template <class Backend, class Types = types<>, class Provider = builtin_linalg>
class kfac : public detail::kfac_base<Backend, Types, Provider> {
 public:
  template <class... P>
  kfac(Backend b, frugal::layout l, kfac_config c = {}, P const&... policies)
      : detail::kfac_base<Backend, Types, Provider>(std::move(b), std::move(l), c,
                                                    detail::policy_or_default<linear_layers>(policies...),
                                                    detail::policy_or_default<Provider>(policies...)) {}
};
template <class B, class... P>
kfac(B, layout, kfac_config, P...) -> kfac<B, types_of<P...>, provider_of<P...>>;
template <class B>
kfac(B, layout) -> kfac<B>;

}  // namespace v0
}  // namespace frugal
