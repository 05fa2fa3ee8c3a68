// SPDX-License-Identifier: Apache-2.0
/// @file Ranks as threads of one process, of which one runs at a time: whoever's virtual time is least has the baton.
/// What happens and when is a function of the program and the options; the machine's scheduler has no say.
#pragma once
#include <algorithm>
#include <condition_variable>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "../core/hash.hpp"
#include "error.hpp"

namespace frugal {
inline namespace v0 {

/// From this virtual time on, the rank does nothing any more.
struct loopback_failure {
  int rank;
  double seconds;
};
struct loopback_options {
  std::uint64_t seed = 1;
  double latency = 0;                                          // seconds from the end of a message to its arrival
  double bandwidth = std::numeric_limits<double>::infinity();  // bytes a second, of every link in each direction
  double jitter = 0;                                           // up to so many seconds more, at random
  std::vector<double> speed = {};                              // of the ranks' compute(); none: 1 for all
  std::vector<loopback_failure> failures = {};
};
struct loopback_report {
  std::vector<double> seconds;  // at which each rank returned, or failed
  std::vector<int> failed;
  std::int64_t messages = 0;
  std::uint64_t schedule = 0;  // a fingerprint of who ran when
};

namespace detail {

// What unwinds a rank that failed, and all of them when the run is over. Not std::exceptions: a handler of errors in
// the body must not take them for one.
struct rank_killed {};
struct run_ended {};

/// What a thread must get before it runs. (A std::binary_semaphore of some libraries can miss a release.)
class baton {
 public:
  void give() {
    const std::lock_guard lock(mutex_);
    given_ = true;
    changed_.notify_one();
  }
  void get() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return given_; });
    given_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool given_ = false;
};

/// Who runs when. What they do to each other is loopback_world's.
class loopback_clock {
 public:
  /// Something that runs: a rank, or a call that it started beside itself.
  struct actor {
    enum class state { ready, waits, done };
    actor(int r, std::function<void()> f) : rank(r), body(std::move(f)) {}
    int rank;
    std::function<void()> body;
    state is = state::ready;
    double clock = 0, due = 0;  // its time; when it goes on
    bool dead = false;
    int open = 0;                  // messages of its exchange that are not matched yet
    std::exception_ptr error;      // of its exchange
    actor const* joins = nullptr;  // whose end it waits for
    bool quiet = false;            // and does so even when the run is over
    baton turn;
    std::thread thread;
  };
  using task = std::shared_ptr<actor>;
  virtual ~loopback_clock() = default;
  loopback_clock(loopback_clock const&) = delete;
  loopback_clock& operator=(loopback_clock const&) = delete;

  /// body(rank) on every rank, to the end. Throws what the first rank threw, with its rank.
  template <class Body>
  loopback_report run(Body const& body) {
    const int ranks = int(failed_.size());
    try {
      for (int r = 0; r < ranks; ++r) spawn(r, 0, [&body, r] { body(r); });
    } catch (...) {  // no more threads: those that exist end at once
      end(-1, "frugal: a rank's thread could not be started", std::current_exception());
    }
    loopback_report report;
    const auto started = actors_;
    if (!actors_.empty()) {
      pick().turn.give();
      all_done_.get();
    }
    running_ = nullptr;
    for (auto const& a : actors_) a->thread.join();
    if (ended_) rethrow();
    for (auto const& a : started) report.seconds.push_back(a->clock);
    for (int r = 0; r < ranks; ++r)
      if (failed_[std::size_t(r)]) report.failed.push_back(r);
    report.schedule = schedule_.value();
    return report;
  }

  // ---- what the running rank may ask for ----
  double now() { return self().clock; }
  void compute(double seconds) {
    actor& a = self();
    require(seconds >= 0 && seconds < infinity, "a time to compute", ">= 0 and finite", seconds);
    sleep(a, seconds / (options_.speed.empty() ? 1 : options_.speed[std::size_t(a.rank)]));
  }
  /// Runs f beside the caller, after `previous`.
  task start(std::function<void()> f, task const& previous) {
    actor const& a = self();
    return spawn(a.rank, a.clock, [this, f = std::move(f), previous] {
      if (previous) join(*previous);
      f();
    });
  }
  /// Takes a nanosecond, so that a loop that polls gets somewhere.
  bool ready(task const& t) {
    actor& a = self();
    sleep(a, 1e-9 + a.clock * 1e-12);
    return t->is == actor::state::done;
  }
  void wait(task const& t) {
    join(*t);
    reap(t);
  }
  /// For destructors: waits whatever happens.
  void wait_quietly(task const& t) noexcept {
    if (!running_) return;
    actor& a = *running_;
    a.quiet = true;
    while (t->is != actor::state::done) wait_for(a, *t), give_baton(a);
    a.quiet = false;
  }
  [[noreturn]] void abort(std::string const& text) {
    end(self().rank, text, nullptr);
    throw run_ended{};
  }

 protected:
  explicit loopback_clock(int ranks, loopback_options options)
      : options_(std::move(options)), failed_(std::size_t(ranks)) {
    const auto positive = [](double x) { return x > 0; };
    auto& o = options_;
    require(o.latency >= 0 && o.jitter >= 0, "latency and jitter", ">= 0", (std::min)(o.latency, o.jitter));
    require(positive(o.bandwidth), "bandwidth", "> 0", o.bandwidth);
    require(o.speed.empty() || int(o.speed.size()) == ranks, "the speeds of the ranks", ranks, o.speed.size());
    for (double s : o.speed) require(positive(s), "the speed of a rank", "> 0", s);
    fails_at_.assign(std::size_t(ranks), infinity);
    for (auto const& f : o.failures) {
      require(f.rank >= 0 && f.rank < ranks, "the rank that fails", "0 to " + std::to_string(ranks - 1), f.rank);
      require(f.seconds >= 0, "the time at which a rank fails", ">= 0", f.seconds);
      fails_at_[std::size_t(f.rank)] = f.seconds;
    }
  }

  /// It waits for nobody any more; those that wait for its rank are to be told.
  virtual void failed(actor& a, double when) = 0;
  /// What it waits for, for the text of a deadlock.
  virtual std::vector<std::string> waits(actor const& a) const = 0;

  loopback_options const& options() const { return options_; }
  bool has_failed(int rank) const { return failed_[std::size_t(rank)]; }
  comm_error failure(int rank) const {
    return comm_error("frugal: rank " + std::to_string(rank) + " failed at " + text(fails_at_[std::size_t(rank)]) +
                      " s of virtual time");
  }
  bool returned(int rank) const {
    return std::none_of(actors_.begin(), actors_.end(),
                        [&](auto const& a) { return a->rank == rank && a->is != actor::state::done; });
  }

  actor& self() {
    if (!running_) throw comm_error("frugal: a loopback communicator was used after its run had ended");
    go_on(*running_);
    return *running_;
  }
  void hand_over(actor& a) {
    give_baton(a);
    go_on(a);
  }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  void go_on(actor const& a) const {
    if (a.dead) throw rank_killed{};
    if (ended_) throw run_ended{};
  }
  task spawn(int rank, double clock, std::function<void()> f) {
    auto a = std::make_shared<actor>(rank, std::move(f));
    a->clock = a->due = clock;
    actors_.reserve(actors_.size() + 1);
    a->thread = std::thread([this, p = a.get()] { live(*p); });
    actors_.push_back(a);
    return a;
  }
  void live(actor& a) {
    a.turn.get();
    try {
      go_on(a);
      a.body();
    } catch (rank_killed const&) {
    } catch (run_ended const&) {
    } catch (std::exception const& e) {
      end(a.rank, e.what(), std::current_exception());
    } catch (...) {
      end(a.rank, "an exception that is not a std::exception", std::current_exception());
    }
    a.body = nullptr;
    a.is = actor::state::done, a.joins = nullptr;
    bool others = false;
    for (auto const& o : actors_) {
      others = others || o->is != actor::state::done;
      if (o->joins == &a) o->joins = nullptr, o->is = actor::state::ready, o->due = (std::max)(o->clock, a.clock);
    }
    (others ? pick().turn : all_done_).give();
  }

  // ---- the baton ----
  void give_baton(actor& a) {
    actor& next = pick();
    if (&next == &a) return;
    next.turn.give();
    a.turn.get();
  }
  /// The next to run: of those that can, the one with the least time; then the least rank; then the first started.
  actor& pick() {
    for (;;) {
      actor* best = nullptr;
      double when = infinity;
      for (auto const& a : actors_) {
        if (a->is == actor::state::done) continue;
        double t = a->is == actor::state::ready ? a->due : infinity;
        if (ended_) t = a->is == actor::state::ready || !a->quiet ? 0 : infinity;
        else if (!a->dead) t = (std::min)(t, (std::max)(a->clock, fails_at_[std::size_t(a->rank)]));
        if (t < when || (t == when && best && a->rank < best->rank)) best = a.get(), when = t;
      }
      if (!best || when == infinity) {
        end(-1, deadlock(), nullptr);
        continue;
      }
      if (!ended_) {
        best->clock = (std::max)(best->clock, when);
        if (!best->dead && when >= fails_at_[std::size_t(best->rank)]) kill(*best, when);
        schedule_.add(std::uint64_t(best->rank)).add(bit_cast<std::uint64_t>(best->clock));
      }
      running_ = best;
      return *best;
    }
  }
  void sleep(actor& a, double seconds) {
    a.due = a.clock + seconds;
    hand_over(a);
  }
  void wait_for(actor& a, actor const& other) { a.joins = &other, a.is = actor::state::waits; }
  void join(actor const& other) {
    actor& a = self();
    while (other.is != actor::state::done) wait_for(a, other), hand_over(a);
  }
  void reap(task const& t) {
    const auto it = std::find(actors_.begin(), actors_.end(), t);
    if (it == actors_.end()) return;
    t->thread.join();  // it has given the baton away and returns
    actors_.erase(it);
  }

  void kill(actor& a, double when) {
    a.dead = true;
    failed_[std::size_t(a.rank)] = true;
    failed(a, when);
  }
  /// The first call decides what run() throws.
  void end(int rank, std::string text, std::exception_ptr cause) {
    if (std::exchange(ended_, true)) return;
    const std::string ours = "frugal: ";
    if (rank >= 0)
      text = ours + "rank " + std::to_string(rank) + ": " + (text.starts_with(ours) ? text.substr(8) : text);
    text_ = std::move(text), cause_ = std::move(cause);
  }
  [[noreturn]] void rethrow() const {
    if (!cause_) throw comm_error(text_);
    try {
      std::rethrow_exception(cause_);
    } catch (...) {
      std::throw_with_nested(comm_error(text_));
    }
  }
  std::string deadlock() const {
    std::string s = "frugal: deadlock, no rank can go on";
    for (auto const& a : actors_) {
      const std::string who = "\n  rank " + std::to_string(a->rank) + " waits ";
      if (a->joins) s += who + "for a call that it started";
      for (std::string const& what : waits(*a)) s += who + what;
    }
    return s;
  }

  loopback_options options_;
  std::vector<bool> failed_;
  std::vector<double> fails_at_;
  std::vector<task> actors_;
  actor* running_ = nullptr;
  fnv1a schedule_;
  bool ended_ = false;
  std::string text_;
  std::exception_ptr cause_;
  baton all_done_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
