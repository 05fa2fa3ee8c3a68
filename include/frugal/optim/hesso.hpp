// SPDX-License-Identifier: Apache-2.0
/// @file HESSO: Chen et al., "HESSO: Towards Automatic Efficient and User Friendly Any Neural Network Training and
/// Pruning", arXiv 2409.09085: any optimizer trains, and groups of weights that do least are taken to zero on the way,
/// to an exact count, and cut out at the end.
///
///     d = what the optimizer's step subtracts, over lr
///     where a period begins: the R/P groups of the lowest scores of (x, d) shrink from now on
///     x = x - lr d;  of a group that shrinks  x = x (q - h - 1) / (q - h),  h = 1 ... q - 1;  then 0 for ever
#pragma once
#include "../core/counter.hpp"
#include "../core/element_policies.hpp"
#include "../core/model_view.hpp"
#include "../core/state.hpp"
#include "group_sets.hpp"

namespace frugal {
inline namespace v0 {

/// Defaults of the released code, but for `pruning_steps`, which has none there.
struct hesso_config {
  double sparsity = 0.5;           ///< share of the groups to remove, [0, 1)
  std::int64_t start = 0;          ///< steps of plain training before, >= 0
  std::int64_t pruning_steps = 1;  ///< over which groups are removed, >= periods
  std::int64_t periods = 1;        ///< in so many rounds of choosing, >= 1
  std::int64_t divisible = 1;      ///< what a set keeps is a multiple of it, >= 1
  double magnitude = 0.2, mean_magnitude = 0.2, cosine = 0.2, taylor1 = 0.2, taylor2 = 0.2;  ///< weights, >= 0
};
inline void validate(hesso_config const& c) {
  require_range("sparsity", c.sparsity, 0, 1);
  require(c.start >= 0, "start", ">= 0", c.start);
  require(c.periods >= 1, "periods", ">= 1", c.periods);
  require(c.pruning_steps >= c.periods, "pruning_steps", detail::text("at least periods, ", c.periods),
          c.pruning_steps);
  require(c.divisible >= 1, "divisible", ">= 1", c.divisible);
  for (double w : {c.magnitude, c.mean_magnitude, c.cosine, c.taylor1, c.taylor2})
    require_range("the weight of a criterion", w, 0, 1e30, true);
}

/// Of a group: the sums of x^2, d^2 and x d, and how many elements they are over.
struct group_sums {
  double xx, dd, xd;
  index_t size;
};
/// Low: does little. Each criterion is divided by its norm over all groups.
inline std::vector<double> group_scores(hesso_config const& c, std::vector<group_sums> const& groups) {
  std::vector<exact> scores(groups.size(), exact(0.0));
  const auto criterion = [&](double weight, auto const& of) {
    if (weight == 0) return;
    exact norm(1e-8);
    for (group_sums const& g : groups) norm = norm + of(g) * of(g);
    norm = sqrt(norm) + exact(1e-8);
    for (std::size_t i = 0; i < groups.size(); ++i) scores[i] = scores[i] + exact(weight) * (of(groups[i]) / norm);
  };
  const auto root = [](double s) { return sqrt(exact(s)); };
  criterion(c.magnitude, [&](group_sums const& g) { return root(g.xx); });
  criterion(c.mean_magnitude, [&](group_sums const& g) { return root(g.xx) / (exact(double(g.size)) + exact(1e-6)); });
  criterion(c.cosine, [&](group_sums const& g) {
    return exact(g.xd) / ((root(g.xx) + exact(1e-8)) * (root(g.dd) + exact(1e-8))) + exact(1.0);
  });
  criterion(c.taylor1, [](group_sums const& g) { return exact(g.xd < 0 ? -g.xd : g.xd); });
  criterion(c.taylor2, [](group_sums const& g) { return exact(0.5) * (exact(g.xd) * exact(g.xd)); });
  std::vector<double> out;
  for (exact s : scores) out.push_back(s.v[0]);
  return out;
}

/// What is left of a model: its layout, its parameters, and of each set the groups that were kept.
template <class P>
struct extracted {
  frugal::layout layout;
  std::vector<P> x;
  std::vector<std::vector<index_t>> kept;
};

/// @tparam Optimizer  an element optimizer (momentum, adamw ...)
template <class Optimizer>
class hesso {
  using backend_type = std::remove_cvref_t<decltype(std::declval<Optimizer&>().backend())>;
  using policies = decltype(detail::policies_of(std::declval<Optimizer const&>()));

 public:
  using space = typename Optimizer::space;
  using param = typename policies::types::param;

  hesso(Optimizer optimizer, std::vector<group_set> sets, hesso_config c = {})
      : optimizer_(std::move(optimizer)),
        config_((validate(c), c)),
        sets_(optimizer_.layout(), std::move(sets), c.divisible),
        steps_(optimizer_.backend()),
        periods_(optimizer_.backend()) {
    backend_type const& b = backend();
    members_ = {b, sets_.members()};
    ranges_ = {b, sets_.ranges()};
    set_of_group_ = {b, sets_.set_of_group()};
    status_ = {b, sets_.groups()};
    status_.fill(std::uint8_t(detail::group_status::kept));
    sums_ = {b, 3 * sets_.groups()};
    xs_.resize(layout().tensors().size());
    xs_there_ = {b, xs_};
    if (target() > 0) before_ = {b, layout().size()};
  }

  /// One update, as the optimizer's; then groups shrink. Where a period begins it waits for the backend.
  template <class X, class G>
  void step(X&& x, G&& g) {
    optimizer_.check_settings();
    require(optimizer_.options().lr.size() == 0, "the rate of hesso's optimizer", "config().lr", "a view");
    model_view<param, space>(x).for_each(layout(), "parameters", [&](std::size_t i, param* p) {
      changed_ = changed_ || xs_[i] != p;
      xs_[i] = p;
    });
    const std::int64_t n = steps_.get() + 1, q = config_.pruning_steps / config_.periods, since = n - config_.start;
    const std::int64_t period = periods_.get();
    const bool chooses = target() > 0 && since >= 0 && period < config_.periods && (since - 1) % q == 0;
    if (chooses)
      for (tensor const& t : layout().tensors())
        if (t.size > 0)
          backend().copy(before_.data() + t.offset, xs_[std::size_t(&t - layout().tensors().data())],
                         std::size_t(t.size) * sizeof(param));
    optimizer_.step(x, g);
    steps_.set(n);
    if (std::exchange(changed_, false)) to_backend(backend(), xs_there_.view(), xs_);
    if (chooses) {
      choose(period);
      periods_.set(period + 1);
    }
    if (periods_.get() == 0) return;
    const std::int64_t h = since % q;
    backend().for_teams(detail::shrink_groups<param>{
        table(), xs_there_.data(), status_.data(), (exact(double(q - h - 1)) / exact(double(q - h))).v[0], h == q - 1});
  }

  Optimizer& optimizer() { return optimizer_; }
  hesso_config const& config() const { return config_; }
  /// Groups in all, those to remove, and those removed by now.
  index_t groups() const { return sets_.groups(); }
  index_t target() const { return sets_.target(config_.sparsity); }
  index_t removed() const {
    index_t n = 0;
    for (std::uint8_t s : to_host(backend(), status_.view())) n += s == std::uint8_t(detail::group_status::removed);
    return n;
  }
  /// The network without the groups that were removed; in host memory. Waits for the backend.
  /// @param x  parameters as step() leaves them
  template <class X>
  extracted<param> extract(X&& x) const {
    std::vector<param> all(std::size_t(layout().size()));
    model_view<param, space>(x).for_each(layout(), "parameters", [&](std::size_t i, param* p) {
      tensor const& t = layout().tensors()[i];
      if (t.size > 0) backend().copy_out(all.data() + t.offset, p, std::size_t(t.size) * sizeof(param));
    });
    std::vector<bool> keep;
    for (std::uint8_t s : to_host(backend(), status_.view()))
      keep.push_back(s != std::uint8_t(detail::group_status::removed));
    extracted<param> rest{layout(), {}, sets_.kept(keep)};
    rest.layout = sets_.cut(layout(), rest.kept, [&](index_t from) { rest.x.push_back(all[std::size_t(from)]); });
    return rest;
  }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("steps", role::counter, steps_.show());
    visit("periods", role::counter, periods_.show());
    visit("status", role::codes, status_.view());
    optimizer_.visit_state(
        [&](std::string_view name, role r, auto v) { visit("optimizer." + std::string(name), r, v); });
  }
  std::size_t state_bytes() const { return optimizer_.state_bytes() + status_.bytes() + before_.bytes(); }
  std::string algorithm() const { return detail::text("hesso(", optimizer_.algorithm(), ")"); }
  std::uint64_t state_layout() const { return fnv1a().add(optimizer_.state_layout()).add(sets_.hash()).value(); }
  frugal::layout const& layout() const { return optimizer_.layout(); }
  backend_type const& backend() const { return optimizer_.backend(); }

 private:
  detail::group_table table() const { return {members_.data(), ranges_.data(), set_of_group_.data(), sets_.groups()}; }
  // Scores on the host; the groups that shrink from now on.
  void choose(std::int64_t period) {
    detail::sum_groups<param> sum{table(), xs_there_.data(), before_.data(), optimizer_.config().lr, sums_.data()};
    backend().for_teams(sum);
    const std::vector<double> sums = to_host(backend(), sums_.view());
    std::vector<group_sums> groups;
    for (index_t g = 0; g < sets_.groups(); ++g) {
      double const* s = sums.data() + 3 * g;
      groups.push_back({s[0], s[1], s[2], sets_.size_of_group(g)});
    }
    std::vector<std::uint8_t> status = to_host(backend(), status_.view());
    const index_t each = target() / config_.periods;
    sets_.choose(group_scores(config_, groups),
                 period == config_.periods - 1 ? target() - each * (config_.periods - 1) : each, status);
    to_backend(backend(), status_.view(), status);
  }

  Optimizer optimizer_;
  hesso_config config_;
  detail::group_sets sets_;
  counter<backend_type> steps_, periods_;
  bool changed_ = false;
  std::vector<param*> xs_;
  buffer<param*, backend_type> xs_there_;
  buffer<detail::group_member_there, backend_type> members_;
  buffer<detail::group_range, backend_type> ranges_;
  buffer<std::int32_t, backend_type> set_of_group_;
  buffer<std::uint8_t, backend_type> status_;
  buffer<double, backend_type> sums_;
  buffer<param, backend_type> before_;
};

}  // namespace v0
}  // namespace frugal
