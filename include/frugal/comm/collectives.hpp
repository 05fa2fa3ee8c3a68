// SPDX-License-Identifier: Apache-2.0
/// @file The collectives, each written once, on host memory. All a transport must do is to exchange a set of messages.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <memory>

#include "../core/buffer.hpp"
#include "operations.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Payload that left this rank. Calls that run beside the caller's count too, hence atomic.
struct byte_counters {
  std::array<std::atomic<std::int64_t>, message_kinds> sent{};
  void add(message_kind k, std::int64_t bytes) { sent[std::size_t(k)].fetch_add(bytes, std::memory_order_relaxed); }
  std::int64_t of(message_kind k) const { return sent[std::size_t(k)].load(std::memory_order_relaxed); }
};

/// Memory that is kept from call to call and only grows; uninitialised.
class arena {
 public:
  void* of(std::size_t bytes) {
    if (bytes > size_) {
      memory_.reset(static_cast<std::byte*>(::operator new(bytes, std::align_val_t(64))));
      size_ = bytes;
    }
    return memory_.get();
  }

 private:
  struct release {
    void operator()(std::byte* p) const { ::operator delete(p, std::align_val_t(64)); }
  };
  std::unique_ptr<std::byte, release> memory_;
  std::size_t size_ = 0;
};

/// One of the two streams of collectives of a communicator: those that wait, and those that run beside the caller.
template <class Transport>
class collectives {
 public:
  /// Messages of a large vector: between 1 and 4 MiB stay in the cache between the copy and the addition.
  static constexpr index_t slice_bytes = index_t(4) << 20;

  collectives(Transport& transport, byte_counters& sent, bool beside)
      : transport_(transport), sent_(sent), beside_(beside) {}
  int rank() const { return transport_.rank(); }
  int size() const { return transport_.size(); }

  // ---- messages ----
  void put(int to, int tag, envelope head, void const* data, index_t bytes) {
    head.bytes = bytes;
    out_.push_back({to, tag, head, data});
  }
  void expect(int from, int tag, envelope head, void* data, index_t bytes) {
    head.bytes = bytes;
    in_.push_back({from, tag, head, data});
  }
  void expect_any_size(int from, int tag, envelope const& head, std::vector<std::uint8_t>& to) {
    in_.push_back({from, tag, head, nullptr, &to});
  }
  /// Everything put and expected since the last time, together.
  void exchange() {
    std::int64_t bytes = 0;
    for (outgoing const& m : out_) bytes += m.peer == rank() ? 0 : m.head.bytes;
    if (!out_.empty()) sent_.add(out_.front().head.kind, bytes);
    struct finally {  // an error must not leave half a set for the next call
      collectives& c;
      ~finally() { c.out_.clear(), c.in_.clear(); }
    } clear{*this};
    transport_.exchange(out_, in_, workspace_);
  }
  template <comm_element T>
  envelope next(message_kind kind, index_t count, operation op = operation::none, int root = 0) {
    envelope e = envelope::of<T>(kind);
    e.op = op, e.number = number_++, e.root = root, e.count = count;
    return e;
  }

  // ---- collectives ----
  /// Slice by slice; in each, every rank owns a part: it gets that part of the others, adds, and sends the sum to all.
  /// The parts of one slice travel together with the sums of the slice before.
  template <class Op, comm_element T>
  void all_reduce(T* x, index_t n) {
    const envelope e = next<T>(message_kind::all_reduce, n, Op::code);
    if constexpr (requires { transport_.window(std::size_t{}); })
      if (!beside_ && n * index_t(sizeof(T)) >= window_least) {
        agree(e);
        if (auto* w = transport_.window(2 * 2 * window_slice)) return all_reduce_in<Op>(*w, x, n);
      }
    const int ranks = size(), me = rank();
    const index_t slice = slice_bytes / index_t(sizeof(T)), slices = n > slice ? (n + slice - 1) / slice : 1;
    const auto part = [&](index_t k, int r) { return part_of(slice, n, k, r); };
    for (index_t k = 0; k <= slices; ++k) {
      if (k < slices) {
        const range mine = part(k, me);
        sources_of(x + mine.begin, mine.size());
        for (int r = 0; r < ranks; ++r)
          if (r != me) {
            put(r, tag(), e, x + part(k, r).begin, part(k, r).size() * index_t(sizeof(T)));
            expect(r, tag(), e, source(r), mine.size() * index_t(sizeof(T)));
          }
      }
      if (k > 0) {
        const range mine = part(k - 1, me);
        for (int r = 0; r < ranks; ++r)
          if (r != me) {
            put(r, tag(true), e, x + mine.begin, mine.size() * index_t(sizeof(T)));
            expect(r, tag(true), e, x + part(k - 1, r).begin, part(k - 1, r).size() * index_t(sizeof(T)));
          }
      }
      exchange();
      if (k < slices) add<Op>(x + part(k, me).begin, part(k, me).size());
    }
  }
  /// The transport's own all-reduce, after a check that the ranks mean the same one.
  template <class Op, comm_element T>
  void all_reduce_any_order(T* x, index_t n) {
    if constexpr (requires { transport_.template all_reduce<Op>(x, n); }) {
      agree(next<T>(message_kind::all_reduce, n, Op::code));
      const index_t slice = slice_bytes / index_t(sizeof(T));
      for (index_t i = 0; i < n; i += slice) transport_.template all_reduce<Op>(x + i, (std::min)(slice, n - i));
      for (index_t i = 0; i < n; ++i) x[i] = Op::finish(x[i], T(size()));
      if (size() > 1) sent_.add(message_kind::all_reduce, 2 * n * index_t(sizeof(T)) * (size() - 1) / size());
    } else {
      all_reduce<Op>(x, n);
    }
  }
  /// `in` holds a block of counts(r) elements for each rank r; the sum of the blocks for this rank goes to `out`.
  template <class Op, comm_element T, class Counts>
  void reduce_scatter(T const* in, T* out, Counts const& counts) {
    envelope e = next<T>(message_kind::reduce_scatter, 0, Op::code);
    const int ranks = size(), me = rank();
    const index_t slice = (std::max)(index_t(1), slice_bytes / index_t(sizeof(T)) / ranks);
    index_t own = 0, longest = 0;
    for (int r = 0; r < ranks; ++r) {
      if (r < me) own += counts(r);
      longest = (std::max)(longest, counts(r));
    }
    for (index_t i = 0; i == 0 || i < longest; i += slice) {
      const auto length = [&](int r) { return (std::max)(index_t(0), (std::min)(slice, counts(r) - i)); };
      sources_of(in + own + i, length(me));
      index_t block = 0;
      for (int r = 0; r < ranks; block += counts(r), ++r)
        if (r != me) {
          e.count = counts(r);
          put(r, tag(), e, in + block + i, length(r) * index_t(sizeof(T)));
          e.count = counts(me);
          expect(r, tag(), e, source(r), length(me) * index_t(sizeof(T)));
        }
      exchange();
      add<Op>(out + i, length(me));
    }
  }
  /// `counts[r]` elements of rank r, one rank after the other.
  template <comm_element T, class Counts>
  void all_gather(T const* mine, T* all, Counts const& counts) {
    envelope e = next<T>(message_kind::all_gather, counts(rank()));
    index_t at = 0;
    for (int r = 0; r < size(); at += counts(r), ++r) {
      e.count = counts(r);
      if (r != rank()) expect(r, tag(), e, all + at, counts(r) * index_t(sizeof(T)));
      else if (mine != all + at && e.count > 0) std::memmove(all + at, mine, std::size_t(e.count) * sizeof(T));
    }
    e.count = counts(rank());
    for (int r = 0; r < size(); ++r)
      if (r != rank()) put(r, tag(), e, mine, e.count * index_t(sizeof(T)));
    exchange();
  }
  /// Messages whose lengths only their senders know.
  void all_gather(view<std::uint8_t const> mine, std::vector<std::vector<std::uint8_t>>& all) {
    const envelope e = next<std::uint8_t>(message_kind::all_gather, mine.size());
    all.resize(std::size_t(size()));
    for (int r = 0; r < size(); ++r)
      if (r != rank()) {
        put(r, tag(), e, mine.data(), mine.size());
        expect_any_size(r, tag(), e, all[std::size_t(r)]);
      }
    all[std::size_t(rank())].assign(mine.begin(), mine.end());
    exchange();
  }
  template <comm_element T>
  void all_to_all(T const* in, view<index_t const> in_counts, T* out, view<index_t const> out_counts) {
    const envelope e = next<T>(message_kind::all_to_all, 0);
    index_t from = 0, to = 0;
    for (int r = 0; r < size(); from += in_counts[r], to += out_counts[r], ++r) {
      if (r != rank()) {
        put(r, tag(), e, in + from, in_counts[r] * index_t(sizeof(T)));
        expect(r, tag(), e, out + to, out_counts[r] * index_t(sizeof(T)));
      } else if (in_counts[r] > 0) {
        std::memcpy(out + to, in + from, std::size_t(in_counts[r]) * sizeof(T));
      }
    }
    exchange();
  }
  void all_to_all(std::vector<view<std::uint8_t const>> const& in, std::vector<std::vector<std::uint8_t>>& out) {
    const envelope e = next<std::uint8_t>(message_kind::all_to_all, 0);
    out.resize(std::size_t(size()));
    for (int r = 0; r < size(); ++r) {
      auto const& m = in[std::size_t(r)];
      if (r != rank()) {
        put(r, tag(), e, m.data(), m.size());
        expect_any_size(r, tag(), e, out[std::size_t(r)]);
      } else {
        out[std::size_t(r)].assign(m.begin(), m.end());
      }
    }
    exchange();
  }
  /// Down a binomial tree, once all mean the same root: ranks that do not would wait for each other.
  template <comm_element T>
  void broadcast(T* x, index_t n, int root) {
    const envelope e = next<T>(message_kind::broadcast, n, operation::none, root);
    agree(e);
    const int ranks = size(), relative = (rank() - root + ranks) % ranks;
    int bit = 1;
    for (; bit < ranks && !(relative & bit); bit *= 2) {
    }
    if (relative != 0) {
      expect((rank() - bit + ranks) % ranks, tag(), e, x, n * index_t(sizeof(T)));
      exchange();
    }
    for (bit /= 2; bit > 0; bit /= 2)
      if (relative + bit < ranks) put((rank() + bit) % ranks, tag(), e, x, n * index_t(sizeof(T)));
    exchange();
  }
  void barrier() { agree(next<std::uint8_t>(message_kind::barrier, 0)); }

 private:
  struct range {
    index_t begin, end;
    index_t size() const { return end - begin; }
  };
  /// Of slice k of a vector of n, what rank r owns.
  range part_of(index_t slice, index_t n, index_t k, int r) const {
    const index_t begin = k * slice, length = (std::min)(slice, n - begin);
    return {begin + length * r / size(), begin + length * (r + 1) / size()};
  }
  /// The same in memory that the ranks share: in one step, slice k is laid out for its owners, slice k - 1 is added by
  /// them, and slice k - 2 is taken home. Half of a rank's memory serves the even slices, half the odd ones.
  static constexpr index_t window_slice = index_t(1) << 18;  // bytes: what is at work stays in a level-2 cache
  static constexpr index_t window_least = index_t(1) << 20;
  template <class Op, class Window, class T>
  void all_reduce_in(Window& w, T* x, index_t n) {
    const int ranks = size(), me = rank();
    const index_t slice = window_slice / index_t(sizeof(T)), slices = (n + slice - 1) / slice;
    const auto part = [&](index_t k, int r) { return part_of(slice, n, k, r); };
    const auto laid_out = [&](index_t k, int r) {  // the slice as rank r has it, but for its own part
      return reinterpret_cast<T*>(w.of(r)) + k % 2 * 2 * slice - k * slice;
    };
    const auto sums = [&](index_t k, int r) { return laid_out(k, r) + slice; };  // the part of rank r, added
    const auto copy = [](T* to, T const* from, range p) {
      if (p.size() > 0) std::memcpy(to + p.begin, from + p.begin, std::size_t(p.size()) * sizeof(T));
    };
    index_t sent = 0;
    for (index_t k = 0; k < slices + 2; ++k) {
      for (int r = 0; r < ranks && k < slices; ++r)
        if (r != me) copy(laid_out(k, me), x, part(k, r)), sent += part(k, r).size();
      if (const range p = k > 0 && k <= slices ? part(k - 1, me) : range{}; p.size() > 0) {
        sources_.resize(std::size_t(ranks));
        constexpr index_t block = 8192 / index_t(sizeof(T));  // home at once, and from the nearest cache to the others
        for (range b{p.begin, p.begin}; b.begin < p.end; b.begin = b.end) {
          b.end = (std::min)(b.begin + block, p.end);
          for (int r = 0; r < ranks; ++r) sources_[std::size_t(r)] = (r == me ? x : laid_out(k - 1, r)) + b.begin;
          add<Op>(x + b.begin, b.size());
          copy(sums(k - 1, me), x, b);
        }
        sent += p.size() * (ranks - 1);
      }
      for (int r = 0; r < ranks && k > 1; ++r)
        if (r != me) copy(x, sums(k - 2, r), part(k - 2, r));
      transport_.meet(w);
    }
    sent_.add(message_kind::all_reduce, sent * index_t(sizeof(T)));
  }
  int tag(bool back = false) const { return collective_tag(beside_, back); }
  /// Every rank has come here with this envelope: in rounds, each hears from the one 1, 2, 4 ... before it.
  void agree(envelope const& e) {
    for (int d = 1; d < size(); d *= 2) {
      put((rank() + d) % size(), tag(), e, nullptr, 0);
      expect((rank() - d + size()) % size(), tag(), e, nullptr, 0);
      exchange();
    }
  }
  // Where the parts of all ranks lie that this one is to add: its own in place, the others' in scratch.
  template <class T>
  void sources_of(T const* own, index_t n) {
    const std::size_t line = (std::size_t(n) * sizeof(T) + 63) / 64 * 64;
    auto* scratch = static_cast<std::byte*>(scratch_.of(line * std::size_t(size())));
    sources_.resize(std::size_t(size()));
    for (int r = 0; r < size(); ++r)
      sources_[std::size_t(r)] = r == rank() ? static_cast<void const*>(own) : scratch + line * std::size_t(r);
  }
  void* source(int r) const { return const_cast<void*>(sources_[std::size_t(r)]); }  // of another rank: scratch
  template <class Op, class T>
  void add(T* to, index_t n) {
    if (n <= 0) return;
    combine_ranks<Op>(to, sources_.data(), size(), n);
  }

  Transport& transport_;
  byte_counters& sent_;
  bool beside_;
  std::uint64_t number_ = 0;
  std::vector<outgoing> out_;
  std::vector<incoming> in_;
  std::vector<void const*> sources_;
  arena scratch_;
  typename Transport::workspace workspace_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
