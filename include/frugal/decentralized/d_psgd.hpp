// SPDX-License-Identifier: Apache-2.0
/// @file D-PSGD: Lian, Zhang, Zhang, Hsieh, Zhang, Liu, "Can Decentralized Algorithms Outperform Centralized
/// Algorithms? A Case Study for Decentralized Parallel Stochastic Gradient Descent", NeurIPS 2017: any optimizer's
/// local steps, and a gossip of the parameters. The optimizer's state stays local.
///
///     combine, then adapt:  x_i = sum over j of W_ij x_j - eta g_i(x_i)        (Algorithm 1)
///     adapt, then combine:  x_i = sum over j of W_ij (x_j - eta g_j(x_j))
#pragma once
#include "../core/counter.hpp"
#include "../core/overlap.hpp"
#include "../core/state.hpp"
#include "neighbourhood.hpp"

namespace frugal {
inline namespace v0 {

enum class mixing_order {
  combine_then_adapt,  ///< CTA: the gradient is that of the model before it was mixed
  adapt_then_combine   ///< ATC: what is mixed has made its step
};

struct d_psgd_config {
  mixing_order order = mixing_order::combine_then_adapt;
  int local_steps = 1;  ///< steps a mixing, >= 1
};
inline void validate(d_psgd_config const& c) { require(c.local_steps >= 1, "local_steps", ">= 1", c.local_steps); }

/// One rank's side; all ranks construct it and step together, from equal parameters (broadcast them).
/// Optimizer: lion, adamw ... of float parameters. Mixing: gossip, choco. Both are moved in, of one layout.
template <class Optimizer, class Mixing>
class d_psgd {
  using backend_type = std::remove_cvref_t<decltype(std::declval<Optimizer&>().backend())>;

 public:
  using space = typename Optimizer::space;
  static_assert(std::is_same_v<space, typename Mixing::space>, "frugal: an optimizer and a mixing in two memories");

  /// Collective.
  d_psgd(Optimizer optimizer, Mixing mixing, d_psgd_config c = {})
      : optimizer_(std::move(optimizer)),
        mixing_(std::move(mixing)),
        config_((validate(c), c)),
        steps_(optimizer_.backend()) {
    require(optimizer_.layout().hash() == mixing_.layout().hash(), "the layout of an optimizer and its mixing",
            detail::text("one (hash ", optimizer_.layout().hash(), ")"),
            detail::text("another (hash ", mixing_.layout().hash(), ")"));
    for (int k = 0; k < mixing_.schedule().period(); ++k)
      require(mixing_.schedule().turn(k).is_symmetric(), "the weights of d_psgd", "a symmetric matrix", "another");
    detail::agree(mixing_.world(), "d_psgd", {{"the order", int(c.order), true}, {"local_steps", c.local_steps, true}});
  }

  /// One local step, and a mixing where it is due. g is the gradient at x as it is now. Collective where it mixes. When
  /// a message is refused, x has made the local step if that comes first, and nothing else.
  void step(view<float, space> x, view<float const, space> g) {
    check(x.data(), x.size(), "parameters");  // before anything is mixed
    check(g.data(), g.size(), "gradient");
    overlap_.clear();
    overlap_.add(x.data(), x.size(), true);
    overlap_.add(g.data(), g.size(), false);
    overlap_.refuse_overlap("parameters and gradients");
    optimizer_.check_settings();
    const std::int64_t t = steps_.get(), within = t % config_.local_steps;
    if (config_.order == mixing_order::combine_then_adapt && within == 0) mixing_.step(x);
    optimizer_.step(x, g);
    if (config_.order == mixing_order::adapt_then_combine && within == config_.local_steps - 1) mixing_.step(x);
    steps_.set(t + 1);
  }

  Optimizer& optimizer() { return optimizer_; }
  Mixing& mixing() { return mixing_; }
  d_psgd_config const& config() const { return config_; }
  /// Local steps so far.
  std::int64_t steps() const { return steps_.get(); }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("steps", role::counter, steps_.show());
    const auto named = [&](char const* part) {
      return [&visit, part](std::string_view name, role r, auto v) { visit(part + std::string(name), r, v); };
    };
    optimizer_.visit_state(named("optimizer."));
    mixing_.visit_state(named("mixing."));
  }
  std::size_t state_bytes() const { return optimizer_.state_bytes() + mixing_.state_bytes(); }
  std::string algorithm() const {
    return detail::text("d_psgd(", optimizer_.algorithm(), ", ", mixing_.algorithm(), ")");
  }
  std::uint64_t state_layout() const {
    return fnv1a().add(optimizer_.state_layout()).add(mixing_.state_layout()).value();
  }
  frugal::layout const& layout() const { return mixing_.layout(); }
  backend_type const& backend() const { return optimizer_.backend(); }

 private:
  void check(float const* p, index_t n, char const* what) const {
    require(n == layout().size(), what, layout().size(), n);
    require(p || n == 0, what, "a pointer", "null");
  }
  Optimizer optimizer_;
  Mixing mixing_;
  d_psgd_config config_;
  counter<backend_type> steps_;
  detail::overlap_check overlap_{2};
};

}  // namespace v0
}  // namespace frugal
