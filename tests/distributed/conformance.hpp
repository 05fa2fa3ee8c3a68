// SPDX-License-Identifier: Apache-2.0
// What ranks of the family distributed do together, as one program: equal to what a rank alone would do with the mean
// of all gradients, and the digest of all weights is the same whatever the transport.
#pragma once
#include <algorithm>
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/distributed/sharded.hpp>
#include <frugal/distributed/sharded_gradients.hpp>
#include <frugal/optim/adamr.hpp>
#include <frugal/optim/lamb.hpp>

#include "support/bits.hpp"

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

  std::uint64_t run() {
    const frugal::serial_backend cpu;
    const frugal::layout l = some_tensors();
    const frugal::range at = frugal::shard(l, world_);
    using namespace frugal;
    const emulated_backend gpu;
    using narrow = types<bf16, float>;
    const lamb_config norms{.lr = 1e-2};
    const adamr_config pull{.lr = 1e-2, .weight_decay = 1};
    const layout part = shard_layout(l, world_);  // what stage 2 sees
    train<bf16>(lamb(gpu, l, norms, bf16_state{}, narrow{}, stochastic{.seed = 3}),
                lamb(gpu, l, norms, bf16_state{}, narrow{}, stochastic{.seed = 3}, at));
    train<bf16, 2>(lamb(gpu, l, norms, bf16_state{}, narrow{}, stochastic{.seed = 3}),
                   lamb(gpu, part, norms, bf16_state{}, narrow{}, stochastic{.seed = 3}));
    train<bf16, 2>(adamr(cpu, l, pull, blockwise8_2048{}, narrow{}, float_master{}),
                   adamr(cpu, part, pull, blockwise8_2048{}, narrow{}, float_master{}));
    return digest_.value();
  }

 private:
  // Six steps, of which two are clipped and one is skipped; the state goes through a whole one in the middle.
  template <class P, int stage = 1, class Whole, class Part>
  void train(Whole alone, Part part) {
    using B = std::remove_cvref_t<decltype(alone.backend())>;
    using G = std::conditional_t<std::is_same_v<P, double>, double, float>;
    using space = typename B::space;
    const B b = alone.backend();
    const frugal::index_t n = alone.layout().size();
    constexpr bool stage2 = stage == 2;
    auto together = [&] {
      if constexpr (stage2) return frugal::sharded_gradients(std::move(part), alone.layout(), world_);
      else return frugal::sharded(std::move(part), world_);
    }();
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
      if constexpr (stage2) {
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
      same(frugal::to_host(b, x.view()), frugal::to_host(b, y.view()), "weights");
      const auto r = together.report(), s = alone.report();
      if (r.steps != s.steps || r.skipped != s.skipped || std::memcmp(&r.gradient_norm, &s.gradient_norm, 8) != 0)
        throw std::runtime_error("another report");
      if (t != 3) continue;
      frugal::whole_state whole = together.gather();
      const auto as_one = same_bits(whole.state(), frugal::save_state(alone));
      if (!as_one) throw std::runtime_error(std::string("the whole state: ") + as_one.message());
      together.visit_state([&]<class T>(std::string_view, frugal::role, frugal::view<T, space> v) {
        if (v.size() > 0) b.fill(v.data(), 0, std::size_t(v.size()) * sizeof(T));
      });
      together.scatter(whole);
    }
    const auto end = frugal::to_host(b, x.view());
    digest_.add(std::string_view(reinterpret_cast<char const*>(end.data()), end.size() * sizeof(P)));
  }
  template <class T>
  void same(std::vector<T> const& a, std::vector<T> const& b, char const* what) {
    const auto r = same_bits(a, b);
    if (!r) throw std::runtime_error(std::string(what) + ": " + r.message());
  }

  frugal::communicator<Transport> world_;
  frugal::fnv1a digest_;
};

}  // namespace frugal_test
