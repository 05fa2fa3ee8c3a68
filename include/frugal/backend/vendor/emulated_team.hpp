// SPDX-License-Identifier: Apache-2.0
/// @file How the emulated device runs a kernel: the lanes of a team are fibers, each up to its next barrier, in
/// shuffled order; or threads, when ThreadSanitizer watches (FRUGAL_EMULATED_THREADS), which sees every race that
/// happens.
#pragma once
#include <ucontext.h>

#include <numeric>
#include <random>

#include "emulated_memory.hpp"

#if defined(__SANITIZE_THREAD__)
#define FRUGAL_EMULATED_THREADS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FRUGAL_EMULATED_THREADS 1
#endif
#endif
#if !defined(FRUGAL_EMULATED_THREADS)
#define FRUGAL_EMULATED_THREADS 0
#endif

#if FRUGAL_EMULATED_THREADS
#include <condition_variable>
#include <thread>
#endif

namespace frugal {
inline namespace v0 {
namespace detail {

[[noreturn]] inline void barrier_error(std::string const& what) { throw device_error("emulated", "sync", 1, what); }
inline std::string different_barriers(int a, int b) {
  return text("lanes of a team wait at different barriers, in lines ", (std::min)(a, b), " and ", (std::max)(a, b));
}
inline constexpr char const* missed_barrier = "a barrier was reached by some lanes of a team and not by others";

/// A lane's view of its team.
template <class Lanes>
struct emulated_context {
  Lanes* all;
  index_t block_;
  unsigned lane_;
  index_t block() const { return block_; }
  unsigned lane() const { return lane_; }
  unsigned lanes() const { return all->lanes(); }
  void sync(int line) const { all->sync(lane_, line); }
  void count(std::uint32_t* p) const { all->count(p); }
};

#if !FRUGAL_EMULATED_THREADS

/// The scratch of a team, and what its lanes wrote there since the last barrier: a byte belongs to one of them.
class emulated_scratch {
 public:
  explicit emulated_scratch(unsigned lanes) : lanes_(lanes) {}
  void resize(std::size_t bytes) {
    if (bytes == memory_.bytes()) return;
    memory_ = guarded_block(bytes, 16);
    before_.resize(bytes);
    wrote_.resize(bytes);
  }
  unsigned char* data() const { return memory_.data(); }
  /// A team begins: nobody has written anything.
  void renew() {
    std::fill_n(data(), before_.size(), 0xff);
    std::fill(before_.begin(), before_.end(), 0xff);
    forget();
  }
  /// A barrier: from here on any lane may write any byte.
  void forget() { turn_ += lanes_; }
  /// A lane has run: what differs was written by it.
  void look(unsigned lane) {
    constexpr std::size_t part = 256;
    for (std::size_t at = 0; at < before_.size(); at += part) {
      const std::size_t end = (std::min)(at + part, before_.size());
      if (std::memcmp(data() + at, before_.data() + at, end - at) == 0) continue;
      for (std::size_t i = at; i < end; ++i) {
        if (data()[i] == before_[i]) continue;
        if (wrote_[i] >= turn_ && wrote_[i] != turn_ + lane)
          throw device_error("emulated", "sync", 3,
                             text("lanes ", wrote_[i] - turn_, " and ", lane, " of a team wrote byte ", i,
                                  " of its scratch without a barrier between"));
        wrote_[i] = turn_ + lane;
        before_[i] = data()[i];
      }
    }
  }
  /// A write that lanes may do at the same time.
  void shared(std::uint32_t* p) {
    if (!memory_.holds(p, sizeof *p)) return;
    std::memcpy(before_.data() + (reinterpret_cast<unsigned char*>(p) - data()), p, sizeof *p);
  }
  bool intact() const { return memory_.intact(); }
  void mend() { memory_.mend(); }

 private:
  guarded_block memory_{0, 16};
  std::vector<unsigned char> before_;
  std::vector<std::uint64_t> wrote_;  // when, times the count of lanes, and who
  std::uint64_t turn_ = 0;
  unsigned lanes_;
};

/// Lanes as fibers of the calling thread.
class emulated_lanes {
 public:
  using context = emulated_context<emulated_lanes>;

  emulated_lanes(std::uint64_t seed, unsigned lanes) : order_(lanes), line_(lanes), shuffle_(seed), scratch_(lanes) {
    require(lanes > 0, "the lanes of an emulated team", ">= 1", lanes);
    std::iota(order_.begin(), order_.end(), 0u);
  }
  template <class Kernel>
  void launch(unsigned blocks, Kernel const& kernel) {
    std::vector<unsigned> teams(blocks);
    std::iota(teams.begin(), teams.end(), 0u);
    std::shuffle(teams.begin(), teams.end(), shuffle_);
    scratch_.resize(Kernel::scratch_bytes);
    for (unsigned team : teams) {
      scratch_.renew();
      std::shuffle(order_.begin(), order_.end(), shuffle_);
      const auto lane = [&](unsigned i) { kernel(context{this, index_t(team), i}, scratch_.data()); };
      if constexpr (Kernel::threads == 1) lane(0);
      else if constexpr (Kernel::synchronises) fibers(lane);
      else
        for (unsigned i : order_) lane(i);
    }
    if (scratch_.intact()) return;
    scratch_.mend();
    throw device_error("emulated", "sync", 4, "a kernel wrote past its scratch");
  }
  unsigned lanes() const { return unsigned(order_.size()); }
  void sync(unsigned lane, int line) {
    line_[lane] = line;
    swapcontext(&at_[lane], &home_);
  }
  void count(std::uint32_t* p) {
    ++*p;
    scratch_.shared(p);
  }

 private:
  static constexpr std::size_t stack_bytes = 64 * 1024;
  static constexpr int finished = -1;

  template <class Lane>
  void fibers(Lane const& lane) {
    at_.resize(order_.size());
    stacks_.resize(stack_bytes * order_.size());
    run_ = [](void const* f, unsigned i) { (*static_cast<Lane const*>(f))(i); };
    lane_ = &lane;
    for (unsigned i : order_) prepare(i);
    for (bool done = false; !done;) {
      for (unsigned i : order_) {
        current_ = i;
        swapcontext(&home_, &at_[i]);
        scratch_.look(i);
      }
      for (int line : line_) {
        if (line == line_[0]) continue;
        barrier_error(line == finished || line_[0] == finished ? missed_barrier : different_barriers(line, line_[0]));
      }
      done = line_[0] == finished;
      scratch_.forget();
      std::shuffle(order_.begin(), order_.end(), shuffle_);
    }
  }
  void prepare(unsigned i) {
    getcontext(&at_[i]);
    at_[i].uc_stack.ss_sp = stacks_.data() + stack_bytes * i;
    at_[i].uc_stack.ss_size = stack_bytes;
    at_[i].uc_link = &home_;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&at_[i], reinterpret_cast<void (*)()>(&body), 2, unsigned(self >> 32), unsigned(self));
  }
  static void body(unsigned high, unsigned low) {
    auto* self = reinterpret_cast<emulated_lanes*>(std::uintptr_t(high) << 32 | low);
    const unsigned i = self->current_;
    self->run_(self->lane_, i);
    self->line_[i] = finished;
  }

  std::vector<unsigned> order_;
  std::vector<int> line_;  // of the barrier where a lane waits
  std::mt19937_64 shuffle_;
  emulated_scratch scratch_;
  std::vector<ucontext_t> at_;
  ucontext_t home_{};
  std::vector<char> stacks_;
  void (*run_)(void const*, unsigned) = nullptr;
  void const* lane_ = nullptr;
  unsigned current_ = 0;
};

#else

/// A barrier of the lanes of a team, which knows when one of them will not come.
class lane_barrier {
 public:
  struct broken {};
  explicit lane_barrier(unsigned lanes) : lanes_(lanes) {}
  void wait(int line) {
    std::unique_lock lock(mutex_);
    if (waiting_ == 0) line_ = line;
    if (line != line_) fail(different_barriers(line, line_));
    if (finished_ > 0) fail(missed_barrier);
    ++waiting_;
    all_come(lock, lanes_, waiting_);
    if (!fault_.empty()) throw broken{};
  }
  /// The lane's work on this team is done; the last one to say so calls `then`.
  template <class Then>
  void finish(Then const& then) {
    std::unique_lock lock(mutex_);
    if (waiting_ > 0 && fault_.empty()) note(missed_barrier);
    ++finished_;
    if (finished_ == lanes_) then();
    all_come(lock, lanes_, finished_);
  }
  std::string const& fault() const { return fault_; }

 private:
  void all_come(std::unique_lock<std::mutex>& lock, unsigned lanes, unsigned& here) {
    if (here == lanes) {
      here = 0;
      ++turn_;
      changed_.notify_all();
      return;
    }
    const auto turn = turn_;
    const bool in_barrier = &here == &waiting_;
    changed_.wait(lock, [&] { return turn != turn_ || (in_barrier && !fault_.empty()); });
    if (turn == turn_) --here;  // the barrier broke
  }
  void note(std::string const& what) {
    fault_ = what;
    changed_.notify_all();
  }
  [[noreturn]] void fail(std::string const& what) {
    if (fault_.empty()) note(what);
    throw broken{};
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned lanes_, waiting_ = 0, finished_ = 0;
  std::uint64_t turn_ = 0;
  int line_ = 0;
  std::string fault_;
};

/// Lanes as threads. Two teams run at a time, so that races between teams are seen, too.
class emulated_lanes {
 public:
  emulated_lanes(std::uint64_t seed, unsigned lanes) : lanes_(lanes), shuffle_(seed) {
    require(lanes > 0, "the lanes of an emulated team", ">= 1", lanes);
  }
  template <class Kernel>
  void launch(unsigned blocks, Kernel const& kernel) {
    std::vector<unsigned> teams(blocks);
    std::iota(teams.begin(), teams.end(), 0u);
    std::shuffle(teams.begin(), teams.end(), shuffle_);
    const unsigned lanes = Kernel::threads == 1 ? 1 : lanes_;
    processor processors[] = {{lanes, Kernel::scratch_bytes}, {lanes, Kernel::scratch_bytes}};
    {
      std::vector<std::jthread> threads;
      for (unsigned i = 0; i < lanes; ++i)
        for (unsigned p = 0; p < (std::min)(blocks, 2u); ++p)
          threads.emplace_back([&, i, p] {
            for (std::size_t t = p; t < teams.size(); t += 2) processors[p].run(kernel, teams[t], i);
          });
    }
    for (processor& p : processors) {
      if (!p.barrier.fault().empty()) barrier_error(p.barrier.fault());
      if (!p.scratch.intact()) throw device_error("emulated", "sync", 4, "a kernel wrote past its scratch");
    }
  }

 private:
  struct processor {
    using context = emulated_context<processor>;
    processor(unsigned n, std::size_t bytes) : count_(n), barrier(n), scratch(bytes, 16) {}
    template <class Kernel>
    void run(Kernel const& kernel, unsigned team, unsigned lane) {
      try {
        kernel(context{this, index_t(team), lane}, scratch.data());
      } catch (lane_barrier::broken) {
      }
      barrier.finish([&] { std::memset(scratch.data(), 0xff, scratch.bytes()); });
    }
    unsigned lanes() const { return count_; }
    void sync(unsigned, int line) { barrier.wait(line); }
    void count(std::uint32_t* p) { __atomic_fetch_add(p, 1u, __ATOMIC_RELAXED); }
    unsigned count_;
    lane_barrier barrier;
    guarded_block scratch;
  };
  unsigned lanes_;
  std::mt19937_64 shuffle_;
};

#endif

}  // namespace detail
}  // namespace v0
}  // namespace frugal
