// SPDX-License-Identifier: Apache-2.0
// Every algorithm of the library for some steps on one backend, as a list of names and digests of all bits that came
// out. The digests of a numerics version are in core/numerics.txt, the same for every backend.
#pragma once
#include <frugal/frugal.hpp>
#include <frugal/interop/safetensors.hpp>

#include <utility>

#include "backends.hpp"
#include "core/primitives_bits.hpp"
#include "decentralized/ranks.hpp"
#include "linalg/linalg_bits.hpp"

namespace frugal_test {

using digests = std::vector<std::pair<std::string, std::uint64_t>>;

// Of everything that is added.
class digest {
 public:
  template <class T>
  digest& add(std::vector<T> const& v) {
    static_assert(std::has_unique_object_representations_v<T> || std::is_floating_point_v<T>);
    sum_ = frugal::word_hash(v.data(), v.size() * sizeof(T), sum_ + v.size());
    return *this;
  }
  digest& add(double x) { return add(std::vector<double>{x}); }
  digest& add(frugal::message const& m) { return add(std::vector<std::uint8_t>(m.data(), m.data() + m.size())); }
  digest& add(frugal::snapshot const& s) {
    for (auto const& p : s.pieces) add(std::vector<char>(p.name.begin(), p.name.end())).add(p.bytes);
    return *this;
  }
  std::uint64_t value() const { return sum_; }

 private:
  std::uint64_t sum_ = 0;
};

template <class Backend>
class every_algorithm {
  using index_t = frugal::index_t;
  using data = there<float, Backend>;
  using comm = frugal::loopback_comm;

 public:
  explicit every_algorithm(Backend b) : b_(std::move(b)) {}

  digests run() {
    numbers_and_sums();
    optimizers();
    more_optimizers();
    compressors();
    feedbacks();
    decentralized();
    zeroth_order();
    others();
    return std::move(all_);
  }

 private:
  static frugal::layout model() {
    return {{{"w", {130, 131}}, {"b", {333}, "slow"}, {"frozen", {50}, "frozen"}, {"v", {5000}}},
            {{.name = "slow", .lr = 0.5, .weight_decay = 0}, {.name = "frozen", .frozen = true}}};
  }
  void keep(std::string name, digest const& d) { all_.emplace_back(std::move(name), d.value()); }

  void numbers_and_sums() {
    const frugal::random_stream s{42};
    std::vector<float> normals, uniform;
    std::vector<std::uint32_t> words, images;
    const auto p = frugal::permutation(42, 3, 1000);
    for (std::uint32_t j = 0; j < 1000; ++j) {
      words.push_back(s.word(3, j));
      normals.push_back(frugal::normal(s, 3, j));
      uniform.push_back(frugal::u01(words.back()));
      images.push_back(p(j));
    }
    keep("random words", digest().add(words));
    keep("uniform and normal numbers", digest().add(uniform).add(normals));
    keep("permutations", digest().add(images));
    frugal::require_random_format(b_);
    const data x(b_, numbers(100003, 1));
    keep("sums", digest().add(frugal::sum(b_, x.all())).add(frugal::sum_of_squares(b_, x.all())));
    keep("spheres", digest().add(double(frugal::sphere_scale(b_, s, 7, model()))));
  }

  template <class P>
  static std::vector<P> inputs(index_t n, std::uint64_t seed) {
    if constexpr (std::is_same_v<P, frugal::half>) {
      std::vector<P> out;
      for (float f : numbers(n, seed)) out.push_back(frugal::to_half(f));
      return out;
    } else {
      return numbers<P>(n, seed);
    }
  }
  template <class P = float, class Optimizer>
  void train(std::string const& name, Optimizer opt, int steps = 50) {
    frugal::layout const& l = opt.layout();
    const there<P, Backend> x(b_, inputs<P>(l.size(), 1));
    there<P, Backend> g(b_, x.get());
    opt.options().gradient_scale = 0.125;
    opt.options().clip_norm = 3;
    for (int t = 1; t <= steps; ++t) {
      g.set(inputs<P>(l.size(), std::uint64_t(t) + 2));
      opt.step(x.all(), g.constant());
    }
    keep(name + " " + opt.algorithm(),
         digest().add(x.get()).add(frugal::save_state(opt)).add(opt.report().gradient_norm));
  }
  template <class... Policies>
  void each_optimizer(std::string const& name, Policies const&... p) {
    train(name, frugal::momentum(b_, model(), {.lr = 0.01, .weight_decay = 0.01, .nesterov = true}, p...));
    train(name, frugal::adam(b_, model(), {.lr = 0.01, .weight_decay = 0.01}, p...));
    train(name, frugal::adamw(b_, model(), {.lr = 0.01}, p...));
    train(name, frugal::lion(b_, model(), {.lr = 0.01, .weight_decay = 0.1}, p...));
  }
  void optimizers() {
    each_optimizer("whole", frugal::full{});
    each_optimizer("whole", frugal::bf16_state{});
    each_optimizer("whole", frugal::blockwise8{});
    const frugal::adamw_config c{.lr = 0.01};
    std::vector<std::uint8_t> on;
    std::vector<index_t> at;
    for (index_t i = 0; i < model().size(); ++i) {
      on.push_back(i % 3 == 0 ? 0 : 1);
      if (i % 5 < 2) at.push_back(i);
    }
    train("range", frugal::adamw(b_, model(), c, frugal::range{1000, 22000}, frugal::blockwise8{}));
    train("mask", frugal::adamw(b_, model(), c, frugal::mask{on}));
    train("indices", frugal::adamw(b_, model(), c, frugal::indices{at}));
    using frugal::types;
    train<double>("double", frugal::adamw(b_, model(), c, types<double>{}), 10);
    train<frugal::bf16>("bf16", frugal::adamw(b_, model(), c, types<frugal::bf16>{}), 10);
    train<frugal::bf16>("bf16, stochastic",
                        frugal::lion(b_, model(), {.lr = 1e-3}, types<frugal::bf16>{}, frugal::stochastic{3}), 10);
    train<frugal::half>("half, a master",
                        frugal::momentum(b_, model(), {}, types<frugal::half>{}, frugal::float_master{}), 10);
    const frugal::layout small{{"w", {20, 12}}, {"t", {3, 4, 5}}, {"b", {30}}};
    train("matrices", frugal::soap(b_, small, {.lr = 0.01, .frequency = 3}), 8);
    train("matrices", frugal::shampoo(b_, small, {.lr = 0.01, .frequency = 3, .max_dim = 8}), 8);
  }

  // Steps of what is not an element optimizer: step(opt, x, g, t).
  template <class Optimizer, class Step>
  void follow(Optimizer opt, Step const& step, int steps = 8) {
    const data x(b_, numbers(opt.layout().size(), 1));
    data g(b_, x.get());
    for (int t = 1; t <= steps; ++t) {
      g.set(numbers(opt.layout().size(), std::uint64_t(t) + 2));
      step(opt, x, g, t);
    }
    keep(opt.algorithm(), digest().add(x.get()).add(g.get()).add(frugal::save_state(opt)));
  }
  // A layer's activations and output gradients before each step; then a step of descent.
  template <class Curvature>
  void precondition(Curvature opt) {
    using rows = frugal::mat_view<float const, typename Backend::space>;
    const data a(b_, numbers(9 * 20, 5)), d(b_, numbers(9 * 13, 6));
    frugal::momentum descent(b_, opt.layout(), {.lr = 0.01});
    follow(std::move(opt), [&](auto& o, data const& x, data const& g, int) {
      o.observe(0, rows(a.all().data(), 9, 20), rows(d.all().data(), 9, 13));
      o.precondition(g.all());
      descent.step(x.all(), g.constant());
    });
  }
  void more_optimizers() {
    train("whole", frugal::nadamw(b_, model(), {.lr = 0.01}), 10);
    train("whole", frugal::adagrad(b_, model(), {.lr = 0.01}), 10);
    train("whole", frugal::rmsprop(b_, model(), {.lr = 0.01}), 10);
    train("whole", frugal::lamb(b_, model(), {.lr = 0.01}), 10);
    train("whole", frugal::lars(b_, model(), {.lr = 0.1}), 10);
    train("whole", frugal::adamr(b_, model(), {.lr = 0.01}), 10);
    train("whole", frugal::adamr_amsgrad(b_, model(), {.lr = 0.01, .beta2 = 0.9}), 10);
    const frugal::layout small{{"w", {20, 12}}, {"t", {3, 4, 5}}};
    train("matrices", frugal::muon(b_, small, {.lr = 0.01}), 8);
    const auto plain = [](auto& o, data const& x, data const& g, int) { o.step(x.all(), g.constant()); };
    follow(frugal::adafactor(b_, model(), {.lr = 0.01}), plain);
    follow(frugal::schedule_free_adamw(b_, model(), {.lr = 0.01}), plain);
    follow(frugal::sam(frugal::momentum(b_, model(), {.lr = 0.01})), [](auto& o, data const& x, data& g, int t) {
      o.step(x.all(), g.constant(), [&] { g.set(numbers(model().size(), std::uint64_t(t++) + 90)); });
    });
    const std::vector<frugal::group_set> rows{{{{"w"}}}};
    const frugal::momentum_config c{.lr = 0.01};
    follow(frugal::hesso(frugal::momentum(b_, model(), c), rows, {.pruning_steps = 6, .periods = 2}), plain);
    follow(
        frugal::hesso(frugal::momentum(b_, model(), c), rows, {.start = 2, .pruning_steps = 2},
                      frugal::cric{.sampling_steps = 3, .max_cycles = 2}),
        [](auto& o, data const& x, data const& g, int t) { o.step(x.all(), g.constant(), 1. + t % 3); }, 18);
    const frugal::layout layer{{"w", {13, 20}}, {"b", {13}}};
    precondition(frugal::mkor(b_, layer, {.refresh_every = 2}));
    precondition(frugal::kfac(b_, layer, {.refresh_every = 2}));
    const auto each = on_ranks(2, [&](comm& world) {
      frugal::sharded opt(frugal::adamw(b_, model(), {.lr = 0.01}, frugal::shard(model(), world)), world);
      const data x(b_, numbers(model().size(), 1));
      data g(b_, x.get());
      for (int t = 0; t < 4; ++t) {
        g.set(numbers(model().size(), std::uint64_t(2 * t + world.rank()) + 50));
        opt.step(x.all(), g.all());
      }
      return digest().add(x.get()).add(frugal::save_state(opt)).value();
    });
    keep("sharded", digest().add(each));
  }

  template <class C>
  void compress(std::string const& name, C how) {
    frugal::compressor<C, Backend> code(b_, model(), how);
    const data x(b_, numbers(model().size(), 5));
    digest d;
    for (std::uint64_t t = 0; t < 3; ++t) {
      frugal::message const& m = code.encode(x.constant(), {1, t});
      d.add(m);
      code.add_to(x.all(), {m.data(), m.size()}, -0.75, {1, t});
    }
    keep(name, d.add(x.get()));
  }
  void compressors() {
    compress("identity", frugal::identity{});
    compress("top_k", frugal::top_k{.ratio = 0.01});
    compress("rand_k", frugal::rand_k{.ratio = 0.01, .seed = 3});
    compress("scaled_sign", frugal::scaled_sign{});
    compress("scaled_sign, blocks", frugal::scaled_sign{.block = 256});
  }
  template <class Feedback, class Round>
  void feed(Feedback feedback, Round const& round) {
    const data x(b_, numbers(model().size(), 6));
    data g(b_, x.get());
    digest d;
    for (std::uint64_t t = 0; t < 5; ++t) {
      g.set(numbers(model().size(), 8 + t));
      frugal::message const& m = round(feedback, g.constant());
      d.add(m);
      feedback.add_to(x.all(), {m.data(), m.size()}, -0.1, {0, t});
    }
    keep(feedback.algorithm(), d.add(x.get()).add(frugal::save_state(feedback)));
  }
  void feedbacks() {
    const auto plain = [](auto& f, auto g) -> auto& { return f.compress(g); };
    const auto with_rate = [](auto& f, auto g) -> auto& { return f.compress(g, 0.1); };
    const frugal::top_k few{.ratio = 0.02};
    const frugal::scaled_sign signs{.block = 256};
    feed(frugal::ef14(b_, model(), few), with_rate);
    feed(frugal::ef14(b_, model(), signs), with_rate);
    feed(frugal::ef21(b_, model(), few), plain);
    feed(frugal::ef21(b_, model(), signs), plain);
    feed(frugal::ef21_sgdm(b_, model(), few), plain);
  }

  template <class Make>
  void mix(std::string const& name, Make const& make, int ranks = 4) {
    const auto each = on_ranks(ranks, [&](comm& world) {
      auto mixing = make(world);
      const data x(b_, numbers(mixing.layout().size(), std::uint64_t(world.rank())));
      const data g(b_, numbers(mixing.layout().size(), std::uint64_t(world.rank() + 50)));
      for (int t = 0; t < 4; ++t) {
        if constexpr (requires { mixing.step(x.all()); }) mixing.step(x.all());
        else mixing.step(x.all(), g.constant());
      }
      return digest().add(x.get()).add(frugal::save_state(mixing)).value();
    });
    keep(name, digest().add(each));
  }
  void decentralized() {
    const frugal::layout l = 1003;
    const auto ring = frugal::topology::ring(4);
    mix("gossip", [&](comm& w) { return frugal::gossip(b_, w, ring, l); });
    mix(
        "gossip, complete", [&](comm& w) { return frugal::gossip(b_, w, frugal::topology::complete(7), l); }, 7);
    mix("gossip, chebyshev", [&](comm& w) { return frugal::gossip(b_, w, ring, l, {.rounds = 3, .chebyshev = true}); });
    mix("choco", [&](comm& w) { return frugal::choco(b_, w, ring, l, frugal::top_k{.ratio = 0.1}, {.gamma = 0.3}); });
    mix("d_psgd",
        [&](comm& w) { return frugal::d_psgd(frugal::adamw(b_, l, {.lr = 0.01}), frugal::gossip(b_, w, ring, l)); });
  }

  template <class... Policies>
  void probe(std::string const& name, Policies const&... p) {
    const frugal::mezo_config c{.lr = 1e-3, .weight_decay = 0.1, .momentum = 0.5, .directions = 2, .seed = 5};
    frugal::mezo zo(b_, model(), c, p...);
    const data x(b_, numbers(model().size(), 4));
    for (int t = 0; t < 4; ++t) zo.step(x.all(), [&] { return frugal::sum_of_squares(b_, x.all()); });
    keep("mezo, " + name, digest().add(x.get()).add(frugal::save_state(zo)));
  }
  void zeroth_order() {
    probe("rademacher", frugal::rademacher{});
    probe("gaussian", frugal::gaussian{}, frugal::restored_from_copy{});
    probe("spherical", frugal::spherical{});
    frugal::message log;
    const auto each = on_ranks(3, [&](comm& world) {
      frugal::replicas together(
          frugal::mezo(b_, 1003, {.lr = 1e-3, .seed = 6}, frugal::rademacher{}, frugal::restored_from_copy{}), world);
      const data x(b_, numbers(1003, 4));
      for (int t = 0; t < 4; ++t)
        together.step(x.all(), [&] { return frugal::sum_of_squares(b_, x.all()) * (1 + world.rank()); });
      if (world.rank() == 0) log = together.log().bytes();
      return together.fingerprint(x.all());
    });
    keep("replicas", digest().add(each).add(log));
  }

  void others() {
    frugal::roast shared(b_, model(), {.compression = 8, .seed = 1});
    const data z(b_, std::vector<float>(std::size_t(shared.slots()))), dz(b_, z.get());
    const data w(b_, std::vector<float>(std::size_t(model().size()))), g(b_, numbers(model().size(), 9));
    shared.initialise(z.all());
    shared.forward(z.constant(), w.all());
    shared.backward(g.constant(), dz.all());
    keep("roast", digest().add(z.get()).add(w.get()).add(dz.get()));
    for (double s : {3., 150., 1e4}) {
      frugal::very_sparse project(b_, 20011, 300, {.s = s, .seed = 2});
      const data x(b_, numbers(20011, 3)), y(b_, std::vector<float>(300));
      project.apply(x.constant(), y.all());
      digest d;
      d.add(y.get());
      project.add_transpose(y.constant(), x.all(), 0.5);
      keep("very_sparse, s = " + std::to_string(int(s)), d.add(x.get()));
    }
    digest d;
    for (index_t n : {1, 20011})
      for (auto const& x : primitive_inputs(n)) d.add(primitives_of(b_, x, (n + 99) / 100));
    keep("primitives", d);
    const frugal::linalg la(b_);
    keep("products", digest().add(products<float>(la, 70, 33, 100)).add(products<double>(la, 33, 20, 50)));
    keep("factorizations", digest().add(factorizations<float>(la, 70)).add(factorizations<double>(la, 33)));
    checkpoints();
  }
  // The bytes of a file, and that they are read back.
  void checkpoints() {
    frugal::adamw opt(b_, model(), {.lr = 0.01}, frugal::blockwise8{}), again(b_, model(), {}, frugal::blockwise8{});
    const data x(b_, numbers(model().size(), 1)), g(b_, numbers(model().size(), 2)), y(b_, g.get());
    opt.step(x.all(), g.constant());
    frugal::checkpoint from, to;
    from.add("optimizer", opt).add("weights", b_, model(), x.all());
    to.add("optimizer", again).add("weights", b_, model(), y.all());
    from.notes()["step"] = "1";
    const auto bytes = from.to_bytes();
    to.from_bytes(bytes);
    EXPECT_TRUE(same_bits(frugal::save_state(opt), frugal::save_state(again)));
    EXPECT_TRUE(same_bits(x.get(), y.get()));
    keep("checkpoints", digest().add(bytes));
  }

  Backend b_;
  digests all_;
};

}  // namespace frugal_test
