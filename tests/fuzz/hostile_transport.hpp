// SPDX-License-Identifier: Apache-2.0
// A transport whose other ranks do what the test says. The one rank that is tested sees nothing else of them.
#pragma once
#include <frugal/comm/communicator.hpp>

#include "fuzz.hpp"

namespace frugal_fuzz {

using frugal::detail::envelope, frugal::detail::incoming, frugal::detail::outgoing;

// A message from another rank.
struct reply {
  envelope head;
  bytes data;
};
// What rank m.peer sends where m is expected; `own` is what the tested rank sends, if it sends anything.
using reply_function = std::function<reply(incoming const& m, outgoing const* own)>;

class hostile_transport {
 public:
  static constexpr char const* name = "hostile";
  struct workspace {};
  using task = int;

  // `answer` outlives the transport, and may change.
  hostile_transport(int rank, int size, reply_function const& answer) : rank_(rank), size_(size), answer_(&answer) {}
  int rank() const { return rank_; }
  int size() const { return size_; }
  void exchange(std::vector<outgoing> const& out, std::vector<incoming> const& in, workspace&) {
    for (incoming const& m : in) {
      const reply got = (*answer_)(m, out.empty() ? nullptr : &out[0]);
      const heap_use heap;
      void* to = nullptr;
      try {
        to = m.accept(got.head, rank());
      } catch (frugal::comm_error const&) {
        must(heap.bytes() <= heap_of_an_error, "the memory that a refused envelope asks for");
        throw;
      }
      must(heap.bytes() <= (m.any_size ? std::size_t(got.head.bytes) : 0), "the memory that an envelope asks for");
      must(index_t(got.data.size()) == got.head.bytes, "an envelope that says another length is refused");
      if (!got.data.empty()) memcpy(to, got.data.data(), got.data.size());
    }
  }
  hostile_transport subgroup(std::vector<int> const& members, std::uint64_t) const {
    const auto me = std::find(members.begin(), members.end(), rank_);
    must(me != members.end(), "a rank is in its own group");
    return {int(me - members.begin()), int(members.size()), *answer_};
  }
  [[noreturn]] void abort(std::string const&) { std::abort(); }
  double now() const { return 0; }
  bool overlaps() const { return false; }
  task start(std::function<void()> f) { return f(), 0; }
  bool ready(task) const { return true; }
  void wait(task) const {}
  void finish() noexcept {}

 private:
  int rank_, size_;
  reply_function const* answer_;
};
static_assert(frugal::comm_transport<hostile_transport>);
using hostile_comm = frugal::communicator<hostile_transport>;

}  // namespace frugal_fuzz
