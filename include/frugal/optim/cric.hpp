// SPDX-License-Identifier: Apache-2.0
/// @file HESSO-CRIC, the corrective redundancy identification cycles of Chen et al., "HESSO: Towards Automatic
/// Efficient and User Friendly Any Neural Network Training and Pruning", arXiv 2409.09085: redundant groups are found
/// before any of them is lost, on ways that are taken back.
///
///     probe:  of each set the lowest quarter, half, three quarters to zero, one after the other; the loss there
///     cycles: V = the R lowest; later, what was among the R lowest in the last cycle and in no V before
///             S steps from x on, in which V goes to zero and all is scored; back to x
///     the R lowest of the mean of all scores + the mean relative loss of the set's probe / its groups shrink to zero
#pragma once
#include <cmath>

#include "hesso.hpp"

namespace frugal {
inline namespace v0 {

enum class cric_schedule {
  gradual,  ///< V goes to zero in equal parts, from x on, in each of `max_cycles` cycles
  released  ///< as the released code has it: V to zero at once, and the last cycle has one step
};
/// How hesso finds redundant groups; `start` is where the probe begins, `pruning_steps` how long groups then shrink.
/// Defaults of the released code, but for `sampling_steps`, which has none there.
struct cric {
  std::int64_t sampling_steps = 10;  ///< steps of a cycle, >= 1
  std::int64_t max_cycles = 10;      ///< >= 1
  std::int64_t tolerance = 0;        ///< cycles end when a new V has no more groups, >= 0
  double loss = 1;                   ///< weight of the probe, >= 0
  cric_schedule schedule = cric_schedule::gradual;
  static constexpr char const* name = "/cric";
  static constexpr std::size_t losses = 1;
};
inline void validate(cric const& c) {
  require(c.sampling_steps >= 1, "sampling_steps", ">= 1", c.sampling_steps);
  require(c.max_cycles >= 1, "max_cycles", ">= 1", c.max_cycles);
  require(c.tolerance >= 0, "tolerance", ">= 0", c.tolerance);
  require_range("the weight of the loss", c.loss, 0, 1e30, true);
}

/// Where hesso with cric is.
enum class cric_stage : std::int64_t { waiting, probing, sampling, shrinking };

namespace detail {
template <class Model>
class identification<cric, Model> {
  using Backend = typename Model::backend_type;
  using P = typename Model::param;
  enum mark : std::uint8_t { unmarked, trial, historical };
  static constexpr std::int64_t shares = 3;  // a quarter, a half, three quarters

 public:
  identification(Model const& m, cric how)
      : how_((validate(how), how)),
        counts_(m.backend(), 4),
        sums_(m.backend(), 1 + m.sets().sets() + m.sets().groups()),
        marks_(m.backend(), m.sets().groups()),
        kept_(zeros<P>(m.backend(), m.target() > 0 ? m.layout().size() : 0)),
        scores_(std::size_t(m.sets().groups())),
        lowest_(scores_.size()) {
    require(m.config().periods == 1, "periods", "1, with cric", m.config().periods);
    for (index_t s = 0; s < m.sets().sets(); ++s)
      if (m.sets().prunable(s)) sets_.push_back(s);
  }

  cric_stage stage() const {
    const std::int64_t s = counts_.get()[0];
    return s < 3 ? cric_stage(s) : cric_stage::shrinking;
  }
  /// Cycles begun so far.
  std::int64_t cycles() const { return counts_.get()[2]; }

  /// @param n  the step's number, from 1
  /// @param train  what the optimizer does to x; false where it skipped the step
  /// @param loss  a number, or what returns one
  template <class Train, class Loss>
  void step(Model& m, std::int64_t n, group_rates rates, Train const& train, Loss& loss) {
    static_assert(std::is_invocable_r_v<double, Loss&> || std::is_convertible_v<Loss&, double>,
                  "frugal: the loss of a step with cric is a number, or what returns one and takes nothing");
    cric_stage now = stage();
    std::int64_t at = counts_.get()[1];
    if (now == cric_stage::waiting && m.target() > 0 && n >= m.config().start) now = cric_stage::probing, at = 0;
    const auto go_on = [&](bool over) {
      counts_.get()[0] = std::int64_t(now) + over;
      counts_.get()[1] = over ? 0 : at + 1;
    };
    switch (now) {
      case cric_stage::waiting:
        return void(train());
      case cric_stage::probing:
        return go_on(probe(m, at, rates, train, loss));
      case cric_stage::sampling:
        return go_on(sample(m, at, rates, train));
      case cric_stage::shrinking: {
        if (!train()) return;
        const std::int64_t left = m.config().pruning_steps - 1 - at;
        m.shrink(left > 0 ? left : 0);
        return go_on(false);
      }
    }
  }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("cric", role::counter, counts_.show());
    visit("cric.sums", role::clock, sums_.show());
    visit("cric.marks", role::codes, marks_.show());
    visit("cric.kept", role::moment, kept_.view());
  }
  std::size_t state_bytes() const { return kept_.bytes() + marks_.get().size() + sums_.get().size() * sizeof(double); }

 private:
  bool released() const { return how_.schedule == cric_schedule::released; }

  // What the optimizer makes of x, or of what was kept, with the gradient at x; scored.
  template <class Train>
  void train_and_score(Model& m, group_rates rates, Train const& train, bool from_kept, bool counts) {
    m.save(m.before());
    if (from_kept) m.load(kept_);
    FRUGAL_TRY { train(); }
    FRUGAL_CATCH_ALL {
      if (from_kept) m.load(m.before());
      FRUGAL_RETHROW;
    }
    scores_ = m.score(m.before(), from_kept ? kept_ : m.before(), rates);
    if (!counts) return;
    double* const sum = sums_.get().data() + 1 + m.sets().sets();
    for (std::size_t g = 0; g < scores_.size(); ++g) sum[g] = (exact(sum[g]) + exact(scores_[g])).v[0];
    ++counts_.get()[3];
  }

  template <class Loss>
  static double value_of(Loss& loss) {
    if constexpr (std::is_invocable_v<Loss&>) return double(loss());
    else return double(loss);
  }
  // Probe k of one set: its lowest groups to zero; and what the loss became.
  void place(Model& m, std::int64_t k) {
    const index_t set = sets_[std::size_t(k / shares)], of = m.sets().size_of_set(set),
                  share = of * (k % shares + 1) / 4;
    m.with_status([&](auto& status) { m.sets().remove(set, scores_, share > 1 ? share : 1, status); });
    m.shrink(0, false);
    m.with_status([&](auto& status) { std::fill(status.begin(), status.end(), std::uint8_t(group_status::kept)); });
  }
  void record(std::int64_t k, double loss) {
    std::vector<double>& s = sums_.get();
    double& sum = s[1 + std::size_t(sets_[std::size_t(k / shares)])];
    // What the network does not survive without is the last to go.
    if (!std::isfinite(loss)) loss = std::numeric_limits<double>::infinity();
    sum = (exact(sum) + exact(loss) / exact(s[0])).v[0];
  }
  // Pairs of steps: one goes to a probe, the other comes back with the loss there. Or all at once.
  template <class Train, class Loss>
  bool probe(Model& m, std::int64_t at, group_rates rates, Train const& train, Loss& loss) {
    const std::int64_t probes = shares * std::int64_t(sets_.size());
    const bool back = at % 2 == 1;
    if (at >= 2 * probes) return true;  // of another's state
    const double now = back || at == 0 ? value_of(loss) : 0;
    if (at == 0) {  // again, where a loss threw
      require(std::isfinite(now) && now > 0, "the loss where cric's probe begins", "a positive number", now);
      std::fill(sums_.get().begin(), sums_.get().end(), 0.0);
      counts_.get()[3] = 0;
    }
    if (!back || released()) train_and_score(m, rates, train, false, released());
    if (at == 0) {
      m.backend().copy(kept_.data(), m.before().data(), kept_.bytes());
      sums_.get()[0] = now;
    }
    m.load(kept_);
    if constexpr (std::is_invocable_v<Loss&>) {
      if (at == 0) {
        FRUGAL_TRY {
          for (std::int64_t k = 0; k < probes; ++k) {
            place(m, k);
            record(k, value_of(loss));
            m.load(kept_);
          }
        }
        FRUGAL_CATCH_ALL {
          m.load(kept_);
          FRUGAL_RETHROW;
        }
        return true;
      }
    }
    if (back) record(at / 2, now);
    else place(m, at / 2);
    return at + 1 == 2 * probes;
  }

  // V of the next cycle; how many they are.
  index_t begin_cycle(Model& m) {
    index_t violating = 0;
    std::vector<std::uint8_t>& marks = marks_.get();
    const bool first = counts_.get()[2] == 0;
    m.with_status([&](auto& status) {
      std::fill(status.begin(), status.end(), std::uint8_t(group_status::kept));
      if (first) m.sets().choose(scores_, m.target(), status);
      for (std::size_t g = 0; g < status.size(); ++g) {
        if (marks[g] == trial) status[g] = std::uint8_t(group_status::shrinking);
        if (status[g] == std::uint8_t(group_status::shrinking)) marks[g] = historical, ++violating;
      }
    });
    return violating;
  }
  template <class Train>
  bool sample(Model& m, std::int64_t at, group_rates rates, Train const& train) {
    const std::int64_t all = how_.sampling_steps, here = at % all;
    const bool begins = released() ? here == 0 : at == 0;
    std::int64_t& cycles = counts_.get()[2];
    train_and_score(m, rates, train, released() && begins, true);
    bool over = false;
    if (begins) {
      const bool few = begin_cycle(m) <= how_.tolerance;
      over = released() && (++cycles >= how_.max_cycles || few);
      if (!released()) cycles = 1;
    }
    std::fill(lowest_.begin(), lowest_.end(), std::uint8_t(group_status::kept));
    m.sets().choose(scores_, m.target(), lowest_);
    std::vector<std::uint8_t>& marks = marks_.get();
    for (std::size_t g = 0; g < marks.size(); ++g)
      if (lowest_[g] == std::uint8_t(group_status::shrinking) && marks[g] == unmarked) marks[g] = trial;
    if (!released() && here == all - 1) {  // back, before the gradient of the next cycle's first step is taken
      m.load(kept_);
      over = cycles >= how_.max_cycles || begin_cycle(m) <= how_.tolerance;
      cycles += !over;
    } else {
      m.load(kept_, true);
      m.shrink(released() ? (all - here) % all : all - here - 1, false);
    }
    if (over) conclude(m);
    return over;
  }
  // What was found to be redundant shrinks from the next step on.
  void conclude(Model& m) {
    std::vector<double> const& s = sums_.get();
    std::size_t g = 0;
    for (index_t set = 0; set < m.sets().sets(); ++set) {
      const double size = double(m.sets().size_of_set(set));
      const exact probed = exact(s[1 + std::size_t(set)]) / exact(double(shares)) / exact(size);
      for (index_t k = 0; k < m.sets().size_of_set(set); ++k, ++g)
        scores_[g] = (exact(s[1 + std::size_t(m.sets().sets()) + g]) / exact(double(counts_.get()[3])) +
                      (how_.loss > 0 ? exact(how_.loss) * probed : exact(0.0)))
                         .v[0];
    }
    m.with_status([&](auto& status) {
      std::fill(status.begin(), status.end(), std::uint8_t(group_status::kept));
      m.sets().choose(scores_, m.target(), status);
    });
    m.load(kept_);
  }

  cric how_;
  std::vector<index_t> sets_;                    // that are probed
  shown_numbers<std::int64_t, Backend> counts_;  // stage, steps in it, cycles begun, samples
  shown_numbers<double, Backend> sums_;  // the loss at first; of each set, of relative losses; of each group, of scores
  shown_numbers<std::uint8_t, Backend> marks_;
  buffer<P, Backend> kept_;  // x where the probe began
  std::vector<double> scores_;
  std::vector<std::uint8_t> lowest_;
};
}  // namespace detail

}  // namespace v0
}  // namespace frugal
