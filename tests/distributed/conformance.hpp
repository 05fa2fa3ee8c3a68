// SPDX-License-Identifier: Apache-2.0
// What ranks of the family distributed do together, as one program: equal to what a rank alone would do with the mean
// of all gradients, and the digest of all weights is the same whatever the transport.
#pragma once
#include <algorithm>
#include <cstring>
#include <frugal/distributed/sharded_step.hpp>
#include <stdexcept>

#include "support/numbers.hpp"

namespace frugal_test {

// Tensors of several tiles, of less than one, a frozen and an empty one.
inline frugal::layout some_tensors() {
  return {{{"a", {2 * 16384 + 100}}, {"b", {300}}, {"kept", {1000}, "kept"}, {"none", {0}}, {"c", {2, 10007}, "slow"}},
          {{.name = "kept", .frozen = true}, {.name = "slow", .lr = 0.5}}};
}

template <class Transport>
class distributed_conformance {
 public:
  explicit distributed_conformance(frugal::communicator<Transport> world) : world_(std::move(world)) {}
  std::uint64_t digest() const { return digest_.value(); }

  // Six steps, of which two are clipped and one is skipped; the state goes through a whole one in the middle. Stage 2,
  // which is known by its gradients, gets them tensor by tensor.
  template <class Whole, class Sharded>
  void train(Whole alone, Sharded together) {
    using B = std::remove_cvref_t<decltype(alone.backend())>;
    using P = typename Sharded::parameter;
    using G = std::conditional_t<std::is_same_v<P, double>, double, float>;
    using space = typename B::space;
    const B b = alone.backend();
    const frugal::index_t n = alone.layout().size();
    const auto start = numbers<P>(n, 1);
    frugal::buffer<P, B> x(b, start), y(b, start);
    frugal::buffer<G, B> g(b, n), h(b, n);
    const double infinite = std::numeric_limits<double>::infinity();
    const auto data = numbers<G>(n, std::uint64_t(world_.rank()) + 2);
    for (int t = 0; t < 6; ++t) {
      std::vector<G> mine(data.size());
      std::rotate_copy(data.begin(), data.begin() + 1000 * t, data.end(), mine.begin());
      if (t == 4 && world_.rank() == world_.size() - 1) mine[5] = G(infinite);
      frugal::to_backend(b, g.view(), mine);
      frugal::to_backend(b, h.view(), mine);
      const auto set = [&](auto& o) {
        o.options().gradient_scale = t == 2 ? -0.3 : 1;
        o.options().clip_norm = t == 1 || t == 2 ? 7 : infinite;
        o.options().skip_nonfinite = t > 2;
        o.config().lr = 1e-2 / (t + 1);
      };
      set(together), set(alone);
      if constexpr (requires { together.gradient_bytes(); }) {
        for (auto k = alone.layout().tensors().size(); k-- > 0;) {
          auto const& its = alone.layout().tensors()[k];
          together.accumulate(k, frugal::view<G, space>(g.data() + its.offset, its.size));
        }
        g.fill(0xff);  // nobody reads it any more
        together.step(x.view());
      } else {
        together.step(x.view(), g.view());
      }
      world_.all_reduce(b, h.view(), frugal::op::mean{});
      alone.step(y.view(), frugal::view<G const, space>(h.view()));
      const auto now = frugal::to_host(b, x.view()), expected = frugal::to_host(b, y.view());
      same(std::memcmp(now.data(), expected.data(), now.size() * sizeof(P)) == 0, "weights", t);
      const auto r = together.report(), s = alone.report();
      same(r.steps == s.steps && r.skipped == s.skipped && std::memcmp(&r.gradient_norm, &s.gradient_norm, 8) == 0,
           "reports", t);
      if (t != 3) continue;
      const auto forget = [&] {
        together.visit_state([&]<class T>(std::string_view, frugal::role, frugal::view<T, space> v) {
          if (v.size() > 0) b.fill(v.data(), 0, std::size_t(v.size()) * sizeof(T));
        });
      };
      frugal::whole_state whole = together.gather();
      const frugal::snapshot saved = frugal::save_state(alone);
      auto const& pieces = whole.state().pieces;
      same(whole.algorithm() == saved.algorithm && whole.state_layout() == saved.layout &&
               pieces.size() == saved.pieces.size(),
           "whole states", t);
      for (std::size_t k = 0; k < pieces.size(); ++k) {
        frugal::snapshot::piece const &p = pieces[k], &q = saved.pieces[k];
        same(p.name == q.name && p.role == q.role && p.type == q.type && p.count == q.count && p.bytes == q.bytes,
             q.name.c_str(), t);
      }
      forget();
      together.scatter(whole);
    }
    const auto end = frugal::to_host(b, x.view());
    digest_.add(std::string_view(reinterpret_cast<char const*>(end.data()), end.size() * sizeof(P)));
  }

 private:
  static void same(bool equal, char const* what, int step) {
    if (!equal) throw std::runtime_error(std::string(what) + ": others than alone, at step " + std::to_string(step));
  }

  frugal::communicator<Transport> world_;
  frugal::fnv1a digest_;
};

}  // namespace frugal_test
