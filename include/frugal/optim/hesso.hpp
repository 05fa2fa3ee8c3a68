// SPDX-License-Identifier: Apache-2.0
/// @file HESSO: Chen et al., "HESSO: Towards Automatic Efficient and User Friendly Any Neural Network Training and
/// Pruning", arXiv 2409.09085: an optimizer trains, and groups of weights that do least are taken to zero on the way,
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
  require(c.magnitude > 0 || c.mean_magnitude > 0 || c.cosine > 0 || c.taylor1 > 0 || c.taylor2 > 0,
          "the weights of the criteria", "one that is > 0", "0 for all");
}

/// Of a group: the sums of p^2, d^2 and p d, and how many elements they are over.
struct group_sums {
  double pp, dd, pd;
  index_t size;
};
/// Low: does little. Each criterion is divided by its norm over all groups where its square is finite.
/// @param scores  of as many elements as there are groups
inline void group_scores(hesso_config const& c, std::vector<group_sums> const& groups, std::vector<double>& scores) {
  std::fill(scores.begin(), scores.end(), 0.0);
  const auto criterion = [&](double weight, auto const& of) {
    if (weight == 0) return;
    exact norm(1e-8);
    for (group_sums const& g : groups) {
      const exact square = of(g) * of(g);
      if (square.v[0] - square.v[0] == 0) norm = norm + square;
    }
    norm = sqrt(norm) + exact(1e-8);
    for (std::size_t i = 0; i < groups.size(); ++i)
      scores[i] = (exact(scores[i]) + exact(weight) * (of(groups[i]) / norm)).v[0];
  };
  const auto root = [](double s) { return sqrt(exact(s)); };
  criterion(c.magnitude, [&](group_sums const& g) { return root(g.pp); });
  criterion(c.mean_magnitude, [&](group_sums const& g) { return root(g.pp) / (exact(double(g.size)) + exact(1e-6)); });
  criterion(c.cosine, [&](group_sums const& g) {
    return exact(g.pd) / ((root(g.pp) + exact(1e-8)) * (root(g.dd) + exact(1e-8))) + exact(1.0);
  });
  criterion(c.taylor1, [](group_sums const& g) { return exact(g.pd < 0 ? -g.pd : g.pd); });
  criterion(c.taylor2, [](group_sums const& g) { return exact(0.5) * (exact(g.pd) * exact(g.pd)); });
}

/// What is left of a model: its layout, its parameters, and of each set the groups that were kept.
template <class P>
struct extracted {
  frugal::layout layout;
  std::vector<P> x;
  std::vector<std::vector<index_t>> kept;
};

namespace detail {

/// An optimizer of an element rule, or a sharded one.
template <class Optimizer>
concept moves_elements = requires(Optimizer const& o) {
  typename Optimizer::element_types;
  { o.factors_there() } -> std::same_as<group_factors const*>;
};
/// Schedule-Free's: the weights that count are not those of a step.
template <class Optimizer>
inline constexpr bool keeps_an_average = requires(Optimizer const& o) {
  o.evaluating();
};
template <class Optimizer>
requires requires { typename Optimizer::optimizer_type; }
inline constexpr bool keeps_an_average<Optimizer> = keeps_an_average<typename Optimizer::optimizer_type>;

/// A model whose groups go to zero: where its tensors are, and what the backend is told about the groups.
template <class Backend, class P, class G>
class pruned_model {
 public:
  using backend_type = Backend;
  using param = P;
  using space = typename Backend::space;

  pruned_model(Backend b, frugal::layout l, std::vector<group_set> sets, hesso_config const& c)
      : backend_(b),
        layout_(std::move(l)),
        config_((validate(c), c)),
        sets_(layout_, std::move(sets), c.divisible),
        target_(sets_.target(c.sparsity)),
        located_(b, layout_),
        members_(b, sets_.members()),
        ranges_(b, sets_.ranges()),
        set_of_group_(b, sets_.set_of_group()),
        status_there_(b, sets_.groups()),
        status_(std::size_t(sets_.groups()), std::uint8_t(group_status::kept)),
        sums_there_(b, target_ > 0 ? 3 * sets_.groups() : 0),
        sums_(std::size_t(sums_there_.size())),
        scores_(std::size_t(sets_.groups())),
        before_(b, target_ > 0 ? layout_.size() : 0) {
    const index_t most = target_ - target_ / c.periods * (c.periods - 1);  // the last period's
    if (target_ > 0 && most < sets_.fewest())
      refuse("sparsity, with periods and divisible", text("at least ", sets_.fewest(), " groups in the last period"),
             text(most));
    for (index_t g = 0; g < sets_.groups(); ++g) groups_.push_back({0, 0, 0, sets_.size_of_group(g)});
    to_backend(b, status_there_.view(), status_);
  }

  frugal::layout const& layout() const { return layout_; }
  Backend const& backend() const { return backend_; }
  hesso_config const& config() const { return config_; }
  group_sets& sets() { return sets_; }
  group_sets const& sets() const { return sets_; }
  index_t target() const { return target_; }
  buffer<std::uint8_t, Backend> const& status() const { return status_there_; }
  buffer<P, Backend> const& before() const { return before_; }

  /// Of the step to come. Throws what the optimizer would, as not every step goes there.
  void locate(model_view<P, space> x, model_view<G const, space> g) { located_.locate(backend_, layout_, x, g); }
  /// x to a flat copy, and back: of all tensors, or of those without groups that count.
  void save(buffer<P, Backend> const& to) const {
    for_tensors(false, [&](tensor const& t, P* x) { backend_.copy(to.data() + t.offset, x, bytes(t)); });
  }
  void load(buffer<P, Backend> const& from, bool of_no_group = false) const {
    for_tensors(of_no_group, [&](tensor const& t, P* x) { backend_.copy(x, from.data() + t.offset, bytes(t)); });
  }

  /// What a step of the optimizer made of x, scored; waits for the backend.
  /// @param p  where its gradient was taken
  /// @param start  where the step began
  std::vector<double> const& score(buffer<P, Backend> const& p, buffer<P, Backend> const& start, group_rates rates) {
    backend_.for_teams(sum_groups<P>{table(), located_.xs_there(), p.data(), start.data(), rates, sums_there_.data()});
    backend_.copy_out(sums_.data(), sums_there_.data(), sums_there_.bytes());
    for (std::size_t g = 0; g < groups_.size(); ++g)
      groups_[g].pp = sums_[3 * g], groups_[g].dd = sums_[3 * g + 1], groups_[g].pd = sums_[3 * g + 2];
    group_scores(config_, groups_, scores_);
    return scores_;
  }
  /// Changes the status of groups; waits for the backend.
  template <class F>
  void with_status(F const& change) {
    backend_.copy_out(status_.data(), status_there_.data(), status_there_.bytes());
    change(status_);
    to_backend(backend_, status_there_.view(), status_);
  }
  /// What shrinks is multiplied by left / (left + 1), and is removed when nothing is left; what was removed is zero.
  void shrink(std::int64_t left, bool removes = true) {
    const double factor = (exact(double(left)) / exact(double(left + 1))).v[0];
    backend_.for_teams(
        shrink_groups<P>{table(), located_.xs_there(), status_there_.data(), factor, removes && left == 0});
  }

 private:
  group_table table() const { return {members_.data(), ranges_.data(), set_of_group_.data(), sets_.groups()}; }
  static std::size_t bytes(tensor const& t) { return std::size_t(t.size) * sizeof(P); }
  template <class F>
  void for_tensors(bool of_no_group, F const& f) const {
    for (std::size_t i = 0; i < layout_.tensors().size(); ++i) {
      tensor const& t = layout_.tensors()[i];
      if (t.size > 0 && !(of_no_group && sets_.prunable_tensor(index_t(i)))) f(t, located_.x(std::int32_t(i)));
    }
  }

  Backend backend_;
  frugal::layout layout_;
  hesso_config config_;
  group_sets sets_;
  index_t target_;
  located_model<P, G, Backend> located_;
  buffer<group_member_there, Backend> members_;
  buffer<group_range, Backend> ranges_;
  buffer<std::int32_t, Backend> set_of_group_;
  buffer<std::uint8_t, Backend> status_there_;
  std::vector<std::uint8_t> status_;
  buffer<double, Backend> sums_there_;
  std::vector<double> sums_, scores_;
  std::vector<group_sums> groups_;
  buffer<P, Backend> before_;
};

/// How redundant groups are found, and what a step is while they are looked for; the other is in optim/cric.hpp.
template <class Identification, class Model>
class identification;

}  // namespace detail

/// HESSO: where a period begins, by the scores of that step.
struct saliency {
  static constexpr char const* name = "";
  static constexpr std::size_t losses = 0;  ///< that a step takes
};

namespace detail {
template <class Model>
class identification<saliency, Model> {
 public:
  identification(Model const& m, saliency) : periods_(m.backend()) {}

  /// @param n  the step's number, from 1
  /// @param train  what the optimizer does to x; false where it skipped the step
  template <class Train>
  void step(Model& m, std::int64_t n, group_rates rates, Train const& train) {
    hesso_config const& c = m.config();
    const std::int64_t q = c.pruning_steps / c.periods, since = n - c.start, period = periods_.get();
    const bool chooses = m.target() > 0 && since >= 0 && period < c.periods && (since - 1) % q == 0;
    if (chooses) m.save(m.before());
    if (!train()) return;
    if (chooses) {
      auto const& scores = m.score(m.before(), m.before(), rates);
      const index_t each = m.target() / c.periods;
      const index_t count = period == c.periods - 1 ? m.target() - each * (c.periods - 1) : each;
      m.with_status([&](auto& status) { m.sets().choose(scores, count, status); });
      periods_.set(period + 1);
    }
    if (periods_.get() > 0) m.shrink(q - since % q - 1);
  }
  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("periods", role::counter, periods_.show());
  }
  std::size_t state_bytes() const { return 0; }

 private:
  counter<typename Model::backend_type> periods_;
};
}  // namespace detail

/// @tparam Optimizer  an element optimizer (momentum, adamw ...), or one that is sharded: ranks have all parameters,
/// and find the same
/// @tparam Identification  how redundant groups are found: saliency, or cric (optim/cric.hpp)
template <class Optimizer, class Identification = saliency>
class hesso {
  static_assert(
      detail::moves_elements<Optimizer>,
      "frugal: hesso, with saliency or cric, is around an optimizer of an element rule (momentum, adamw, lion "
      "...), or sharded around one: tensors that soap, muon ... are to move get an object of their own (layout::only)");
  static_assert(!detail::keeps_an_average<Optimizer>,
                "frugal: hesso prunes the parameters of a step, and the result of schedule_free_adamw is an average of "
                "others, which would not be pruned: give it another optimizer (adamw)");
  using backend_type = std::remove_cvref_t<decltype(std::declval<Optimizer&>().backend())>;
  using grad = typename Optimizer::element_types::grad;

 public:
  using space = typename Optimizer::space;
  using param = typename Optimizer::element_types::param;

  hesso(Optimizer optimizer, std::vector<group_set> sets, hesso_config c = {}, Identification how = {})
      : optimizer_(std::move(optimizer)),
        model_(optimizer_.backend(), optimizer_.layout(), std::move(sets), c),
        identification_(model_, how),
        steps_(optimizer_.backend()) {}

  /// One update, as the optimizer's; then groups shrink. Where groups are scored it waits for the backend.
  /// @param loss  of cric: the loss at x, of the batch of g; or what returns the loss at x as it then is, of one batch
  template <class X, class G, class... Loss>
  void step(X&& x, G&& g, Loss&&... loss) {
    static_assert(sizeof...(Loss) == Identification::losses,
                  "frugal: with cric a step takes the loss, too, a number or what returns one: step(x, g, loss); with "
                  "saliency it takes none");
    optimizer_.check_settings();
    require(optimizer_.options().lr.size() == 0, "the rate of hesso's optimizer", "config().lr", "a view");
    model_.locate(std::forward<X>(x), std::forward<G>(g));
    const std::int64_t n = steps_.get() + 1;
    bool counts = true;
    const auto train = [&] {
      const std::int64_t before = skips();
      optimizer_.step(x, g);
      return counts = skips() == before;
    };
    identification_.step(model_, n, {optimizer_.config().lr, optimizer_.factors_there()}, train, loss...);
    if (counts) steps_.set(n);
  }

  Optimizer& optimizer() { return optimizer_; }
  hesso_config const& config() const { return model_.config(); }
  /// What finds the groups that are redundant, and tells where it is.
  auto const& identification() const { return identification_; }
  /// Groups in all, those to remove, and those removed by now.
  index_t groups() const { return model_.sets().groups(); }
  index_t target() const { return model_.target(); }
  index_t removed() const {
    index_t n = 0;
    for (std::uint8_t s : to_host(backend(), model_.status().view())) n += is_removed(s);
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
    for (std::uint8_t s : to_host(backend(), model_.status().view())) keep.push_back(!is_removed(s));
    detail::group_sets const& sets = model_.sets();
    extracted<param> rest{layout(), {}, sets.kept(keep)};
    rest.layout = sets.cut(layout(), rest.kept, [&](index_t from) { rest.x.push_back(all[std::size_t(from)]); });
    return rest;
  }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("steps", role::counter, steps_.show());
    identification_.visit_state(visit);
    visit("status", role::codes, model_.status().view());
    optimizer_.visit_state(
        [&](std::string_view name, role r, auto v) { visit("optimizer." + std::string(name), r, v); });
  }
  std::size_t state_bytes() const {
    return optimizer_.state_bytes() + identification_.state_bytes() + model_.status().bytes() + model_.before().bytes();
  }
  std::string algorithm() const {
    return detail::text("hesso", Identification::name, "(", optimizer_.algorithm(), ")");
  }
  std::uint64_t state_layout() const {
    return fnv1a().add(optimizer_.state_layout()).add(model_.sets().hash()).value();
  }
  frugal::layout const& layout() const { return optimizer_.layout(); }
  backend_type const& backend() const { return optimizer_.backend(); }

 private:
  /// Steps that were skipped. Waits for the backend where the options, here or on another rank, allow that.
  std::int64_t skips() {
    constexpr bool sharded = !detail::has_element_rule<Optimizer>;
    const bool may = sharded || optimizer_.options().skip_nonfinite || optimizer_.options().found_inf.size() > 0;
    return may ? optimizer_.report().skipped : 0;
  }
  static bool is_removed(std::uint8_t s) { return s == std::uint8_t(detail::group_status::removed); }

  Optimizer optimizer_;
  detail::pruned_model<backend_type, param, grad> model_;
  detail::identification<Identification, decltype(model_)> identification_;
  counter<backend_type> steps_;
};

}  // namespace v0
}  // namespace frugal
