// SPDX-License-Identifier: Apache-2.0
/// @file `communicator<Transport>`: ranks that exchange data. The transports are in comm/loopback.hpp and comm/mpi.hpp.
///
/// Every call that takes data takes its backend first: data on a device are staged through host memory in the order of
/// the backend's stream. Collectives must be called by all ranks in the same order; what they compute is a function of
/// the data and the number of ranks alone, so that all transports give the same bits.
#pragma once
#include "pending.hpp"

namespace frugal {
inline namespace v0 {

/// What a communicator is made of: a way to post a set of messages and to complete it, and to run something beside.
template <class T>
concept comm_transport = requires(T& t, typename T::workspace& w, typename T::task k) {
  { T::name } -> std::convertible_to<char const*>;
  { t.rank() } -> std::same_as<int>;
  { t.size() } -> std::same_as<int>;
  { t.overlaps() } -> std::same_as<bool>;
  t.exchange(std::vector<detail::outgoing>{}, std::vector<detail::incoming>{}, w);
  { t.subgroup(std::vector<int>{}, std::uint64_t{}) } -> std::same_as<T>;
  { t.start([] {}) } -> std::same_as<typename T::task>;
  { t.ready(k) } -> std::same_as<bool>;
  t.wait(k);
  t.abort(std::string{});
};

/// Data for a rank, or from one.
template <class T, class Space = host_space>
struct neighbour {
  int rank;
  view<T, Space> data;
};

/// A cheap handle: copies are the same communicator. One thread of a rank uses it at a time.
template <comm_transport Transport>
class communicator {
 public:
  using bytes = std::vector<std::uint8_t>;
  static constexpr char const* name = Transport::name;

  explicit communicator(Transport transport) : s_(std::make_shared<state>(std::move(transport))) {}
  template <class... A>
  requires std::constructible_from<Transport, A...> explicit communicator(A&&... a)
      : communicator(Transport(std::forward<A>(a)...)) {}

  int rank() const { return s_->transport.rank(); }
  int size() const { return s_->transport.size(); }
  /// Payload that left this rank through this communicator: all of it, or that of one kind of call.
  std::int64_t bytes_sent() const {
    std::int64_t n = 0;
    for (int k = 0; k < message_kinds; ++k) n += bytes_sent(message_kind(k));
    return n;
  }
  std::int64_t bytes_sent(message_kind k) const { return s_->sent.of(k); }

  // ---- one to one ----------------------------------------------------------------------------------------------------
  /// Returns when the receiver has it, at the latest: two ranks that both send first may wait for ever.
  template <class B, class R>
  void send(B const& b, R&& data, int to, int tag = 0) {
    const auto v = detail::as_source<B>(data);
    exchange_with(b, message_kind::send, std::array{neighbour{to, v}}, std::array<decltype(neighbour{to, v}), 0>{}, tag);
  }
  template <class B, class R>
  void receive(B const& b, R&& data, int from, int tag = 0) {
    const auto v = detail::as_view<B>(data);
    exchange_with(b, message_kind::send, std::array<decltype(neighbour{from, v}), 0>{}, std::array{neighbour{from, v}}, tag);
  }
  /// Bytes whose number only the sender knows.
  bytes receive_bytes(int from, int tag = 0) {
    return std::move(exchange_bytes(message_kind::send, {}, std::array{from}, tag)[0]);
  }
  /// Sends and receives, posted together and completed together, in any pattern; a rank at most once on either side.
  /// `sends` and `receives` are arrays or vectors of neighbour<T, Space>.
  template <class B, class Out, class In>
  void neighbour_exchange(B const& b, Out const& sends, In const& receives, int tag = 0) {
    exchange_with(b, message_kind::neighbour_exchange, sends, receives, tag);
  }
  /// The same for bytes whose number only the sender knows: what came from each of `from`, in host memory.
  template <class B, class Out>
  std::vector<bytes> neighbour_exchange_bytes(B const& b, Out const& sends, std::vector<int> const& from, int tag = 0) {
    index_t total = 0;
    for (auto const& m : sends) total += m.data.size() + 16;
    detail::host_images<B> images(b, s_->staging, total);
    std::vector<neighbour<std::uint8_t const>> on_host;
    for (auto const& m : sends) on_host.push_back({m.rank, {images.read(detail::as_source<B>(m.data)), m.data.size()}});
    return exchange_bytes(message_kind::neighbour_exchange, on_host, from, tag);
  }

  // ---- collectives ---------------------------------------------------------------------------------------------------
  /// In place. Every rank gets the same bits, added in the order of the ranks: the same on every transport.
  template <class B, class R, class Op = op::sum>
  void all_reduce(B const& b, R&& data, Op = {}) {
    in_place(b, data, [&](auto* x, index_t n) { s_->now.template all_reduce<Op>(x, n); });
  }
  /// In an order that the transport likes. Every rank gets the same bits, but other transports may give others.
  template <class B, class R, class Op>
  void all_reduce(B const& b, R&& data, Op, any_order_t) {
    in_place(b, data, [&](auto* x, index_t n) { s_->now.template all_reduce_any_order<Op>(x, n); });
  }
  /// `blocks` holds size() blocks as long as `mine`, which gets the sum of the ranks' blocks number rank().
  template <class B, class R, class Q, class Op = op::sum>
  void reduce_scatter(B const& b, R&& blocks, Q&& mine, Op = {}) {
    const auto in = detail::as_source<B>(blocks);
    const auto out = detail::as_view<B>(mine);
    detail::require(in.size() == out.size() * size(), "the size of reduce_scatter's blocks", out.size() * size(),
                    in.size());
    from_to(b, in, out, [&](auto* from, auto* to) { s_->now.template reduce_scatter<Op>(from, to, out.size()); });
  }
  /// `all` is size() times as long as `mine`.
  template <class B, class R, class Q>
  void all_gather(B const& b, R&& mine, Q&& all) {
    const auto in = detail::as_source<B>(mine);
    const auto out = detail::as_view<B>(all);
    detail::require(out.size() == in.size() * size(), "the size of all_gather's result", in.size() * size(), out.size());
    from_to(b, in, out, [&](auto* from, auto* to) { s_->now.all_gather(from, to, [&](int) { return in.size(); }); });
  }
  /// Uneven: `counts[r]` elements of rank r.
  template <class B, class R, class Q>
  void all_gather(B const& b, R&& mine, Q&& all, view<index_t const> counts) {
    const auto in = detail::as_source<B>(mine);
    const auto out = detail::as_view<B>(all);
    check_counts("all_gather", counts, out.size());
    detail::require(in.size() == counts[rank()], "the size of this rank's part of all_gather", counts[rank()], in.size());
    from_to(b, in, out, [&](auto* from, auto* to) { s_->now.all_gather(from, to, [&](int r) { return counts[r]; }); });
  }
  /// Bytes whose number only their senders know; the result is in host memory.
  template <class B, class R>
  std::vector<bytes> all_gather_bytes(B const& b, R&& mine) {
    const auto in = detail::as_source<B>(mine);
    detail::host_images<B> images(b, s_->staging, in.size() + 16);
    std::vector<bytes> all;
    s_->now.all_gather({images.read(in), in.size()}, all);
    return all;
  }
  /// `in` holds in_counts[r] elements for each rank r, `out` gets out_counts[r] from each.
  template <class B, class R, class Q>
  void all_to_all(B const& b, R&& data, view<index_t const> in_counts, Q&& result, view<index_t const> out_counts) {
    const auto in = detail::as_source<B>(data);
    const auto out = detail::as_view<B>(result);
    check_counts("all_to_all's data", in_counts, in.size());
    check_counts("all_to_all's result", out_counts, out.size());
    from_to(b, in, out, [&](auto* from, auto* to) { s_->now.all_to_all(from, in_counts, to, out_counts); });
  }
  /// A message for each rank, of any length; what came from each, in host memory.
  template <class B, class Messages>
  std::vector<bytes> all_to_all_bytes(B const& b, Messages const& messages) {
    detail::require(index_t(messages.size()) == size(), "the messages of all_to_all_bytes", size(), messages.size());
    index_t total = 0;
    for (auto const& m : messages) total += index_t(m.size()) + 16;
    detail::host_images<B> images(b, s_->staging, total);
    std::vector<view<std::uint8_t const>> in;
    for (auto const& m : messages) in.push_back({images.read(detail::as_source<B>(m)), index_t(m.size())});
    std::vector<bytes> out;
    s_->now.all_to_all(in, out);
    return out;
  }
  template <class B, class R>
  void broadcast(B const& b, R&& data, int root = 0) {
    check_rank(root);
    in_place(b, data, [&](auto* x, index_t n) { s_->now.broadcast(x, n, root); });
  }
  /// No rank leaves before all have come, and before what they told their backends is done.
  template <class B>
  void barrier(B const& b) {
    b.sync();
    s_->now.barrier();
  }

  // ---- calls that run beside the caller ------------------------------------------------------------------------------
  // They are executed one after the other, in the order in which they were started; all ranks start them in one order.
  /// Whether they make progress while the caller does other things; if not, they run in wait().
  bool overlaps() const { return s_->transport.overlaps(); }
  /// The sum (mean ...) of copies of `data`: a pending vector.
  template <class B, class R, class Op = op::sum>
  auto all_reduce_async(B const& b, R&& data, Op = {}) {
    const auto v = detail::as_source<B>(data);
    using T = std::remove_const_t<typename decltype(v)::element>;
    return start(copied(b, v), [](state& s, std::vector<T>& x) {
      s.later.template all_reduce<Op>(x.data(), index_t(x.size()));
    });
  }
  /// As neighbour_exchange_bytes.
  template <class B, class Out>
  auto neighbour_exchange_bytes_async(B const& b, Out const& sends, std::vector<int> from) {
    std::vector<std::pair<int, bytes>> out;
    for (auto const& m : sends) check_rank(m.rank), out.emplace_back(m.rank, copied(b, detail::as_source<B>(m.data)));
    for (int r : from) check_rank(r);
    return start(std::vector<bytes>(from.size()), [out = std::move(out), from = std::move(from)](state& s, auto& got) {
      auto& c = s.later;
      const auto e = c.template next<std::uint8_t>(message_kind::all_to_all, 0);
      for (auto const& [to, data] : out) c.put(to, detail::collective_tag(true), e, data.data(), index_t(data.size()));
      for (std::size_t i = 0; i < from.size(); ++i) c.expect_any_size(from[i], detail::collective_tag(true), e, got[i]);
      c.exchange();
    });
  }

  // ---- others --------------------------------------------------------------------------------------------------------
  /// A communicator for every colour (>= 0): its ranks are in the order of their keys, and of their ranks here.
  communicator split(int color, int key = 0) {
    detail::require(color >= 0, "a colour", ">= 0", color);
    std::vector<std::int64_t> all(std::size_t(size()) * 2), mine{color, key};
    s_->now.all_gather(mine.data(), all.data(), [](int) { return 2; });
    std::vector<int> members;
    for (int r = 0; r < size(); ++r)
      if (all[std::size_t(2 * r)] == color) members.push_back(r);
    std::stable_sort(members.begin(), members.end(),
                     [&](int a, int c) { return all[std::size_t(2 * a + 1)] < all[std::size_t(2 * c + 1)]; });
    return communicator(s_->transport.subgroup(members, s_->groups++));
  }
  /// Ends the job, or the run, on all ranks.
  [[noreturn]] void abort(std::string const& text) { s_->transport.abort(text); }
  /// Seconds: of the virtual clock on loopback, of the wall's elsewhere.
  double now() const { return s_->transport.now(); }
  /// Lets virtual time pass, where there is such a thing.
  void compute(double seconds) requires requires(Transport& t) { t.compute(1.0); }
  { s_->transport.compute(seconds); }
  Transport const& transport() const { return s_->transport; }

 private:
