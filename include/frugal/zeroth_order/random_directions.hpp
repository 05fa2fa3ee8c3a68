// SPDX-License-Identifier: Apache-2.0
/// @file Sums of random directions over a model: what zeroth-order methods do to weights, written once. random_axpy.hpp
/// has the kernel.
#pragma once
#include <memory>
#include <span>

#include "../core/model_view.hpp"
#include "../core/support.hpp"
#include "../core/work_table.hpp"
#include "random_axpy.hpp"

namespace frugal {
inline namespace v0 {

/// c z, of direction `id`.
struct random_term {
  std::uint64_t id;
  double coefficient;
};

namespace detail {

/// Where a model's tensors begin, for kernels.
template <class Backend>
class pointer_table {
 public:
  pointer_table(Backend const& b, frugal::layout const& l)
      : backend_(b), here_(l.tensors().size()), there_(b, index_t(here_.size())) {
    upload();
  }
  template <class T, class Space>
  void* const* at(model_view<T, Space> v, frugal::layout const& l, char const* what) {
    bool same = true;
    v.for_each(l, what, [&](std::size_t i, T* p) {
      auto* const now = const_cast<std::remove_const_t<T>*>(p);
      same = same && here_[i] == now;
      here_[i] = now;
    });
    if (!same) upload();
    return there_.data();
  }

 private:
  void upload() { to_backend(backend_, there_.view(), here_); }
  Backend backend_;
  std::vector<void*> here_;
  buffer<void*, Backend> there_;
};

/// What all numbers of a direction are multiplied by, where that is not 1.
struct direction_factor {
  virtual ~direction_factor() = default;
  virtual double of(random_stream, std::uint64_t id) = 0;
};
/// Keeps those seen last.
template <class Factor>
struct known_factors : direction_factor {
  struct known {
    std::uint64_t seed, id;
    double factor;
  };
  Factor factor;
  std::vector<known> all;
  template <class Backend>
  known_factors(Backend const& b, layout const& l) : factor(b, l) {
    all.reserve(64);
  }
  double of(random_stream s, std::uint64_t id) override {
    for (known const& k : all)
      if (k.seed == s.seed && k.id == id) return k.factor;
    if (all.size() == 64) all.clear();
    all.push_back({s.seed, id, factor.scale(s, id)});
    return all.back().factor;
  }
};

/// What kernels draw for a direction.
template <class Direction>
struct entries_of {
  using type = Direction;
};
template <class Direction>
requires requires { typename Direction::entries; }
struct entries_of<Direction> {
  using type = typename Direction::entries;
};

/// A direction as a value: whatever does not depend on it is compiled once for all of them.
template <class Backend, class Types>
class direction_kind {
  using T = typename Types::compute;

 public:
  using sink = random_sink<T, typename Types::param, typename Types::param>;
  char const* name;
  void (*add_up)(Backend const&, random_sum<sink> const&);
  std::unique_ptr<direction_factor> (*factor)(Backend const&, layout const&);

  template <class Direction>
  static constexpr direction_kind of() {
    return {Direction::name, detail::add_up<typename entries_of<Direction>::type, T, sink, Backend>,
            factor_of<Direction>};
  }

 private:
  template <class Direction>
  static std::unique_ptr<direction_factor> factor_of(Backend const& b, layout const& l) {
    if constexpr (requires { typename Direction::entries; })
      return std::make_unique<known_factors<typename Direction::template factor<Backend>>>(b, l);
    else return nullptr;
  }
};

/// What moves: the coordinates of a range, but those of frozen tensors.
inline std::vector<segment> moving_segments(layout const& l, range const& support) {
  std::vector<segment> s;
  support_traits<range>::segments(support, l, s);
  std::erase_if(s, [&](segment const& x) { return l.groups()[std::size_t(x.group)].frozen || x.size == 0; });
  return s;
}
inline std::uint64_t hash_of(layout const& l, std::vector<segment> const& moving) {
  fnv1a hash;
  hash.add(l.hash());
  for (segment const& x : moving) hash.add(std::uint64_t(x.flat)).add(std::uint64_t(x.size));
  return hash.value();
}
inline std::vector<std::uint64_t> addresses_of(layout const& l) {
  std::vector<std::uint64_t> a;
  for (tensor const& t : l.tensors()) a.push_back(t.address);
  return a;
}

/// Sums of directions over a model, for coordinates that lie side by side: all of them, or a range.
template <team_backend Backend, class Types>
class random_directions {
  using T = typename Types::compute;
  using P = typename Types::param;
  using kind = direction_kind<Backend, Types>;

 public:
  using space = typename Backend::space;
  random_directions(Backend b, frugal::layout l, kind const& direction, range const& support)
      : backend_(std::move(b)),
        layout_(std::move(l)),
        kind_(direction),
        factor_(kind_.factor(backend_, layout_)),
        from_(backend_, layout_),
        to_(backend_, layout_),
        factors_(layout_.groups().size()),
        addresses_(backend_, addresses_of(layout_)),
        factors_there_(backend_, factors_) {
    require_random_format(backend_);
    std::vector<segment> s = moving_segments(layout_, support);
    hash_ = hash_of(layout_, s);
    work_ = work_table<Backend>(backend_, std::move(s), 1);
  }

  /// to = from + u, of one term; the two may be one.
  void shift(random_stream stream, model_view<P, space> from, model_view<P, space> to, random_term const& term) {
    kind_.add_up(backend_, shift_sum(stream, from, to, term));
  }
  /// For numbers of another type than the model's.
  template <class Direction, class Out>
  void shift_to(random_stream stream, model_view<P, space> from, model_view<Out, space> to, random_term const& term) {
    const auto sum = shift_sum(stream, from, to, term);
    add_one<typename entries_of<Direction>::type, T>(backend_, sum);
  }
  /// to = u
  void write(random_stream stream, model_view<P, space> to, std::span<random_term const> terms) {
    auto* const t = to_.at(to, layout_, "a vector for a sum");
    kind_.add_up(backend_, sum_of(stream, terms, false, typename kind::sink{random_use::write, t, t}));
  }
  /// One step from `from` to `to`, which may be one: the sum is a gradient; rate and decay as each group has them.
  /// @param m null, or slots() numbers: m = beta m + u takes the gradient's place
  void step(random_stream stream, model_view<P, space> from, model_view<P, space> to,
            std::span<random_term const> terms, double lr, double weight_decay, double beta, T* m) {
    for (std::size_t g = 0; g < factors_.size(); ++g) {
      group const& here = layout_.groups()[g];
      const exact rate = exact(lr) * exact(here.lr);
      factors_[g] = {(rate * (exact(weight_decay) * exact(here.weight_decay))).v[0], rate.v[0], beta};
    }
    to_backend(backend_, factors_there_.view(), factors_);
    auto* const f = from_.at(from, layout_, "parameters");
    auto* const t = to_.at(to, layout_, "stepped parameters");
    kind_.add_up(backend_,
                 sum_of(stream, terms, !m, typename kind::sink{random_use::step, f, t, m, factors_there_.data()}));
  }

  index_t slots() const { return work_.slots(); }
  /// Of the coordinates that move.
  std::uint64_t hash() const { return hash_; }
  frugal::layout const& layout() const { return layout_; }
  Backend const& backend() const { return backend_; }

 private:
  template <class Out>
  random_sum<random_sink<T, P, Out>> shift_sum(random_stream stream, model_view<P, space> from,
                                               model_view<Out, space> to, random_term const& term) {
    auto* const f = from_.at(from, layout_, "parameters");
    return sum_of(stream, {&term, 1}, false,
                  random_sink<T, P, Out>{random_use::shift, f, to_.at(to, layout_, "shifted parameters")});
  }
  template <class Sink>
  random_sum<Sink> sum_of(random_stream stream, std::span<random_term const> terms, bool rates, Sink const& sink) {
    const int n = prepare(stream, terms, rates);
    return {n > 0 ? work_.list() : segment_list{},
            stream,
            addresses_.data(),
            ids_there_.data(),
            coefficients_there_.data(),
            n,
            sink};
  }
  /// Coefficients for each group; with `rates` each times minus its rate. Returns the count of terms.
  int prepare(random_stream stream, std::span<random_term const> terms, bool rates) {
    const std::size_t groups = factors_.size(), n = terms.size();
    if (n == 0 || work_.slots() == 0) return 0;
    ids_.assign(n, 0), coefficients_.assign(n * groups, 0);
    for (std::size_t k = 0; k < n; ++k) {
      const std::uint64_t id = ids_[k] = terms[k].id;
      require(id != ~std::uint64_t(0), "a direction", "below 2^64 - 1, which is for derived seeds", "2^64 - 1");
      exact c(terms[k].coefficient);
      if (factor_) c = c * exact(factor_->of(stream, id));
      for (std::size_t g = 0; g < groups; ++g)
        coefficients_[g * n + k] = (rates ? (exact(0.0) - exact(factors_[g].rate)) * c : c).v[0];
    }
    make_room(ids_there_, index_t(n));
    make_room(coefficients_there_, index_t(n * groups));
    to_backend(backend_, view<std::uint64_t, space>(ids_there_.data(), index_t(n)), ids_);
    to_backend(backend_, view<double, space>(coefficients_there_.data(), index_t(n * groups)), coefficients_);
    return int(n);
  }
  template <class E>
  void make_room(buffer<E, Backend>& b, index_t n) {
    if (b.size() < n) b = buffer<E, Backend>(backend_, n);
  }

  Backend backend_;
  frugal::layout layout_;
  kind kind_;
  std::unique_ptr<direction_factor> factor_;
  std::uint64_t hash_ = 0;
  work_table<Backend> work_;
  pointer_table<Backend> from_, to_;
  std::vector<step_factors> factors_;
  std::vector<std::uint64_t> ids_;
  std::vector<double> coefficients_;
  buffer<std::uint64_t, Backend> addresses_, ids_there_;
  buffer<double, Backend> coefficients_there_;
  buffer<step_factors, Backend> factors_there_;
};

/// A hash of the numbers that a backend makes for a stream: equal on two ranks if and only if (but for chance) they
/// make the same directions.
template <direction Direction, class Backend>
std::uint64_t sample_hash(Backend const& b, random_stream s) {
  constexpr index_t n = 1000;
  random_directions<Backend, types<>> few(b, n, direction_kind<Backend, types<>>::template of<Direction>(), {0, n});
  const buffer<float, Backend> to(b, n);
  const random_term term{direction_id(0, 0), 1};
  few.write(s, to.view(), {&term, 1});
  const std::vector<float> z = to_host(b, to.view());
  return word_hash(z.data(), z.size() * sizeof(float));
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
