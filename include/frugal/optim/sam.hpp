// SPDX-License-Identifier: Apache-2.0
/// @file SAM: Foret, Kleiner, Mobahi, Neyshabur, "Sharpness-Aware Minimization for Efficiently Improving
/// Generalization", ICLR 2021, Algorithm 1; adaptive: Kwon, Kim, Park, Choi, "ASAM: Adaptive Sharpness-Aware
/// Minimization for Scale-Invariant Learning of Deep Neural Networks", ICML 2021. Around any optimizer:
///
///     g = gradient at x           N = |T g|, over the whole model; T = 1, adaptive: |x|
///     g = gradient at x + rho T^2 g / (N + 1e-12)
///     the optimizer's step from x with this g
#pragma once
#include "../core/element_optimizer.hpp"
#include "../core/located_model.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of the paper.
struct sam_config {
  double rho = 0.05;      ///< radius of the ball, >= 0; 0: the optimizer alone, and one gradient a step
  bool adaptive = false;  ///< a ball in units of each parameter; radii of 0.5 to 2
};
inline void validate(sam_config const& c) { require_range("rho", c.rho, 0, 1e30, true); }

namespace detail {

/// (T g)^2, for the norm.
template <class T, class P, class G>
struct sam_squares {
  using scalar = T;
  P* const* x;
  G const* const* g;
  bool adaptive;
  struct bound {
    P const* x;
    G const* g;
    bool adaptive;
    G const* contiguous() const { return g; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN auto operator()(Chunk c) const {
      const auto v = adaptive ? c.load(g) * c.load(x) : c.load(g);
      return v * v;
    }
  };
  FRUGAL_FN bound bind(segment const& s) const { return {x[s.tensor] + s.inner, g[s.tensor] + s.inner, adaptive}; }
};
/// Up to the edge of the ball, x kept.
template <class T, class P, class G>
struct sam_climb {
  using scalar = T;
  P* const* x;
  G const* const* g;
  P* kept;  // of slots
  double const* squares;
  double rho;
  bool adaptive;
  struct bound {
    P* x;
    G const* g;
    P* kept;
    T by;
    bool adaptive, active = true;
    FRUGAL_FN bool aligned(int width) const {
      return multiple_of(x, width) && multiple_of(g, width) && multiple_of(kept, width);
    }
    P const* contiguous() const { return x; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      const V x0 = c.load(x), along = V(by) * c.load(g);
      c.store(kept, x0);
      c.store(x, x0 + (adaptive ? x0 * x0 * along : along));
    }
  };
  FRUGAL_FN bound bind(segment const& s) const {
    const exact by = exact(rho) / (sqrt(exact(*squares)) + exact(1e-12));
    return {x[s.tensor] + s.inner, g[s.tensor] + s.inner, kept + s.slot, T(by.v[0]), adaptive};
  }
};
/// Back to what was kept, bit for bit.
template <class T, class P>
struct sam_return {
  using scalar = T;
  P* const* x;
  P const* kept;
  struct bound {
    P* x;
    P const* kept;
    bool active = true;
    FRUGAL_FN bool aligned(int width) const { return multiple_of(x, width) && multiple_of(kept, width); }
    P const* contiguous() const { return x; }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      c.store(x, c.load(kept));
    }
  };
  FRUGAL_FN bound bind(segment const& s) const { return {x[s.tensor] + s.inner, kept + s.slot}; }
};

}  // namespace detail

/// @tparam Optimizer any, of `step(x, g)`: adamw, muon ... It is moved in.
template <class Optimizer, class Types = typename detail::types_within<Optimizer>::type>
class sam {
  using backend_type = std::remove_cvref_t<decltype(std::declval<Optimizer&>().backend())>;
  using P = typename Types::param;
  using G = typename Types::grad;
  using T = typename Types::compute;

 public:
  using space = typename Optimizer::space;
  using config_type = sam_config;

  explicit sam(Optimizer optimizer, sam_config c = {}, Types = {})
      : optimizer_(std::move(optimizer)), config_((validate(c), c)) {
    frugal::layout const& l = layout();
    std::vector<segment> segments;
    detail::support_traits<all>::segments({}, l, segments);
    std::erase_if(segments, [&](segment const& s) { return s.size == 0 || l.groups()[std::size_t(s.group)].frozen; });
    work_ = detail::work_table<backend_type>(backend(), std::move(segments), index_t(64 / sizeof(P)));
    kept_ = buffer<P, backend_type>(backend(), work_.slots());
    located_ = detail::located_model<P, G, backend_type>(backend(), l);
    sums_ = buffer<double, backend_type>(backend(), detail::sum_scratch(work_.list().tiles));
  }
  sam(sam&&) noexcept = default;
  sam& operator=(sam&&) noexcept = default;

  /// One step. `gradient()` writes to g the gradient at x as it then is, twice, of the same batch; what it returned the
  /// first time, the loss for instance, is what the step returns. x and g as the optimizer takes them. When gradient()
  /// throws, x is what it was.
  template <class X, class Y, class F>
  auto step(X&& x, Y&& g, F&& gradient) {
    validate(config_);
    optimizer_.check_settings();
    located_.locate(backend(), layout(), model_view<P, space>(std::forward<X>(x)),
                    model_view<G const, space>(std::forward<Y>(g)));
    if constexpr (std::is_void_v<decltype(gradient())>) {
      gradient();
      finish(x, g, gradient);
    } else {
      auto first = gradient();
      finish(x, g, gradient);
      return first;
    }
  }

  Optimizer& optimizer() { return optimizer_; }
  sam_config& config() { return config_; }

  /// The optimizer's: there is no other.
  template <class Visitor>
  void visit_state(Visitor&& visit) {
    optimizer_.visit_state(visit);
  }
  std::size_t state_bytes() const { return optimizer_.state_bytes(); }
  /// Of the copy that x returns from.
  std::size_t workspace_bytes() const { return kept_.bytes(); }
  std::string algorithm() const { return detail::text("sam(", optimizer_.algorithm(), ")"); }
  std::uint64_t state_layout() const { return optimizer_.state_layout(); }
  frugal::layout const& layout() const { return optimizer_.layout(); }
  backend_type const& backend() const { return optimizer_.backend(); }

 private:
  struct on_the_edge {  // as long as it lives
    sam& of;
    explicit on_the_edge(sam& s) : of(s) {
      P* const* const x = of.located_.xs_there();
      G const* const* const g = of.located_.gs_there();
      double const* const squares = detail::canonical_sum(
          of.backend(), of.work_.list(), detail::sam_squares<T, P, G>{x, g, of.config_.adaptive}, of.sums_.data());
      of.backend().for_each(of.work_.list(), detail::sam_climb<T, P, G>{x, g, of.kept_.data(), squares, of.config_.rho,
                                                                        of.config_.adaptive});
    }
    on_the_edge(on_the_edge const&) = delete;
    ~on_the_edge() {
      of.backend().for_each(of.work_.list(), detail::sam_return<T, P>{of.located_.xs_there(), of.kept_.data()});
    }
  };
  template <class X, class Y, class F>
  void finish(X&& x, Y&& g, F&& gradient) {
    if (config_.rho > 0) {
      // gradient() may have assigned to a vector g
      located_.locate(backend(), layout(), model_view<P, space>(x), model_view<G const, space>(g));
      const on_the_edge here(*this);
      gradient();
    }
    optimizer_.step(x, g);
  }

  Optimizer optimizer_;
  sam_config config_;
  detail::located_model<P, G, backend_type> located_;
  detail::work_table<backend_type> work_;
  buffer<P, backend_type> kept_;
  buffer<double, backend_type> sums_;
};

}  // namespace v0
}  // namespace frugal
