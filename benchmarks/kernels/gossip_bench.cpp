// SPDX-License-Identifier: Apache-2.0
/// @file The pass of a gossip that adds up what the neighbours sent, against a pass over the same bytes: the own vector
/// read and written, the others' read.
#include <frugal/decentralized/gossip.hpp>

#include "kernels/cpu.hpp"

namespace {

template <int Neighbours>
void add_mixing(bench::table& t, bench::crew& crew, auto const& cpu, std::vector<std::vector<float>>& vectors,
                std::vector<frugal::detail::weighted_vector>& sources) {
  const std::string of = frugal::detail::text("_", Neighbours, "_neighbours");
  std::size_t const n = vectors[0].size();
  std::array<float*, Neighbours + 1> all;
  for (std::size_t k = 0; k < all.size(); ++k) all[k] = vectors[k].data();
  t.add("stream" + of, 4 * (Neighbours + 2), [&crew, all, n] { bench::stream<Neighbours + 1, 1>(crew, all, n); });
  t.add("gossip" + of, 4 * (Neighbours + 2), [&, n] {
     frugal::detail::add_up(cpu, sources, sources.data(), vectors[0].data(), frugal::index_t(n), false);
   }).against("stream" + of, 1.15);
}

bench::suite const registered("gossip", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::crew crew(threads);
    bench::table t(n, threads);
    std::vector<std::vector<float>> vectors(5, std::vector<float>(n, 1.f));
    std::vector<frugal::detail::weighted_vector> two, four;
    for (std::size_t k = 0; k < 5; ++k) {
      if (k < 3) two.push_back({vectors[k].data(), 1 / 3.f});
      four.push_back({vectors[k].data(), 0.2f});
    }
    add_mixing<2>(t, crew, cpu, vectors, two);
    add_mixing<4>(t, crew, cpu, vectors, four);
    s.measure(t);
  });
});

}  // namespace
