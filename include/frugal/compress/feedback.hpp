// SPDX-License-Identifier: Apache-2.0
/// @file `error_feedback<Rule, C, Backend>`: a compressor with memory, so that what a message leaves out is not lost.
/// A rule says what is compressed and what becomes of the memory, for one element and any value type V:
///
///     states        names; the first is the memory, the others follow the gradients
///     residual      whether the memory, where nothing is sent, becomes what was to be compressed (then there is one
///     state) input(g, s...)      p, what is compressed; may update the states but the first sent(p, d, s...)    the
///     memory, now that d was sent in place of p
#pragma once
#include <array>
#include <utility>

#include "../core/counter.hpp"
#include "../core/state.hpp"
#include "compressor.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

template <class Source>
struct put_in_place;

/// What a compressor is given by an error feedback: detail::vector_source has the interface.
/// @tparam Takes whether states change as the message is made; else they stay as they are
template <class Rule, bool Takes = true>
struct feedback_source {
  static constexpr bool listens = Takes;
  static constexpr int N = int(sizeof(Rule::states) / sizeof(char const*));
  using every = std::make_integer_sequence<int, N>;
  static_assert(Takes || (N == 1 && !Rule::residual), "making the message of this rule changes its states");
  Rule rule;
  float const* g;
  float* place;  // of what is compressed, for coders that choose: the memory of a residual, else a vector of its own
  float* s[N];

  FRUGAL_FN feedback_source from(index_t i) const {
    feedback_source f = *this;
    f.g += i;
    if (f.place) f.place += i;
    for (float*& each : f.s) each += i;
    return f;
  }
  FRUGAL_FN bool aligned(int width) const {
    bool all = multiple_of(g, width) && multiple_of(place, width);
    for (float* p : s) all = all && multiple_of(p, width);
    return all;
  }
  FRUGAL_FN float const* contiguous() const { return s[0]; }

  template <class Team>
  FRUGAL_FN void ahead(Team const&, index_t) const {}  // the block itself fills the cache
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN auto value(Chunk c) const {
    return value_of(c, every{});
  }
  FRUGAL_GENERIC template <bool Seen, class Chunk, class Code>
  FRUGAL_FN auto exchange(Chunk c, Code const& code) const {
    constexpr bool made = Seen && Rule::residual;
    return exchange_of<made>(c, code, every{});
  }
  template <class Backend>
  float const* all(Backend const& b, index_t n) const {
    b.for_each(one_segment(n), put_in_place<feedback_source>{*this});
    return place;
  }
  FRUGAL_FN void sent(index_t i, float d) const { sent_of(chunk<lanes<float, 1>, true>{i, 1}, d, every{}); }

 private:
  // What a residual compresses takes the place of its memory at the first sight of it; others make it anew each time,
  // which is cheaper than to keep it.
  FRUGAL_GENERIC template <class Chunk, int... K>
  FRUGAL_FN auto value_of(Chunk c, std::integer_sequence<int, K...>) const {
    using V = typename Chunk::value;
    V now[] = {c.load(s[K])...};
    const V p = rule.input(c.load(g), now[K]...);
    if constexpr (Rule::residual) c.store(s[0], p);
    return p;
  }
  FRUGAL_GENERIC template <bool Made, class Chunk, class Code, int... K>
  FRUGAL_FN auto exchange_of(Chunk c, Code const& code, std::integer_sequence<int, K...>) const {
    using V = typename Chunk::value;
    V now[] = {c.load(s[K])...}, p = now[0];
    if constexpr (!Made) p = rule.input(c.load(g), now[K]...);
    if constexpr (Takes) {
      rule.sent(p, code(p), now[K]...);
      (c.store(s[K], now[K]), ...);
    }
    return p;
  }
  FRUGAL_GENERIC template <class Chunk, int... K>
  FRUGAL_FN void sent_of(Chunk c, float d, std::integer_sequence<int, K...>) const {
    using V = typename Chunk::value;
    V now[] = {c.load(s[K])...};
    rule.sent(c.load(static_cast<float const*>(place)), V(d), now[K]...);
    c.store(s[0], now[0]);
  }
};

/// What is compressed, put in its place in memory; the states but the first are updated.
template <class Source>
struct put_in_place {
  using scalar = float;
  Source source;
  static constexpr bool active = true;
  FRUGAL_FN put_in_place bind(segment const&) const { return *this; }
  FRUGAL_FN bool aligned(int width) const { return source.aligned(width); }
  FRUGAL_FN float const* contiguous() const { return source.contiguous(); }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    run(c, typename Source::every{});
  }
  FRUGAL_GENERIC template <class Chunk, int... K>
  FRUGAL_FN void run(Chunk c, std::integer_sequence<int, K...>) const {
    using V = typename Chunk::value;
    V now[] = {c.load(source.s[K])...};
    const V p = source.rule.input(c.load(source.g), now[K]...);
    ((K > 0 ? c.store(source.s[K], now[K]) : void()), ...);
    c.store(source.place, p);
  }
};

}  // namespace detail

/// One rank's side. The message of round t (counted from 0) carries the stamp {sender, t}.
template <class Rule, class C, team_backend Backend>
class error_feedback {
  using source = detail::feedback_source<Rule>;
  static constexpr int N = source::N;

 public:
  using space = typename Backend::space;
  using compressor_type = frugal::compressor<C, Backend>;

  /// States are zero at first; state() and restore_state() set others. The compressor must be contractive.
  /// @param sender this rank
  error_feedback(Backend b, frugal::layout extent, C how, std::int32_t sender = 0)
      : backend_(std::move(b)), compressor_(backend_, std::move(extent), how), sender_(sender), round_(backend_) {
    require(compressor_.alpha() > 0, "a compressor inside an error feedback", "a contractive one", C::name);
    require(sender >= 0, "a sender", ">= 0", sender);
    const index_t n = layout().size();
    for (auto& s : states_) s = buffer<float, Backend>(backend_, n);
    if constexpr (!compressor_type::in_one_pass && !Rule::residual) work_ = buffer<float, Backend>(backend_, n);
    reset();
  }

  /// One round: compresses what the rule makes of g and the states, and updates them. Waits for the backend.
  message const& exchange(view<float const, space> g, Rule const& rule) {
    message const& m = encode<source>(g, rule);
    offered_ = false;
    round_.set(round() + 1);
    return m;
  }
  /// The same in two halves, for a round that may come to nothing: the message is made and nothing changed; then the
  /// memory takes what was sent, and the round has been. For rules of one state that is no residual.
  message const& offer(view<float const, space> g, Rule const& rule) {
    message const& m = encode<detail::feedback_source<Rule, false>>(g, rule);
    offered_ = true;
    return m;
  }
  void accept() {
    require(offered_, "a message to be accepted", "offer() before", "none");
    message const& m = compressor_.last();
    const std::int64_t t = round();
    add_to(state(), {m.data(), m.size()}, 1, stamp(t));
    round_.set(t + 1);
    offered_ = false;
  }
  /// x += scale D, of this or another rank's message.
  void add_to(view<float, space> x, view<std::uint8_t const> bytes, double scale = 1, message_stamp expected = {}) {
    compressor_.add_to(x, bytes, scale, expected);
  }
  /// into += scale (the mean of all ranks' D of the last round), added up in the order of the ranks: the same bits on
  /// every rank. All ranks call it after compress(), with communicator ranks as senders. Every message is checked
  /// before the first is added: a lost, altered, replayed or foreign one is refused, and `into` unchanged.
  template <class World>
  void add_mean(World& world, view<float, space> into, double scale = 1) {
    const std::int64_t t = round() - 1;
    require(world.rank() == sender_, "the sender of an error feedback", world.rank(), sender_);
    require(t >= 0, "the messages of a round", "compress() before", "none");
    compressor_.check_vector(into, "a vector to add to");
    const auto all = world.all_gather_bytes(detail::host_messages{}, compressor_.last());
    std::vector<checked_message> checked;
    for (std::size_t r = 0; r < all.size(); ++r)
      checked.push_back(compressor_.check(all[r], {std::int32_t(r), std::uint64_t(t)}));
    for (checked_message const& m : checked) compressor_.add_to(into, m, scale / double(all.size()));
  }
  frugal::compressor<C, Backend>& compressor() { return compressor_; }

  /// Rounds so far.
  std::int64_t round() const { return round_.get(); }
  /// As constructed: states and round are zero. All ranks must do it in the same round.
  void reset() {
    offered_ = false;
    for (auto& s : states_) s.fill(0);
    round_.set(0);
  }
  /// State k in the rule's order. May be written between rounds, such as h = g(x_0) for EF21.
  view<float, space> state(int k = 0) { return states_[std::size_t(k)].view(); }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("round", role::counter, round_.show());
    for (int k = 0; k < N; ++k) visit(Rule::states[k], role::moment, states_[std::size_t(k)].view());
  }
  std::size_t state_bytes() const { return N * states_[0].bytes(); }
  std::string algorithm() const { return std::string(Rule::name) + "/" + C::name; }
  /// Of the layout and the sender: two ranks with one rank's memory would not be noticed.
  std::uint64_t state_layout() const { return fnv1a().add(layout().hash()).add(std::uint64_t(sender_)).value(); }
  frugal::layout const& layout() const { return compressor_.layout(); }
  Backend const& backend() const { return backend_; }

 private:
  message_stamp stamp(std::int64_t t) const { return {sender_, std::uint64_t(t)}; }
  template <class Source>
  message const& encode(view<float const, space> g, Rule const& rule) {
    compressor_.check_vector(g, "a gradient to be compressed");
    Source from{rule, g.data(), Rule::residual ? states_[0].data() : work_.data(), {}};
    for (int k = 0; k < N; ++k) from.s[k] = states_[std::size_t(k)].data();
    return compressor_.encode_from(from, stamp(round()));
  }

  Backend backend_;
  frugal::compressor<C, Backend> compressor_;
  std::int32_t sender_;
  std::array<buffer<float, Backend>, N> states_;
  buffer<float, Backend> work_;
  counter<Backend> round_;
  bool offered_ = false;
};

}  // namespace v0
}  // namespace frugal
