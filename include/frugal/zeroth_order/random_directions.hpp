// SPDX-License-Identifier: Apache-2.0
/// @file Sums of random directions over a model: what zeroth-order methods do to weights, written once. random_axpy.hpp
/// has the kernel.
#pragma once
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

/// What all numbers of a direction are multiplied by: 1, or what the direction says, which is kept for those seen last.
template <class Direction, class Backend>
class direction_factor {
 public:
  direction_factor(Backend const&, layout const&) {}
  exact of(random_stream, std::uint64_t) { return exact(1.0); }
};
template <class Direction, class Backend>
requires requires { typename Direction::template factor<Backend>; }
class direction_factor<Direction, Backend> {
 public:
  direction_factor(Backend const& b, layout const& l) : factor_(b, l) { known_.reserve(64); }
  exact of(random_stream s, std::uint64_t id) {
    for (known const& k : known_)
      if (k.seed == s.seed && k.id == id) return exact(k.factor);
    if (known_.size() == 64) known_.clear();
    known_.push_back({s.seed, id, factor_.scale(s, id)});
    return exact(known_.back().factor);
  }

 private:
  struct known {
    std::uint64_t seed, id;
    double factor;
  };
  typename Direction::template factor<Backend> factor_;
  std::vector<known> known_;
};

/// Sums of directions over a model, for coordinates that lie side by side: all of them, or a range.
template <team_backend Backend, direction Direction, class Support, class Types>
class random_directions {
  using T = typename Types::compute;
  using P = typename Types::param;
  static_assert(std::is_same_v<Support, all> || std::is_same_v<Support, range>,
                "frugal: directions are for all coordinates, or for a range of them");

 public:
  using space = typename Backend::space;
  random_directions(Backend b, frugal::layout l, Support const& support)
      : backend_(std::move(b)),
        layout_(std::move(l)),
        factor_(backend_, layout_),
        from_(backend_, layout_),
        to_(backend_, layout_) {
    require_random_format(backend_);
    std::vector<segment> s;
    support_traits<Support>::segments(support, layout_, s);
    std::erase_if(s, [&](segment const& x) { return layout_.groups()[std::size_t(x.group)].frozen || x.size == 0; });
    fnv1a hash;
    hash.add(layout_.hash());
    for (segment const& x : s) hash.add(std::uint64_t(x.flat)).add(std::uint64_t(x.size));
    hash_ = hash.value();
    work_ = work_table<Backend>(backend_, std::move(s), 1);
    std::vector<std::uint64_t> addresses;
    for (tensor const& t : layout_.tensors()) addresses.push_back(t.address);
    addresses_ = buffer<std::uint64_t, Backend>(backend_, addresses);
    factors_.resize(layout_.groups().size());
    factors_there_ = buffer<step_factors, Backend>(backend_, factors_);
  }

  /// to = from + u; the two may be one.
  template <class From, class To>
  void shift(random_stream stream, model_view<From, space> from, model_view<To, space> to,
             std::vector<random_term> const& terms) {
    auto* const f = from_.at(from, layout_, "parameters");
    run(
        stream, terms, [](std::size_t) { return exact(1.0); },
        shifted<From, To>{f, to_.at(to, layout_, "shifted parameters")});
  }
  /// to = u
  void write(random_stream stream, model_view<P, space> to, std::vector<random_term> const& terms) {
    run(
        stream, terms, [](std::size_t) { return exact(1.0); }, written<P>{to_.at(to, layout_, "a vector for a sum")});
  }
  /// One step from `from` to `to`, which may be one: the sum is a gradient; rate and decay as each group has them.
  /// @param m null, or slots() numbers: m = beta m + u takes the gradient's place
  void step(random_stream stream, model_view<P, space> from, model_view<P, space> to,
            std::vector<random_term> const& terms, double lr, double weight_decay, double beta, T* m) {
    std::vector<group> const& groups = layout_.groups();
    const auto rate = [&](std::size_t g) { return exact(lr) * exact(groups[g].lr); };
    for (std::size_t g = 0; g < groups.size(); ++g)
      factors_[g] = {(rate(g) * (exact(weight_decay) * exact(groups[g].weight_decay))).v[0], rate(g).v[0], beta};
    to_backend(backend_, factors_there_.view(), factors_);
    auto* const f = from_.at(from, layout_, "parameters");
    auto* const t = to_.at(to, layout_, "stepped parameters");
    if (m)
      run(
          stream, terms, [](std::size_t) { return exact(1.0); }, stepped<T, P, true>{f, t, m, factors_there_.data()});
    else
      run(
          stream, terms, [&](std::size_t g) { return exact(0.0) - rate(g); },
          stepped<T, P, false>{f, t, nullptr, factors_there_.data()});
  }

  index_t slots() const { return work_.slots(); }
  /// Of the coordinates that move.
  std::uint64_t hash() const { return hash_; }
  frugal::layout const& layout() const { return layout_; }
  Backend const& backend() const { return backend_; }

 private:
  template <class Scale, class Sink>
  void run(random_stream stream, std::vector<random_term> const& terms, Scale const& scale_of, Sink const& sink) {
    const std::size_t groups = layout_.groups().size(), n = terms.size();
    if (n == 0 || work_.slots() == 0) return;
    ids_.assign(n, 0), coefficients_.assign(n * groups, 0);
    for (std::size_t k = 0; k < n; ++k) {
      require(terms[k].id != ~std::uint64_t(0), "a direction", "below 2^64 - 1, which is for derived seeds",
              "2^64 - 1");
      ids_[k] = terms[k].id;
      const exact c = exact(terms[k].coefficient) * factor_.of(stream, terms[k].id);
      for (std::size_t g = 0; g < groups; ++g) coefficients_[g * n + k] = (scale_of(g) * c).v[0];
    }
    if (std::size_t(ids_there_.size()) < n) {
      ids_there_ = buffer<std::uint64_t, Backend>(backend_, index_t(n));
      coefficients_there_ = buffer<double, Backend>(backend_, index_t(n * groups));
    }
    to_backend(backend_, view<std::uint64_t, space>(ids_there_.data(), index_t(n)), ids_);
    to_backend(backend_, view<double, space>(coefficients_there_.data(), index_t(n * groups)), coefficients_);
    const auto launch = [&]<int G>(std::integral_constant<int, G>) {
      backend_.for_teams(random_axpy<Direction, T, G, Sink>{work_.list(), stream, addresses_.data(), ids_there_.data(),
                                                            coefficients_there_.data(), int(n), sink});
    };
    if (n == 1) launch(std::integral_constant<int, 1>{});
    else launch(std::integral_constant<int, 8>{});
  }

  Backend backend_;
  frugal::layout layout_;
  direction_factor<Direction, Backend> factor_;
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
  random_directions<Backend, Direction, all, types<>> few(b, 1000, {});
  const buffer<float, Backend> to(b, 1000);
  few.write(s, to.view(), {{direction_id(0, 0), 1}});
  const std::vector<float> z = to_host(b, to.view());
  return word_hash(z.data(), z.size() * sizeof(float));
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
