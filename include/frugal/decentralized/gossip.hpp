// SPDX-License-Identifier: Apache-2.0
/// @file Gossip: every rank replaces its vector by a weighted mean of its own and its neighbours',
///
///     x_i = sum over j of W_ij x_j
///
/// Xiao, Boyd, "Fast linear iterations for distributed averaging", Systems & Control Letters 53, 2004. Several rounds a
/// step, also as a Chebyshev filter: Scaman, Bach, Bubeck, Lee, Massoulie, "Optimal Algorithms for Smooth and Strongly
/// Convex Distributed Optimization in Networks", ICML 2017, in its normalised form (the terms do not grow):
///
///     y_0 = x    y_1 = W y_0    y_(k+1) = w_(k+1) (W y_k - y_(k-1)) + y_(k-1)    w_1 = 2    w_(k+1) = 1 / (1 - s^2 w_k
///     / 4)
///
/// with s the second largest absolute eigenvalue of W. Products are added in the order of the ranks, the own one at its
/// place: the same bits on every transport and backend.
#pragma once
#include "../compress/identity.hpp"
#include "../core/counter.hpp"
#include "neighbourhood.hpp"

namespace frugal {
inline namespace v0 {

struct gossip_config {
  int rounds = 1;          ///< exchanges a step, >= 1
  bool chebyshev = false;  ///< a filter of degree `rounds` in place of W^rounds; one symmetric matrix
};
inline void validate(gossip_config const& c) { require(c.rounds >= 1, "rounds", ">= 1", c.rounds); }

namespace detail {

struct weighted_vector {
  float const* from;
  float weight;
};

/// The weighted sum of vectors, in their order: a few, known to registers ...
template <int Count>
struct few_vectors {
  weighted_vector at[Count];
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN auto sum(Chunk c) const {
    using V = typename Chunk::value;
    V s = V(at[0].weight) * c.load(at[0].from);
    FRUGAL_UNROLL for (int k = 1; k < Count; ++k) s = s + V(at[k].weight) * c.load(at[k].from);
    return s;
  }
};
/// ... or any number.
struct many_vectors {
  weighted_vector const* at;
  std::int32_t count;  // >= 1
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN auto sum(Chunk c) const {
    using V = typename Chunk::value;
    V s = V(at[0].weight) * c.load(at[0].from);
    for (std::int32_t k = 1; k < count; ++k) s = s + V(at[k].weight) * c.load(at[k].from);
    return s;
  }
};

/// x = sum; x may be one of the vectors.
template <class Vectors>
struct weighted_sum {
  using scalar = float;
  Vectors vectors;
  float* x;
  // Whether all addresses are multiples of 16 bytes. A word: what g++ 12 clears as padding behind an array lies
  // elsewhere.
  index_t wide;
  static constexpr bool active = true;

  FRUGAL_FN weighted_sum bind(segment const&) const { return *this; }
  FRUGAL_FN bool aligned(int) const { return wide; }
  FRUGAL_FN float const* contiguous() const { return x; }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    c.store(x, vectors.sum(c));
  }
};
/// A round of a filter: a step from the vector before x, which x then is.
template <class Vectors>
struct filtered_sum : weighted_sum<Vectors> {
  float* before;
  float factor;
  bool first;  // nothing is before

  FRUGAL_FN filtered_sum bind(segment const&) const { return *this; }
  FRUGAL_GENERIC template <class Chunk>
  FRUGAL_FN void operator()(Chunk c) const {
    using V = typename Chunk::value;
    V sum = this->vectors.sum(c);
    if (!first) {
      const V old = c.load(static_cast<float const*>(before));
      sum = V(factor) * (sum - old) + old;
    }
    c.store(before, c.load(static_cast<float const*>(this->x)));
    c.store(this->x, sum);
  }
};

/// Several vectors, one of them x itself, into x.
template <class Backend>
void add_up(Backend const& b, std::vector<weighted_vector> const& from, weighted_vector* from_there, float* x,
            index_t n, bool wide) {
  const one_segment w(n);
  const auto few = [&]<int... K>(std::integer_sequence<int, K...>) {
    b.for_each(w, weighted_sum<few_vectors<int(sizeof...(K))>>{{{from[std::size_t(K)]...}}, x, wide});
  };
  switch (from.size()) {
    case 2:
      return few(std::make_integer_sequence<int, 2>{});
    case 3:
      return few(std::make_integer_sequence<int, 3>{});
    case 4:
      return few(std::make_integer_sequence<int, 4>{});
    case 5:
      return few(std::make_integer_sequence<int, 5>{});
    default:
      b.copy_in(from_there, from.data(), from.size() * sizeof(from[0]));
  }
  b.for_each(w, weighted_sum<many_vectors>{{from_there, std::int32_t(from.size())}, x, wide});
}

}  // namespace detail

/// One rank's side; all ranks construct it and step together. Vectors are of the layout's size.
template <team_backend Backend, class Transport>
class gossip {
 public:
  using space = typename Backend::space;
  using config_type = gossip_config;

  /// Collective.
  /// @param schedule a topology (its Metropolis weights), a mixing matrix, or several in turn
  /// @param extent a count of elements, or a layout of tensors
  gossip(Backend b, communicator<Transport> world, mixing_schedule schedule, frugal::layout extent,
         gossip_config c = {})
      : backend_(std::move(b)),
        config_((validate(c), c)),
        code_(backend_, std::move(extent), identity{}),
        round_(backend_),
        around_(std::move(world), std::move(schedule), layout(), "gossip", code_.max_wire_bytes(),
                {std::uint64_t(c.rounds), std::uint64_t(c.chebyshev)}) {
    const index_t n = layout().size(), most = around_.most_neighbours();
    if (c.chebyshev) {
      mixing_schedule const& w = around_.schedule();
      require(w.period() == 1, "the matrices of a Chebyshev filter", 1, w.period());
      require(w.turn(0).is_symmetric(), "the matrix of a Chebyshev filter", "a symmetric one", "another");
      const exact s(w.turn(0).slem());
      exact factor(2.0);
      for (int k = 1; k < c.rounds; ++k) {
        factor = exact(1.0) / (exact(1.0) - s * s * factor / exact(4.0));
        factors_.push_back(float(factor.v[0]));
      }
      before_ = buffer<float, Backend>(backend_, n + line);
    }
    stride_ = (n + 15) / 16 * 16;
    if constexpr (!detail::is_host<space>) received_ = buffer<float, Backend>(backend_, most * stride_);
    sources_.reserve(std::size_t(most) + 1);
    sources_there_ = buffer<detail::weighted_vector, Backend>(backend_, most + 1);
  }

  /// Mixes x in place; collective. A message that is refused leaves x as the round before left it.
  void step(view<float, space> x) {
    code_.check_vector(x, "a vector to be mixed");
    for (int k = 0; k < config_.rounds; ++k) mix(x, k);
  }

  /// Exchanges so far.
  std::int64_t round() const { return round_.get(); }
  /// Bytes of messages that left this rank: for each neighbour and round, 64 and those of the vector.
  std::int64_t bytes_sent() const { return around_.bytes_sent(); }
  communicator<Transport>& world() { return around_.world(); }
  mixing_schedule const& schedule() const { return around_.schedule(); }
  gossip_config const& config() const { return config_; }

  template <class Visitor>
  void visit_state(Visitor&& visit) {
    visit("round", role::counter, round_.show());
  }
  std::size_t state_bytes() const { return 0; }
  std::string algorithm() const { return "gossip"; }
  std::uint64_t state_layout() const { return around_.hash(); }
  frugal::layout const& layout() const { return code_.layout(); }
  Backend const& backend() const { return backend_; }

 private:
  static constexpr index_t line = Backend::line_bytes / sizeof(float);

  void mix(view<float, space> x, int k) {
    const std::int64_t t = round();
    auto const& row = around_.row(t);
    code_.encode(x, {around_.rank(), std::uint64_t(t)});
    auto const& messages = around_.exchange(code_, t, x.data());
    sources_.clear();
    bool wide = detail::multiple_of(x.data(), 4);
    float* place = received_.data();
    for (std::size_t j = 0; j < row.size(); ++j) {
      float const* from = x.data();
      if (row[j].rank != around_.rank()) {
        from = reinterpret_cast<float const*>(messages[j].payload.data());
        if constexpr (!detail::is_host<space>) {
          if (x.size() > 0) backend_.copy_in(place, from, std::size_t(x.size()) * sizeof(float));
          from = std::exchange(place, place + stride_);
        }
      }
      wide = wide && detail::multiple_of(from, 4);
      sources_.push_back({from, row[j].value});
    }
    if (config_.chebyshev) filter(x, wide, k);
    else detail::add_up(backend_, sources_, sources_there_.data(), x.data(), x.size(), wide);
    round_.set(t + 1);
  }
  void filter(view<float, space> x, bool wide, int k) {
    float* before = before_.data();
    if constexpr (line > 0)  // no access of either straddles lines: as optimizers lay their states
      before += reinterpret_cast<std::uintptr_t>(x.data()) / sizeof(float) % std::uintptr_t(line);
    backend_.copy_in(sources_there_.data(), sources_.data(), sources_.size() * sizeof(sources_[0]));
    const detail::many_vectors all{sources_there_.data(), std::int32_t(sources_.size())};
    backend_.for_each(one_segment(x.size()), detail::filtered_sum<detail::many_vectors>{
                                                 {all, x.data(), wide && detail::multiple_of(before, 4)},
                                                 before,
                                                 k > 0 ? factors_[std::size_t(k) - 1] : 1.f,
                                                 k == 0});
  }

  Backend backend_;
  gossip_config config_;
  compressor<identity, Backend> code_;
  counter<Backend> round_;
  detail::neighbourhood<Transport> around_;
  index_t stride_ = 0;
  std::vector<float> factors_;
  std::vector<detail::weighted_vector> sources_;
  buffer<detail::weighted_vector, Backend> sources_there_;
  buffer<float, Backend> received_, before_;
};

}  // namespace v0
}  // namespace frugal
