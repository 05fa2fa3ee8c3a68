// SPDX-License-Identifier: Apache-2.0
// Everything that ranks do together in the families compress and decentralized, as one program: the digest of all
// ranks' results must be the same whatever the transport.
#pragma once
#include <frugal/backend/emulated.hpp>
#include <frugal/backend/serial.hpp>
#include <frugal/compress/ef14.hpp>
#include <frugal/compress/rand_k.hpp>
#include <frugal/compress/scaled_sign.hpp>
#include <frugal/compress/top_k.hpp>
#include <frugal/decentralized/choco.hpp>
#include <frugal/decentralized/d_psgd.hpp>
#include <frugal/optim/momentum.hpp>

namespace frugal_test {

template <class Transport>
class decentralized_conformance {
  using index_t = frugal::index_t;

 public:
  explicit decentralized_conformance(frugal::communicator<Transport> world) : world_(std::move(world)) {}

  std::uint64_t run() {
    mixes(frugal::serial_backend{});
    mixes(frugal::emulated_backend{});
    compresses(frugal::identity{}), compresses(frugal::top_k{.k = 7}), compresses(frugal::scaled_sign{.block = 256});
    compresses(frugal::rand_k{.k = 9, .seed = 3});
    trains(frugal::mixing_order::combine_then_adapt), trains(frugal::mixing_order::adapt_then_combine);
    std::vector<std::int64_t> all(std::size_t(world_.size()));
    world_.all_gather(cpu_, std::vector{std::int64_t(digest_.value())}, all);
    frugal::fnv1a everyone;
    for (std::int64_t d : all) everyone.add(std::uint64_t(d));
    return everyone.value();
  }

 private:
  std::vector<float> numbers(index_t n, std::uint64_t seed) const {
    std::vector<float> x;
    for (index_t i = 0; i < n; ++i)
      x.push_back(frugal::u11(frugal::random_stream{seed}.word(std::uint64_t(world_.rank()), std::uint64_t(i))));
    return x;
  }
  void add(std::vector<float> const& x) {
    digest_.add(std::string_view(reinterpret_cast<char const*>(x.data()), x.size() * sizeof(float)));
  }
  std::vector<frugal::mixing_schedule> schedules() const {
    using frugal::topology;
    const int n = world_.size();
    if (n == 1) return {topology::custom(1, {})};
    std::vector<frugal::mixing_schedule> all{topology::path(n), topology::complete(n),
                                             frugal::mixing_matrix::best_constant(topology::star(n)),
                                             frugal::mixing_schedule::one_peer_exponential(n)};
    if (n > 2) all.push_back(topology::ring(n));
    return all;
  }

  template <class Backend>
  void mixes(Backend const& b) {
    for (index_t n : {0, 1, 257, 4099})
      for (frugal::mixing_schedule const& w : schedules()) {
        frugal::buffer x(b, numbers(n, 1));
        frugal::gossip mix(b, world_, w, n, {.rounds = 3});
        mix.step(x.view()), mix.step(x.view());
        if (w.period() == 1 && w.turn(0).is_symmetric()) {
          frugal::gossip filter(b, world_, w, n, {.rounds = 3, .chebyshev = true});
          filter.step(x.view());
        }
        add(to_host(b, x.view()));
      }
  }
  template <class C>
  void compresses(C how) {
    const index_t n = 1000;
    auto x = numbers(n, 2);
    frugal::choco mix(cpu_, world_, schedules()[0], n, how, {0.2});
    for (int t = 0; t < 5; ++t) mix.step(x);
    add(x);
    frugal::ef14 feedback(cpu_, n, how, world_.rank());
    for (std::uint64_t t = 0; t < 5; ++t) {
      feedback.compress(numbers(n, 10 + t), 0.1);
      feedback.add_mean(world_, x, -1);
    }
    add(x);
  }
  void trains(frugal::mixing_order order) {
    const index_t n = 300;
    auto x = numbers(n, 3);
    frugal::d_psgd train(frugal::momentum(cpu_, n), frugal::gossip(cpu_, world_, schedules()[0], n),
                         {.order = order, .local_steps = 2});
    for (std::uint64_t t = 0; t < 7; ++t) train.step(x, numbers(n, 20 + t));
    add(x);
  }

  frugal::serial_backend cpu_;
  frugal::communicator<Transport> world_;
  frugal::fnv1a digest_;
};

}  // namespace frugal_test
