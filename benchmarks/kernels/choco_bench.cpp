// SPDX-License-Identifier: Apache-2.0
/// @file What CHOCO costs beside its compressor, and what it saves on the wire.
#include <cstdio>
#include <frugal/comm/loopback.hpp>
#include <frugal/compress/scaled_sign.hpp>
#include <frugal/compress/top_k.hpp>
#include <frugal/decentralized/choco.hpp>

#include "kernels/cpu.hpp"

namespace {

/// A round of one rank alone against its compression: besides, it adds its own message up and moves x.
template <class C>
void add_round(bench::table& t, auto cpu, frugal::loopback_comm& world, bench::model& model, C how) {
  const auto n = frugal::index_t(model.x.size());
  auto feedback = std::make_shared<frugal::ef21<C, decltype(cpu)>>(cpu, n, how);
  auto mix = std::make_shared<frugal::choco<C, decltype(cpu), frugal::loopback_transport>>(
      cpu, world, frugal::topology::custom(1, {}), n, how, frugal::choco_config{0.1});
  const std::string name = C::name;
  t.add("ef21_" + name, 16, [=, &model] { feedback->compress(model.g); });
  t.add("choco_" + name, 28, [=, &model] { mix->step(model.x); }).against("ef21_" + name);
}

/// Eight ranks in a ring agree to a relative squared error of 1e-4. The bytes are those that a rank sends for an
/// element.
template <class Mix>
void add_consensus(bench::session const& s, bench::table& t, std::string const& name, int n, Mix const& make) {
  constexpr int ranks = 8;
  const auto run = [n, make] {
    std::vector<std::vector<float>> x(ranks);
    double bytes = 0, start = 0;
    const auto error = [&] {
      double sum = 0;
      for (std::size_t i = 0; i < std::size_t(n); ++i) {
        double mean = 0;
        for (auto const& v : x) mean += v[i] / double(ranks);
        for (auto const& v : x) sum += (v[i] - mean) * (v[i] - mean);
      }
      return sum;
    };
    frugal::run_loopback(ranks, [&](frugal::loopback_comm& world) {
      const frugal::serial_backend cpu;
      auto& mine = x[std::size_t(world.rank())];
      for (int i = 0; i < n; ++i)
        mine.push_back(frugal::u11(frugal::random_stream{1}.word(std::uint64_t(world.rank()), std::uint64_t(i))));
      auto mix = make(world);
      world.barrier(cpu);
      if (world.rank() == 0) start = error();
      for (bool done = false; !done;) {
        for (int k = 0; k < 10; ++k) mix.step(mine);
        world.barrier(cpu);
        done = error() < 1e-4 * start || mix.round() > 10000;
        world.barrier(cpu);
      }
      if (world.rank() == 0) bytes = double(mix.bytes_sent()) / n;
    });
    return bytes;
  };
  if (name.find(s.filter) == name.npos) return;
  const double bytes = run();
  std::printf("%s: each of eight ranks in a ring sends %.1f bytes an element\n", name.c_str(), bytes);
  t.add(name, bytes, run);
}

bench::suite const registered("choco", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    frugal::run_loopback(1, [&](frugal::loopback_comm& world) {
      bench::model model(s.elements(22));
      bench::table t(model.x.size(), threads);
      if constexpr (std::is_same_v<decltype(cpu), frugal::serial_backend>)  // threads: another takes long to compile
        add_round(t, cpu, world, model, frugal::top_k{.ratio = 0.01});
      add_round(t, cpu, world, model, frugal::scaled_sign{.block = 4096});
      s.measure(t);
    });
  });
  const int n = int(s.elements(12));
  bench::table t(std::size_t(n), 1);
  const auto ring = frugal::topology::ring(8);
  const frugal::serial_backend cpu;
  const auto with = [=](auto how, double gamma) {
    return [=](frugal::loopback_comm& world) {
      return frugal::choco(cpu, world, ring, n, how, frugal::choco_config{gamma});
    };
  };
  add_consensus(s, t, "gossip_to_1e-4", n,
                [=](frugal::loopback_comm& world) { return frugal::gossip(cpu, world, ring, n); });
  add_consensus(s, t, "choco_top_10_percent_to_1e-4", n, with(frugal::top_k{.ratio = 0.1}, 0.3));
  add_consensus(s, t, "choco_top_1_percent_to_1e-4", n, with(frugal::top_k{.ratio = 0.01}, 0.04));
  add_consensus(s, t, "choco_sign_to_1e-4", n, with(frugal::scaled_sign{.block = 256}, 0.4));
  s.measure(t);
});

}  // namespace
