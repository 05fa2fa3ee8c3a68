// SPDX-License-Identifier: Apache-2.0
/// @file `communicator<Transport>`: ranks that exchange data. The transports are in comm/loopback.hpp and comm/mpi.hpp.
///
/// Every call that takes data takes its backend first: data on a device are staged through host memory in the order of
/// the backend's stream. Collectives must be called by all ranks in the same order; what they compute is a function of
/// the data and the number of ranks alone, so that all transports give the same bits.
#pragma once
#include <functional>

#include "pending.hpp"

namespace frugal {
inline namespace v0 {

/// What a communicator is made of: a way to post a set of messages and to complete it, and to run something beside.
template <class T>
concept comm_transport = requires(T& t, typename T::workspace& w, typename T::task k, std::function<void()> f,
                                  std::vector<detail::outgoing> const& out, std::vector<detail::incoming> const& in,
                                  std::vector<int> const& members, std::uint64_t number, std::string const& text) {
  { T::name } -> std::convertible_to<char const*>;
  { t.rank() } -> std::same_as<int>;
  { t.size() } -> std::same_as<int>;
  t.exchange(out, in, w);
  { t.subgroup(members, number) } -> std::same_as<T>;
  t.abort(text);
  { t.now() } -> std::same_as<double>;
  { t.overlaps() } -> std::same_as<bool>;
  { t.start(f) } -> std::same_as<typename T::task>;
  { t.ready(k) } -> std::same_as<bool>;
  t.wait(k);
  t.finish();
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
  requires std::constructible_from<Transport, A...>
  explicit communicator(A&&... a) : communicator(Transport(std::forward<A>(a)...)) {}

  int rank() const { return s_->transport.rank(); }
  int size() const { return s_->transport.size(); }
  /// Payload that left this rank through this communicator: all of it, or that of one kind of call.
  std::int64_t bytes_sent() const {
    std::int64_t n = 0;
    for (int k = 0; k < message_kinds; ++k) n += bytes_sent(message_kind(k));
    return n;
  }
  std::int64_t bytes_sent(message_kind k) const { return s_->sent.of(k); }

  // ---- one to one ----
  /// Returns when the receiver has it, at the latest: two ranks that both send first may wait for ever.
  template <class B, class R>
  void send(B const& b, R&& data, int to, int tag = 0) {
    const auto v = detail::as_source<B>(data);
    exchange_with(b, message_kind::send, std::array{with(to, v)}, nobody<decltype(v)>{}, tag);
  }
  template <class B, class R>
  void receive(B const& b, R&& data, int from, int tag = 0) {
    const auto v = detail::as_view<B>(data);
    exchange_with(b, message_kind::send, nobody<decltype(v)>{}, std::array{with(from, v)}, tag);
  }
  /// Bytes whose number only the sender knows.
  bytes receive_bytes(int from, int tag = 0) {
    return std::move(exchange_bytes(message_kind::send, {}, {from}, tag)[0]);
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

  // ---- collectives ----
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
  requires requires { Op::code; }
  void reduce_scatter(B const& b, R&& blocks, Q&& mine, Op = {}) {
    const auto in = detail::as_source<B>(blocks);
    const auto out = detail::as_view<B>(mine);
    require(in.size() == out.size() * size(), "the size of reduce_scatter's blocks", out.size() * size(), in.size());
    from_to(b, in, out, [&](auto* from, auto* to) {
      s_->now.template reduce_scatter<Op>(from, to, [&](int) { return out.size(); });
    });
  }
  /// Uneven: a block of `counts[r]` elements for each rank r. `mine` may be this rank's block of `blocks`.
  template <class B, class R, class Q, class Op = op::sum>
  void reduce_scatter(B const& b, R&& blocks, Q&& mine, view<index_t const> counts, Op = {}) {
    const auto in = detail::as_source<B>(blocks);
    const auto out = detail::as_view<B>(mine);
    check_counts("reduce_scatter", counts, in.size());
    require(out.size() == counts[rank()], "the size of this rank's part of reduce_scatter", counts[rank()], out.size());
    from_to(b, in, out, [&](auto* from, auto* to) {
      s_->now.template reduce_scatter<Op>(from, to, [&](int r) { return counts[r]; });
    });
  }
  /// `all` is size() times as long as `mine`.
  template <class B, class R, class Q>
  void all_gather(B const& b, R&& mine, Q&& all) {
    const auto in = detail::as_source<B>(mine);
    const auto out = detail::as_view<B>(all);
    require(out.size() == in.size() * size(), "the size of all_gather's result", in.size() * size(), out.size());
    from_to(b, in, out, [&](auto* from, auto* to) { s_->now.all_gather(from, to, [&](int) { return in.size(); }); });
  }
  /// Uneven: `counts[r]` elements of rank r.
  template <class B, class R, class Q>
  void all_gather(B const& b, R&& mine, Q&& all, view<index_t const> counts) {
    const auto in = detail::as_source<B>(mine);
    const auto out = detail::as_view<B>(all);
    check_counts("all_gather", counts, out.size());
    require(in.size() == counts[rank()], "the size of this rank's part of all_gather", counts[rank()], in.size());
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
    require(index_t(messages.size()) == size(), "the messages of all_to_all_bytes", size(), messages.size());
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

  // ---- calls that run beside the caller ----
  // They are executed one after the other, in the order in which they were started; all ranks start them in one order.

  /// Whether they make progress while the caller does other things; if not, they run in wait().
  bool overlaps() const { return s_->transport.overlaps(); }
  /// The sum (mean ...) of copies of `data`: a pending vector.
  template <class B, class R, class Op = op::sum>
  auto all_reduce_async(B const& b, R&& data, Op = {}) {
    const auto v = detail::as_source<B>(data);
    using T = std::remove_const_t<typename decltype(v)::element>;
    return start(to_host(b, v),
                 [](state& s, std::vector<T>& x) { s.later.template all_reduce<Op>(x.data(), index_t(x.size())); });
  }
  /// As neighbour_exchange_bytes.
  template <class B, class Out>
  auto neighbour_exchange_bytes_async(B const& b, Out const& sends, std::vector<int> from) {
    std::vector<std::pair<int, bytes>> out;
    for (auto const& m : sends) check_rank(m.rank), out.emplace_back(m.rank, to_host(b, detail::as_source<B>(m.data)));
    for (int r : from) check_rank(r);
    std::vector<bytes> room(from.size());
    return start(std::move(room), [out = std::move(out), from = std::move(from)](state& s, auto& got) {
      const auto e = detail::envelope::of<std::uint8_t>(message_kind::neighbour_exchange);
      for (auto const& [to, data] : out)
        s.later.put(to, detail::collective_tag(true), e, data.data(), index_t(data.size()));
      for (std::size_t i = 0; i < from.size(); ++i)
        s.later.expect_any_size(from[i], detail::collective_tag(true), e, got[i]);
      s.later.exchange();
    });
  }

  // ---- others ----
  /// A communicator for every colour (>= 0): its ranks are in the order of their keys, and of their ranks here.
  communicator split(int color, int key = 0) {
    require(color >= 0, "a colour", ">= 0", color);
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
  struct state {
    using transport_type = Transport;
    explicit state(Transport t) : transport(std::move(t)) {}
    state(state const&) = delete;
    state& operator=(state const&) = delete;
    ~state() { transport.finish(); }
    Transport transport;
    detail::byte_counters sent;
    detail::collectives<Transport> now{transport, sent, false}, later{transport, sent, true};
    detail::arena staging;
    std::uint64_t groups = 0;
  };

  void check_rank(int r) const {
    if (r < 0 || r >= size()) refuse("a rank", "0 to " + std::to_string(size() - 1), std::to_string(r));
  }
  void check_counts(char const* what, view<index_t const> counts, index_t total) const {
    require(counts.size() == size(), std::string("the counts of ") + what, size(), counts.size());
    index_t n = 0;
    for (index_t c : counts) require(c >= 0, what, "counts >= 0", c), n += c;
    require(n == total, std::string("the size of ") + what, n, total);
  }
  template <class Messages>
  void check_ranks(Messages const& messages) const {
    std::vector<bool> seen(std::size_t(size()), false);
    for (auto const& m : messages) {
      check_rank(m);
      if (seen[std::size_t(m)]) refuse("the ranks of an exchange", "each once", std::to_string(m) + " twice");
      seen[std::size_t(m)] = true;
    }
  }
  template <class T, class Space>
  static neighbour<T, Space> with(int rank, view<T, Space> v) {
    return {rank, v};
  }
  template <class V>
  using nobody = std::array<neighbour<std::remove_const_t<typename V::element>, typename V::space>, 0>;
  template <class Messages>
  static std::vector<int> ranks_of(Messages const& messages) {
    std::vector<int> ranks;
    for (auto const& m : messages) ranks.push_back(m.rank);
    return ranks;
  }
  template <class T>
  detail::envelope one_to_one(message_kind kind, int tag) const {
    require(tag >= 0 && tag < detail::user_tags, "a tag", "0 to 15999", tag);
    auto e = detail::envelope::of<T>(kind);
    e.number = std::uint64_t(tag);
    return e;
  }

  template <class B, class Out, class In>
  void exchange_with(B const& b, message_kind kind, Out const& sends, In const& receives, int tag) {
    using T = std::remove_const_t<typename decltype(std::begin(sends)->data)::element>;
    check_ranks(ranks_of(sends)), check_ranks(ranks_of(receives));
    auto e = one_to_one<T>(kind, tag);
    index_t total = 0;
    for (auto const& m : sends) total += m.data.size() * index_t(sizeof(T)) + 16;
    for (auto const& m : receives) total += m.data.size() * index_t(sizeof(T)) + 16;
    detail::host_images<B> images(b, s_->staging, total);
    for (auto const& m : sends) {
      e.count = m.data.size();
      s_->now.put(m.rank, detail::user_tag(tag), e, images.read(detail::as_source<B>(m.data)),
                  e.count * index_t(sizeof(T)));
    }
    std::vector<T*> arrived;
    for (auto const& m : receives) {
      e.count = m.data.size();
      arrived.push_back(images.room(m.data));
      s_->now.expect(m.rank, detail::user_tag(tag), e, arrived.back(), e.count * index_t(sizeof(T)));
    }
    s_->now.exchange();
    auto image = arrived.begin();
    for (auto const& m : receives) images.give(m.data, *image++);
  }
  std::vector<bytes> exchange_bytes(message_kind kind, std::vector<neighbour<std::uint8_t const>> const& sends,
                                    std::vector<int> const& from, int tag) {
    check_ranks(ranks_of(sends)), check_ranks(from);
    auto e = one_to_one<std::uint8_t>(kind, tag);
    std::vector<bytes> got(from.size());
    for (auto const& m : sends) {
      e.count = m.data.size();
      s_->now.put(m.rank, detail::user_tag(tag), e, m.data.data(), e.count);
    }
    for (std::size_t i = 0; i < from.size(); ++i) s_->now.expect_any_size(from[i], detail::user_tag(tag), e, got[i]);
    s_->now.exchange();
    return got;
  }

  template <class B, class R, class F>
  void in_place(B const& b, R& data, F const& f) {
    const auto v = detail::as_view<B>(data);
    detail::host_images<B> images(b, s_->staging, index_t(images.bytes_of(v)));
    auto* image = images.read(v);
    f(image, v.size());
    images.give(v, image);
  }
  template <class B, class In, class Out, class F>
  void from_to(B const& b, In in, Out out, F const& f) {
    detail::host_images<B> images(b, s_->staging, index_t(images.bytes_of(in) + images.bytes_of(out)) + 16);
    auto* from = images.read(in);
    auto* to = images.room(out);
    f(from, to);
    images.give(out, to);
  }
  template <class Result, class F>
  pending<Result, state> start(Result result, F f) {
    auto call = std::make_shared<detail::started<Result, Transport>>();
    call->result = std::move(result);
    // The state outlives its calls: its destructor finishes them first.
    call->task = s_->transport.start([s = s_.get(), c = call.get(), keep = call, f = std::move(f)] {
      FRUGAL_TRY { f(*s, c->result); }
      FRUGAL_CATCH_ALL { c->error = std::current_exception(); }
    });
    return {s_, std::move(call)};
  }
  std::shared_ptr<state> s_;
};

}  // namespace v0
}  // namespace frugal
