// SPDX-License-Identifier: Apache-2.0
/// @file Interleaved timing: every case runs once a round, and what is reported is the median of the ratios inside a
/// round, because the speed of shared memory moves from minute to minute, and with it every absolute figure.
#pragma once
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// The ratio of a case to another of the same table; `bound` is the most that it may be, NaN if there is none.
struct comparison {
  std::string against;
  double bound;
  bool reported;  ///< written with the others although it has no bound
  double ratio = 0;
};

struct timing {
  std::string name;
  double bytes;                ///< read and written for an element
  std::function<void()> pass;  ///< over all elements of the table
  std::vector<comparison> to;
  double seconds = 0;  ///< of one pass, the median

  timing& against(std::string reference, double bound = std::numeric_limits<double>::quiet_NaN()) {
    to.push_back({std::move(reference), bound, !std::isnan(bound)});
    return *this;
  }
  /// Another's program for the same: nothing is demanded, but it is written.
  timing& beside(std::string reference) {
    to.push_back({std::move(reference), std::numeric_limits<double>::quiet_NaN(), true});
    return *this;
  }
};

struct effort {
  int rounds = 11;
  double sample_seconds = 5e-3;  ///< a sample repeats its pass until it lasts this long
  bool lockstep = false;         ///< several processes measure together: every one makes every pass just once
};

inline double median(std::vector<double> v) {
  auto const middle = v.begin() + std::ptrdiff_t(v.size() / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

/// Cases over the same number of elements and threads, timed in the same rounds.
class table {
 public:
  table(std::size_t elements, int threads) : elements_(elements), threads_(threads) {}

  timing& add(std::string name, double bytes, std::function<void()> pass) {
    return cases_.emplace_back(timing{std::move(name), bytes, std::move(pass), {}});
  }

  /// Keeps the cases whose names contain `text`, and what they are compared with.
  void keep(std::string const& text) {
    std::vector<timing> kept;
    for (timing const& c : cases_) {
      auto const wanted = [&](timing const& other) { return other.name.find(text) != std::string::npos; };
      auto const needs_c = [&](timing const& other) {
        return wanted(other) &&
               std::any_of(other.to.begin(), other.to.end(), [&](auto& r) { return r.against == c.name; });
      };
      if (wanted(c) || std::any_of(cases_.begin(), cases_.end(), needs_c)) kept.push_back(c);
    }
    for (timing& c : kept)
      if (c.name.find(text) == std::string::npos) c.to.clear();
    cases_ = std::move(kept);
  }

  void measure(effort const& e) {
    samples_ = disturbed_ = 0;
    std::vector<int> passes;
    for (timing const& c : cases_) {
      c.pass();
      double const once = std::max(lasts(c, 1), 1e-9);
      passes.push_back(e.lockstep ? 1 : int(std::clamp(std::ceil(e.sample_seconds / once), 1.0, 1e6)));
    }
    std::vector<std::vector<double>> t(cases_.size());
    for (int round = 0; round < e.rounds; ++round)
      for (std::size_t k = 0; k < cases_.size(); ++k) {  // each round begins with another case
        std::size_t const i = (k + std::size_t(round)) % cases_.size();
        t[i].push_back(sample(cases_[i], passes[i], e.lockstep ? 1 : 4));
      }
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      cases_[i].seconds = median(t[i]);
      for (comparison& r : cases_[i].to) {
        std::vector<double> ratios;
        for (std::size_t k = 0; k < t[i].size(); ++k) ratios.push_back(t[i][k] / t[find(r.against)][k]);
        r.ratio = median(ratios);
      }
    }
  }

  std::size_t elements() const { return elements_; }
  int threads() const { return threads_; }
  /// The share of the samples during which nobody else wanted a core.
  double undisturbed() const { return samples_ ? 1 - double(disturbed_) / samples_ : 1; }
  std::vector<timing> const& cases() const { return cases_; }
  timing const& operator[](std::string const& name) const { return cases_[find(name)]; }

 private:
  std::size_t find(std::string const& name) const {
    for (std::size_t i = 0; i < cases_.size(); ++i)
      if (cases_[i].name == name) return i;
    throw std::invalid_argument("no case named '" + name + "' in this table");
  }

  double now() const {  // one thread's own time leaves out what others do on its core
    timespec t;
    clock_gettime(threads_ == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
  }
  long preemptions() const {
    rusage u;
    getrusage(threads_ == 1 ? RUSAGE_THREAD : RUSAGE_SELF, &u);
    return u.ru_nivcsw;
  }
  double lasts(timing const& c, int passes) const {
    double const start = now();
    for (int k = 0; k < passes; ++k) c.pass();
    return (now() - start) / passes;
  }
  /// A sample that lost its core is taken again; on a busy machine the best of a few has to do.
  double sample(timing const& c, int passes, int attempts) {
    double best = std::numeric_limits<double>::infinity();
    ++samples_;
    for (int attempt = 0; attempt < attempts; ++attempt) {
      long const before = preemptions();
      best = std::min(best, lasts(c, passes));
      if (preemptions() == before) return best;
    }
    ++disturbed_;
    return best;
  }

  std::size_t elements_;
  int threads_, samples_ = 0, disturbed_ = 0;
  std::vector<timing> cases_;
};

}  // namespace bench
