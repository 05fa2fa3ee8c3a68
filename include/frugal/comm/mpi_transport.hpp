// SPDX-License-Identifier: Apache-2.0
/// @file How a communicator's messages travel over MPI. Included by comm/mpi.hpp.
#pragma once
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "communicator.hpp"
#include "mpi_window.hpp"

namespace frugal {
inline namespace v0 {

struct mpi_options {
  /// Seconds that a call waits for other ranks before it throws a comm_error that names them; 0: for ever.
  double timeout = 0;
  /// Whether calls beside the caller may have a thread, where MPI grants MPI_THREAD_MULTIPLE.
  bool progress_thread = true;
  /// Whether large all-reduces go through memory that the ranks share, where they are all on one node.
  bool shared_memory = true;
  /// Bytes of the longest of MPI's own messages, whose counts are ints. All ranks give the same.
  index_t longest = index_t(1) << 30;
};

namespace detail {
inline void mpi_check(int code, char const* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw comm_error(std::string("frugal: mpi: ") + call + ": " + std::string(text, std::size_t(length)));
}
[[noreturn]] inline void mpi_abort(int rank, std::string const& text) {
  const std::string ours = "frugal: ";
  std::fprintf(stderr, "frugal: rank %d: %s\n", rank, text.c_str() + (text.starts_with(ours) ? ours.size() : 0));
  std::fflush(nullptr);
  MPI_Abort(MPI_COMM_WORLD, 1);
  std::_Exit(1);
}
}  // namespace detail

/// A message is one MPI message if it is short: envelope and payload. A longer payload follows by itself, as soon as
/// the receiver has seen its envelope and knows that it has room; a very long one in pieces.
class mpi_transport {
 public:
  static constexpr char const* name = "mpi";
  using task = std::uint64_t;
  class workspace {
    friend mpi_transport;
    std::vector<std::byte> first_parts;
    std::vector<MPI_Request> requests;
    std::vector<detail::incoming const*> waits_for;  // of each request: the message whose first part it is, or none
    std::vector<int> bytes;                          // of each request: how many must come, if it is another part
    std::vector<int> finished;
    std::vector<MPI_Status> statuses;
  };

  /// Of a duplicate of `comm`: messages of other users of `comm` are not mixed up with these.
  explicit mpi_transport(MPI_Comm comm, mpi_options options = {}) {
    const double longest = double(options.longest);
    require_range("the longest message of MPI", longest, 1, 0x1p31);
    int ready = 0;
    MPI_Initialized(&ready);
    if (!ready) throw comm_error("frugal: mpi: MPI is not initialised (frugal::mpi_session does that)");
    MPI_Comm own = MPI_COMM_NULL;
    detail::mpi_check(MPI_Comm_dup(comm, &own), "MPI_Comm_dup");
    c_ = std::make_unique<core>(own, options);
  }
  int rank() const { return c_->rank; }
  int size() const { return c_->size; }
  [[noreturn]] void abort(std::string const& text) { detail::mpi_abort(rank(), text); }
  static double now() { return MPI_Wtime(); }

  void exchange(std::vector<detail::outgoing> const& out, std::vector<detail::incoming> const& in, workspace& w) {
    if (out.empty() && in.empty()) return;
    if (c_->broken) throw comm_error("frugal: mpi: this communicator was left by an error");
    w.requests.clear(), w.waits_for.clear(), w.bytes.clear();
    if (const std::size_t n = (in.size() + out.size()) * first_part; w.first_parts.size() < n) w.first_parts.resize(n);
    try {
      std::byte* at = w.first_parts.data();
      for (auto const& m : in) {
        receive(w, at, first_part, m.peer, m.tag, &m);
        at += first_part;
      }
      for (auto const& m : out) {
        std::memcpy(at, &m.head, sizeof m.head);
        const std::size_t bytes = std::size_t(m.head.bytes);
        const bool is_short = bytes <= first_part - sizeof m.head;
        if (is_short && bytes > 0) std::memcpy(at + sizeof m.head, m.data, bytes);
        send(w, at, sizeof m.head + (is_short ? bytes : 0), m.peer, m.tag);
        if (!is_short) in_pieces(m.data, bytes, [&](std::byte* p, std::size_t n) { send(w, p, n, m.peer, m.tag + 1); });
        at += first_part;
      }
      complete(in, w);
    } catch (...) {
      abandon(w);
      throw;
    }
  }
  /// The transport's own order of additions; the same bits on all ranks, says the MPI standard (all-reduce, 5.9.6).
  template <class Op, class T>
  void all_reduce(T* x, index_t n) {
    const MPI_Datatype type = std::is_same_v<T, float>          ? MPI_FLOAT
                              : std::is_same_v<T, double>       ? MPI_DOUBLE
                              : std::is_same_v<T, std::int64_t> ? MPI_INT64_T
                                                                : MPI_UINT8_T;
    const MPI_Op operation = Op::code == detail::operation::min   ? MPI_MIN
                             : Op::code == detail::operation::max ? MPI_MAX
                                                                  : MPI_SUM;
    detail::mpi_check(MPI_Allreduce(MPI_IN_PLACE, x, int(n), type, operation, c_->comm), "MPI_Allreduce");
  }
  /// Memory that all ranks share, `bytes` for each, or null; made by the first call, which all ranks make together.
  detail::mpi_window* window(std::size_t bytes) {
    if (!c_->options.shared_memory || size() == 1) return nullptr;
    if (!c_->window) c_->window = std::make_unique<detail::mpi_window>(c_->comm, bytes);
    return c_->window->bytes() >= bytes ? c_->window.get() : nullptr;
  }
  void meet(detail::mpi_window& w) {
    if (c_->broken) throw comm_error("frugal: mpi: this communicator was left by an error");
    unsigned idle = 0;
    double since = 0;
    w.meet([&](int r) {
      if (++idle < 1000) return;
      std::this_thread::yield();
      if (idle % 128 != 0 || !waited_too_long(since)) return;
      c_->broken = true;
      throw comm_error(waited() + ", for rank " + std::to_string(r) + " in all_reduce");
    });
  }
  mpi_transport subgroup(std::vector<int> const& members, std::uint64_t number) {
    MPI_Group all, some;
    MPI_Comm comm = MPI_COMM_NULL;
    detail::mpi_check(MPI_Comm_group(c_->comm, &all), "MPI_Comm_group");
    detail::mpi_check(MPI_Group_incl(all, int(members.size()), members.data(), &some), "MPI_Group_incl");
    const int code = MPI_Comm_create_group(c_->comm, some, int(number % 32768), &comm);
    MPI_Group_free(&all), MPI_Group_free(&some);
    detail::mpi_check(code, "MPI_Comm_create_group");
    mpi_transport t;
    t.c_ = std::make_unique<core>(comm, c_->options);
    return t;
  }

  // ---- calls beside the caller: on a thread, or in wait() ----
  bool overlaps() const { return c_->threads; }
  task start(std::function<void()> f) {
    const std::lock_guard lock(c_->mutex);
    c_->queue.push_back(std::move(f));
    if (c_->threads && !c_->thread.joinable()) c_->thread = std::thread([c = c_.get()] { c->work(); });
    c_->changed.notify_all();
    return ++c_->started;
  }
  bool ready(task t) const {
    const std::lock_guard lock(c_->mutex);
    return c_->done >= t;
  }
  void wait(task t) {
    std::unique_lock lock(c_->mutex);
    while (c_->done < t)
      if (c_->threads) c_->changed.wait(lock);
      else c_->one(lock);
  }
  void finish() noexcept { c_->finish(); }

 private:
  static constexpr std::size_t first_part = 4096;  // what Open MPI sends without asking

  // Stays where it is when the transport moves: the thread holds on to it.
  struct core {
    core(MPI_Comm c, mpi_options o) : comm(c), options(o) {
      MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
      MPI_Comm_rank(comm, &rank);
      MPI_Comm_size(comm, &size);
      int level = MPI_THREAD_SINGLE;
      MPI_Query_thread(&level);
      threads = options.progress_thread && level == MPI_THREAD_MULTIPLE;
    }
    core(core const&) = delete;
    core& operator=(core const&) = delete;
    ~core() {
      finish();
      int over = 0;
      MPI_Finalized(&over);
      // Freeing is collective: not while an error unwinds this rank alone.
      const bool together = !over && !broken && std::uncaught_exceptions() == 0;
      if (window && !together) window->abandon();
      window.reset();
      if (together) MPI_Comm_free(&comm);
    }
    void finish() noexcept {
      {
        const std::lock_guard lock(mutex);
        stop = true;
        changed.notify_all();
      }
      if (thread.joinable()) thread.join();
    }
    void work() {
      std::unique_lock lock(mutex);
      for (;;) {
        if (!queue.empty()) one(lock);
        else if (stop) return;
        else changed.wait(lock);
      }
    }
    void one(std::unique_lock<std::mutex>& lock) {
      const auto f = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      f();
      lock.lock();
      ++done;
      changed.notify_all();
    }
    MPI_Comm comm;
    mpi_options options;
    std::unique_ptr<detail::mpi_window> window;
    int rank = 0, size = 1;
    bool threads = false;
    std::atomic<bool> broken = false, stop = false;
    std::thread thread;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> queue;
    std::uint64_t started = 0, done = 0;
    std::vector<std::vector<std::byte>> abandoned;  // MPI may still read it
  };

  mpi_transport() = default;

  static MPI_Request& posted(workspace& w, detail::incoming const* first, int bytes) {
    w.waits_for.push_back(first), w.bytes.push_back(bytes);
    return w.requests.emplace_back(MPI_REQUEST_NULL);
  }
  void send(workspace& w, void const* p, std::size_t bytes, int to, int tag) {
    auto& r = posted(w, nullptr, not_received);
    detail::mpi_check(MPI_Isend(p, int(bytes), MPI_BYTE, to, tag, c_->comm, &r), "MPI_Isend");
  }
  void receive(workspace& w, void* p, std::size_t bytes, int from, int tag, detail::incoming const* first = nullptr) {
    auto& r = posted(w, first, int(bytes));
    detail::mpi_check(MPI_Irecv(p, int(bytes), MPI_BYTE, from, tag, c_->comm, &r), "MPI_Irecv");
  }
  template <class F>
  void in_pieces(void const* data, std::size_t bytes, F const& f) const {
    const auto piece = std::size_t(c_->options.longest);
    auto* p = static_cast<std::byte*>(const_cast<void*>(data));
    for (std::size_t i = 0; i < bytes; i += piece) f(p + i, (std::min)(piece, bytes - i));
  }

  void complete(std::vector<detail::incoming> const& in, workspace& w) {
    const bool beside = c_->thread.get_id() == std::this_thread::get_id();
    std::size_t open = w.requests.size();
    double since = 0;
    for (unsigned idle = 0; open > 0;) {
      const int n = int(w.requests.size());
      w.finished.resize(std::size_t(n)), w.statuses.resize(std::size_t(n));
      int count = 0;
      const int code = MPI_Testsome(n, w.requests.data(), &count, w.finished.data(), w.statuses.data());
      if (code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS) detail::mpi_check(code, "MPI_Testsome");
      if (count <= 0) {
        wait_a_little(w, beside, ++idle, since);
        continue;
      }
      idle = 0, since = 0;
      for (int k = 0; k < count; ++k) {
        const auto i = std::size_t(w.finished[std::size_t(k)]);
        MPI_Status const& status = w.statuses[std::size_t(k)];
        if (code == MPI_ERR_IN_STATUS) detail::mpi_check(status.MPI_ERROR, "a message");
        --open;
        if (w.bytes[i] == not_received) continue;
        int got = 0;
        MPI_Get_count(&status, MPI_BYTE, &got);
        if (w.waits_for[i]) open += first_part_came(*w.waits_for[i], w.waits_for[i] - in.data(), got, w);
        else if (got != w.bytes[i]) throw comm_error("frugal: mpi: a message is shorter than its envelope says");
      }
    }
  }
  /// Looks at the envelope; returns how many more parts are to come.
  std::size_t first_part_came(detail::incoming const& m, index_t index, int got, workspace& w) {
    std::byte const* at = w.first_parts.data() + std::size_t(index) * first_part;
    detail::envelope head;
    head.magic = 0;
    if (got >= int(sizeof head)) std::memcpy(&head, at, sizeof head);
    auto* to = static_cast<std::byte*>(m.accept(head, c_->rank));
    const std::size_t bytes = std::size_t(head.bytes);
    if (bytes <= first_part - sizeof head) {
      if (std::size_t(got) != sizeof head + bytes) throw comm_error("frugal: mpi: a message was cut off");
      if (bytes > 0) std::memcpy(to, at + sizeof head, bytes);
      return 0;
    }
    const std::size_t before = w.requests.size();
    in_pieces(to, bytes, [&](std::byte* p, std::size_t n) { receive(w, p, n, m.peer, m.tag + 1); });
    return w.requests.size() - before;
  }
  /// Nothing has come: lets others have the processor. MPI's own waiting would spin, and could not be told to stop.
  void wait_a_little(workspace const& w, bool beside, unsigned idle, double& since) const {
    if (beside && c_->stop) throw comm_error("frugal: mpi: the communicator is gone");
    if (idle < 100) return;
    if (beside && idle > 10000) std::this_thread::sleep_for(std::chrono::microseconds(50));
    else std::this_thread::yield();
    if (idle % 128 != 0 || !waited_too_long(since)) return;
    std::string text = waited();
    for (std::size_t i = 0; i < w.requests.size(); ++i)
      if (w.requests[i] != MPI_REQUEST_NULL && w.waits_for[i])
        text += ", for " + w.waits_for[i]->expected.text() + " from rank " + std::to_string(w.waits_for[i]->peer);
    throw comm_error(text);
  }
  bool waited_too_long(double& since) const {
    if (c_->options.timeout <= 0) return false;
    if (since == 0) since = now();
    return now() - since >= c_->options.timeout;
  }
  std::string waited() const {
    return "frugal: mpi: rank " + std::to_string(rank()) + " waited for " + detail::text(c_->options.timeout) + " s";
  }
  /// After an error nothing more is received into memory that its owner may free, as far as MPI lets us.
  void abandon(workspace& w) noexcept {
    c_->broken = true;
    const double until = MPI_Wtime() + 1;
    for (std::size_t i = 0; i < w.requests.size(); ++i) {
      if (w.requests[i] == MPI_REQUEST_NULL) continue;
      if (w.bytes[i] == not_received) {
        MPI_Request_free(&w.requests[i]);
        continue;
      }
      MPI_Cancel(&w.requests[i]);
      for (int done = 0; !done && MPI_Wtime() < until;) MPI_Test(&w.requests[i], &done, MPI_STATUS_IGNORE);
    }
    const std::lock_guard lock(c_->mutex);
    c_->abandoned.push_back(std::move(w.first_parts));
    w.first_parts = {};
  }
  static constexpr int not_received = -1;
  std::unique_ptr<core> c_;
};

}  // namespace v0
}  // namespace frugal
