// SPDX-License-Identifier: Apache-2.0
// Graphs, their spectra and mixing matrices: golden data, closed forms, invariants, refusals.
#include <gtest/gtest.h>

#include <cmath>
#include <frugal/decentralized/weights.hpp>
#include <numeric>

#include "support/golden.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using frugal::edge;
using frugal::mixing_matrix;
using frugal::mixing_schedule;
using frugal::topology;

constexpr double pi = 3.14159265358979323846;

topology graph_of(std::string const& name) {
  if (name == "star") return topology::star(16);
  if (name == "complete") return topology::complete(16);
  if (name == "ring") return topology::ring(16);
  if (name == "path") return topology::path(16);
  if (name == "grid") return topology::grid(4, 4);
  if (name == "barbell") return topology::barbell(8);
  if (name == "hypercube") return topology::hypercube(4);
  if (name == "torus") return topology::torus(4, 4);
  if (name == "exponential") return topology::exponential(16);
  if (name == "exponential_11") return topology::exponential(11);
  if (name == "torus_2x5") return topology::torus(2, 5);
  if (name == "grid_3x5") return topology::grid(3, 5);
  if (name == "torus_1x5") return topology::torus(1, 5);
  if (name == "erdos_renyi_12") return topology::erdos_renyi(12, 0.25, 7);
  if (name == "erdos_renyi_20") return topology::erdos_renyi(20, 0.15, 12345678901234567);
  if (name == "geometric_15") return topology::geometric(15, 0.3, 3);
  if (name == "regular_16_3") return topology::regular(16, 3, 5);
  if (name == "regular_11_4") return topology::regular(11, 4, 6);
  if (name == "regular_9_6") return topology::regular(9, 6, 1);
  if (name == "regular_30_7") return topology::regular(30, 7, 2);
  if (name == "regular_2_1") return topology::regular(2, 1, 2);
  throw std::runtime_error("no graph is called " + name);
}

TEST(topology, golden) {
  for (golden_case const& c : read_golden("topology.txt")) {
    const topology t = graph_of(c.name);
    const int n = c.number<int>("n");
    ASSERT_EQ(t.size(), n);
    std::vector<int> ends;
    for (edge const& e : t.edges()) ends.push_back(e.from), ends.push_back(e.to);
    EXPECT_EQ(ends, c.numbers<int>("edges")) << c.name;
    for (int i = 0; i < n; ++i)
      for (int j : t.neighbours(i)) EXPECT_TRUE(std::ranges::binary_search(t.neighbours(j), i));

    const auto l = frugal::laplacian_eigenvalues(t), expected = c.numbers<double>("laplacian");
    for (std::size_t k = 0; k < l.size(); ++k) EXPECT_NEAR(l[k], expected[k], 1e-12 * n) << c.name;
    EXPECT_NEAR(frugal::chi_1(t) / c.number<double>("chi1"), 1, 1e-11) << c.name;
    EXPECT_NEAR(frugal::chi_2(t) / c.number<double>("chi2"), 1, 1e-11) << c.name;
    EXPECT_LE(frugal::chi_2(t), frugal::chi_1(t) * (1 + 1e-12));
    // Foster: the sum of rate times resistance is n - 1.
    const auto r = frugal::edge_resistances(t);
    EXPECT_NEAR(std::accumulate(r.begin(), r.end(), 0.) / double(r.size()), n - 1, 1e-11 * n) << c.name;

    const auto w = mixing_matrix::metropolis(t);
    const auto metropolis = c.numbers<double>("metropolis");
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) EXPECT_NEAR(w.at(i, j), metropolis[std::size_t(i * n + j)], 1e-15) << c.name;
      EXPECT_GT(w.at(i, i), 0) << c.name;
      EXPECT_EQ(w.row(i).size(), t.neighbours(i).size() + 1);
      EXPECT_TRUE(std::ranges::is_sorted(w.row(i), {}, &frugal::weight::rank));
    }
    EXPECT_NEAR(w.slem(), c.number<double>("slem"), 1e-12) << c.name;
    EXPECT_NEAR(w.spectral_gap(), 1 - c.number<double>("slem"), 1e-12) << c.name;
  }
}

// Equal rates whose sum is 1.
TEST(topology, closed_forms) {
  for (int n : {3, 4, 7, 16, 33}) {
    const double half = (n - 1) / 2.;
    const auto expect = [&](topology const& t, double chi_1, double chi_2) {
      EXPECT_NEAR(frugal::chi_1(t) / chi_1, 1, 1e-11) << n;
      EXPECT_NEAR(frugal::chi_2(t) / chi_2, 1, 1e-11) << n;
    };
    expect(topology::ring(n), n / (2 - 2 * std::cos(2 * pi / n)), half);
    expect(topology::path(n), (n - 1) / (2 - 2 * std::cos(pi / n)), half);
    expect(topology::star(n), n - 1, half);
    expect(topology::complete(n), half, half);
    EXPECT_NEAR(mixing_matrix::metropolis(topology::ring(n)).slem(), std::abs(1 + 2 * std::cos(2 * pi / n)) / 3,
                1e-13 * n);
    EXPECT_NEAR(mixing_matrix::metropolis(topology::complete(n)).slem(), 0, 1e-14 * n);
    EXPECT_NEAR(mixing_matrix::metropolis(topology::star(n)).slem(), 1 - 1. / n, 1e-13 * n);
  }
  for (int m : {1, 2, 5}) {
    const topology t = topology::hypercube(m);
    EXPECT_NEAR(frugal::chi_1(t), double(t.edges().size()) / 2, 1e-11 * t.size());
    EXPECT_NEAR(frugal::chi_2(t), (t.size() - 1) / 2., 1e-11 * t.size());
  }
}

TEST(topology, rates) {
  const topology t = topology::geometric(12, 0.4, 1);
  std::vector<double> rates;
  for (std::size_t k = 0; k < t.edges().size(); ++k) rates.push_back(0.1 + double(k * k % 7));
  const auto r = frugal::edge_resistances(t, rates);
  EXPECT_NEAR(std::inner_product(r.begin(), r.end(), rates.begin(), 0.), t.size() - 1, 1e-10);
  const double chi_1 = frugal::chi_1(t, rates), chi_2 = frugal::chi_2(t, rates);
  for (double& x : rates) x *= 8;  // eight times the rate: an eighth of both
  EXPECT_NEAR(frugal::chi_1(t, rates) * 8, chi_1, 1e-12 * chi_1);
  EXPECT_NEAR(frugal::chi_2(t, rates) * 8, chi_2, 1e-12 * chi_2);
  rates[0] = 0;
  EXPECT_TRUE(refused([&] { frugal::chi_1(t, rates); }, "the rate of an edge", "a positive number", "0"));
  rates.pop_back();
  EXPECT_TRUE(refused([&] { frugal::chi_2(t, rates); }, "the rates of a graph",
                      "one each of " + std::to_string(t.edges().size()), std::to_string(rates.size())));
}

TEST(topology, weights) {
  const auto is_symmetric_and_stochastic = [](mixing_matrix const& w) {
    w.require_doubly_stochastic();
    EXPECT_TRUE(w.is_symmetric());
  };
  for (topology const& t : {topology::star(5), topology::grid(3, 4), topology::barbell(4),
                            topology::geometric(20, 0.3, 2), topology::custom(1, {}), topology::torus(2, 2)}) {
    const auto w = mixing_matrix::metropolis(t);
    is_symmetric_and_stochastic(w);
    is_symmetric_and_stochastic(mixing_matrix::max_degree(t));
    is_symmetric_and_stochastic(mixing_matrix::best_constant(t));
    const auto lazy = mixing_matrix::lazy(w);
    is_symmetric_and_stochastic(lazy);
    for (int i = 0; i < t.size(); ++i)
      for (int j = 0; j < t.size(); ++j) EXPECT_NEAR(2 * lazy.at(i, j), w.at(i, j) + (i == j), 1e-15);
    if (t.size() == 1) continue;
    // The best constant: sigma = (l_n - l_2) / (l_n + l_2), no other constant does better.
    const auto l = frugal::laplacian_eigenvalues(t);
    const double best = mixing_matrix::best_constant(t).slem();
    EXPECT_NEAR(best, (l.back() - l[1]) / (l.back() + l[1]), 1e-13);
    EXPECT_LE(best, mixing_matrix::max_degree(t).slem() + 1e-13);
  }
  EXPECT_LT(mixing_matrix::best_constant(topology::star(5)).at(0, 0), 0);  // allowed
  EXPECT_EQ(mixing_matrix::max_degree(topology::star(5)).at(3, 3), 1 - 1 / 5.);
  const auto torus = mixing_matrix::equal(topology::torus(3, 4), 0.2);
  is_symmetric_and_stochastic(torus);
  EXPECT_EQ(torus.at(0, 1), 0.2);
  EXPECT_EQ(torus.at(0, 5), 0);
  is_symmetric_and_stochastic(mixing_matrix::equal(topology::ring(5), 1 / 3.));
  // Directed: columns sum to 1, rows where all degrees are equal.
  const auto out = mixing_matrix::uniform_out(topology::directed_exponential(6));
  out.require_doubly_stochastic();
  EXPECT_FALSE(out.is_symmetric());
  const auto odd = mixing_matrix::uniform_out(topology::directed(3, {{0, 1}, {1, 2}, {2, 0}, {0, 2}}));
  EXPECT_EQ(odd.at(1, 0), 1 / 3.);
  EXPECT_EQ(odd.at(0, 1), 0);
  EXPECT_EQ(odd.at(0, 2), 0.5);
  EXPECT_TRUE(refused([&] { odd.require_doubly_stochastic(); }, "a doubly stochastic mixing matrix",
                      "a sum of 1 in row 0", "1 + -0.166667"));
  // A matrix by hand: order and zeros do not matter.
  const mixing_matrix a({{{1, 0.25}, {0, 0.75}, {2, 0}}, {{0, 0.25}, {1, 0.75}}, {{2, 1}}});
  const auto b = mixing_matrix::dense({0.75, 0.25, 0, 0.25, 0.75, 0, 0, 0, 1});
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(a.row(i).size(), b.row(i).size());
    for (std::size_t k = 0; k < a.row(i).size(); ++k) {
      EXPECT_EQ(a.row(i)[k].rank, b.row(i)[k].rank);
      EXPECT_EQ(a.row(i)[k].value, b.row(i)[k].value);
    }
  }
}

TEST(topology, slem_of_a_matrix_that_is_not_symmetric) {
  // A shift moves differences around and leaves them as they are; half of it halves those at the frequency pi.
  const auto shift = mixing_matrix::dense({0, 1, 0, 0, 0, 1, 1, 0, 0});
  EXPECT_NEAR(shift.slem(), 1, 1e-13);
  const auto w = mixing_schedule::one_peer_exponential(8);
  EXPECT_NEAR(w.turn(0).slem(), std::cos(pi / 8), 1e-13);
}
TEST(topology, slem_of_a_negative_eigenvalue) {
  EXPECT_NEAR(mixing_matrix::dense({0.1, 0.9, 0.9, 0.1}).slem(), 0.8, 1e-14);
}

TEST(topology, smallest_graphs) {
  const std::vector<edge> one{{0, 1}};
  for (topology const& t :
       {topology::exponential(2), topology::path(2), topology::star(2), topology::complete(2), topology::torus(2, 1),
        topology::grid(1, 2), topology::hypercube(1), topology::regular(2, 1, 3)})
    EXPECT_EQ(t.edges(), one);
  EXPECT_EQ(topology::torus(5, 1).edges(), topology::ring(5).edges());
  EXPECT_EQ(topology::torus(1, 5).edges(), topology::ring(5).edges());
  EXPECT_EQ(topology::directed_exponential(2).edges(), (std::vector<edge>{{0, 1}, {1, 0}}));
}

// The product over a period is the mean of all, exactly.
TEST(topology, one_peer_exponential) {
  for (int n : {2, 4, 8, 16}) {
    const auto w = mixing_schedule::one_peer_exponential(n);
    EXPECT_EQ(1 << w.period(), n);
    std::vector<double> x(std::size_t(n), 0.);
    x[1] = 1;
    for (int t = 0; t < w.period(); ++t) {
      std::vector<double> next(x.size());
      for (int i = 0; i < n; ++i)
        for (auto const& [j, value] : w.turn(t).row(i)) next[std::size_t(i)] += value * x[std::size_t(j)];
      x = next;
    }
    for (double v : x) EXPECT_EQ(v, 1. / n);
  }
  EXPECT_EQ(mixing_schedule::one_peer_exponential(11).period(), 4);
  const topology step = topology::one_peer_exponential(11, 7);  // 7 mod 4 = 3
  EXPECT_EQ(step.neighbours(5), std::vector{2});
  EXPECT_EQ(step.sources(5), std::vector{8});
  const topology all = topology::directed_exponential(11);
  EXPECT_EQ(all.neighbours(9), (std::vector{0, 2, 6, 10}));
  EXPECT_EQ(all.sources(0), (std::vector{3, 7, 9, 10}));
  EXPECT_EQ(all.neighbours(0), (std::vector{1, 2, 4, 8}));
}

TEST(topology, random_graphs_depend_on_the_seed_alone) {
  EXPECT_EQ(topology::regular(40, 3, 5).edges(), topology::regular(40, 3, 5).edges());
  EXPECT_NE(topology::regular(40, 3, 5).edges(), topology::regular(40, 3, 6).edges());
  EXPECT_NE(topology::erdos_renyi(40, 0.3, 5).edges(), topology::erdos_renyi(40, 0.3, 6).edges());
  EXPECT_NE(topology::geometric(40, 0.3, 5).edges(), topology::geometric(40, 0.3, 6).edges());
  for (int degree : {3, 10, 19, 20, 30, 38, 39}) {
    const topology t = topology::regular(40, degree, 9);
    for (int i = 0; i < 40; ++i) EXPECT_EQ(t.degree(i), degree);
  }
  EXPECT_EQ(topology::erdos_renyi(9, 1, 5).edges(), topology::complete(9).edges());
  // 780 pairs, half of them: within five standard deviations.
  EXPECT_NEAR(double(topology::erdos_renyi(40, 0.5, 11).edges().size()), 390, 5 * std::sqrt(780) / 2);
}

TEST(topology, schedules_are_told_apart) {
  const auto h = [](mixing_schedule const& s) { return s.hash(); };
  const topology t = topology::ring(5);
  EXPECT_EQ(h(t), h(mixing_matrix::metropolis(t)));
  EXPECT_NE(h(t), h(topology::ring(6)));
  EXPECT_NE(h(t), h(mixing_matrix::lazy(mixing_matrix::metropolis(t))));
  const auto w = mixing_matrix::metropolis(t), v = mixing_matrix::lazy(w);
  EXPECT_NE(h(mixing_schedule(std::vector{w, v})), h(mixing_schedule(std::vector{v, w})));
}

TEST(topology, refusals) {
  const auto too_few = [](auto const& f, std::string const& what, int least, int got) {
    EXPECT_TRUE(refused(f, what, "at least " + std::to_string(least), std::to_string(got)));
  };
  too_few([] { topology::ring(2); }, "the ranks of a ring", 3, 2);
  too_few([] { topology::path(1); }, "the ranks of a path", 2, 1);
  too_few([] { topology::star(1); }, "the ranks of a star", 2, 1);
  too_few([] { topology::complete(1); }, "the ranks of a complete graph", 2, 1);
  too_few([] { topology::exponential(1); }, "the ranks of an exponential graph", 2, 1);
  too_few([] { topology::directed_exponential(-1); }, "the ranks of an exponential graph", 2, -1);
  too_few([] { topology::barbell(1); }, "half of a barbell", 2, 1);
  const std::string sides = "at least 1 each, 2 to 2^20 ranks";
  EXPECT_TRUE(refused([] { topology::grid(1, 1); }, "rows and columns of a grid", sides, "1 and 1"));
  EXPECT_TRUE(refused([] { topology::torus(0, 5); }, "rows and columns of a grid", sides, "0 and 5"));
  EXPECT_TRUE(refused([] { topology::grid(1 << 20, 1 << 20); }, "rows and columns of a grid", sides, ""));
  EXPECT_TRUE(refused([] { topology::hypercube(0); }, "the dimension of a hypercube", "1 to 20", "0"));
  for (double p : {0., -1., 1.5, std::nan("")})
    EXPECT_TRUE(refused([&] { topology::erdos_renyi(5, p, 1); }, "the probability of an edge", "(0, 1]", ""));
  EXPECT_TRUE(refused([] { topology::erdos_renyi(30, 1e-9, 1); }, "a random graph", "connected in one of 1000 tries",
                      "none that is"));
  EXPECT_TRUE(refused([] { topology::geometric(30, 0.01, 1); }, "a random geometric graph",
                      "connected in one of 1000 tries", "none that is"));
  EXPECT_TRUE(refused([] { topology::geometric(3, 0, 1); }, "the radius", "a positive number", "0"));
  EXPECT_TRUE(refused([] { topology::regular(5, 3, 1); }, "of an odd number of ranks", "even", "3"));
  EXPECT_TRUE(refused([] { topology::regular(5, 5, 1); }, "the degree of a regular graph", "1 to 4", "5"));
  EXPECT_TRUE(refused([] { topology::regular(4, 0, 1); }, "the degree of a regular graph", "1 to 3", "0"));
  EXPECT_TRUE(
      refused([] { topology::regular(4, 1, 1); }, "a regular graph", "connected in one of 1000 tries", "none that is"));
  EXPECT_TRUE(refused([] { topology::custom(3, {{0, 1}, {2, 2}}); }, "an edge", "two ranks", "2 twice"));
  EXPECT_TRUE(refused([] { topology::custom(3, {{0, 1}, {1, 3}}); }, "an edge", "ranks 0 to 2", "1 to 3"));
  EXPECT_TRUE(refused([] { topology::custom(3, {{0, -1}}); }, "an edge", "ranks 0 to 2", "-1 to 0"));
  EXPECT_TRUE(refused([] { topology::custom(4, {{0, 1}, {2, 3}}); }, "a graph", "connected", "no way between 0 and 2"));
  EXPECT_TRUE(refused([] { topology::custom(0, {}); }, "the ranks of a graph", "1 to 2^20", "0"));
  EXPECT_TRUE(refused(
      [] {
        topology::directed(3, {{0, 1}, {0, 2}, {2, 1}});
      },
      "a graph", "strongly connected", "no way between 0 and 1"));
  EXPECT_TRUE(refused([] { topology::ring(4).neighbours(4); }, "a rank", "0 to 3", "4"));
  EXPECT_EQ(topology::custom(4, {{3, 2}, {1, 0}, {0, 1}, {2, 1}}).edges(), topology::path(4).edges());

  EXPECT_TRUE(refused([] { mixing_matrix::metropolis(topology::directed_exponential(4)); },
                      "the graph of symmetric weights", "an undirected one", "a directed one"));
  EXPECT_TRUE(refused([] { frugal::chi_1(topology::directed_exponential(4)); }, "a Laplacian", "an undirected graph",
                      "a directed one"));
  EXPECT_TRUE(refused([] { mixing_matrix::equal(topology::torus(2, 3), 0.2); },
                      "the sum of equal weights 0.2 of rank 0 and its 3 neighbours", "1", "0.8"));
  EXPECT_TRUE(refused([] { mixing_matrix::dense({1, 2, 3}); }, "the count of weights", "a square", "3"));
  EXPECT_TRUE(refused([] { mixing_matrix(std::vector<mixing_matrix::row_type>{}); }, "a mixing matrix",
                      "at least one row", "0"));
  EXPECT_TRUE(refused([] { mixing_matrix({{{0, 1}, {0, 1}}}); }, "row 0", "each rank once", "0 twice"));
  EXPECT_TRUE(refused([] { mixing_matrix({{{0, 1}, {1, 1}}}); }, "a weight of row 0", "ranks 0 to 0", "1"));
  EXPECT_TRUE(refused(
      [] {
        mixing_matrix({{{0, std::nan("")}}});
      },
      "the weight of rank 0 in row 0", "a finite number", "nan"));
  EXPECT_TRUE(refused(
      [] {
        mixing_schedule s(mixing_matrix::dense({0.5, 0.5, 0.4, 0.6}));
      },
      "a doubly stochastic mixing matrix", "a sum of 1 in column 0", "1 + -0.1"));
  EXPECT_TRUE(refused(
      [] {
        mixing_schedule s(mixing_matrix::dense({0.5, 0.4, 0.4, 0.6}));
      },
      "a doubly stochastic mixing matrix", "a sum of 1 in row 0", "1 + -0.1"));
  EXPECT_TRUE(refused(
      [] {
        mixing_schedule s(mixing_matrix::dense({1, 0, 0, 1}));
      },
      "a graph", "strongly connected", "no way between 0 and 1"));
  EXPECT_TRUE(refused(
      [] {
        mixing_schedule s(mixing_matrix::dense({.5, .5, 0, 0, .5, .5, 0, 0, 0, 0, .5, .5, 0, 0, .5, .5}));
      },
      "a graph", "strongly connected", "no way between 0 and 2"));
  EXPECT_TRUE(refused([] { mixing_schedule s(std::vector<mixing_matrix>{}); }, "a mixing schedule",
                      "at least one matrix", "0"));
  EXPECT_TRUE(refused(
      [] {
        mixing_schedule s(
            std::vector{mixing_matrix::metropolis(topology::ring(4)), mixing_matrix::metropolis(topology::ring(5))});
      },
      "the ranks of a mixing schedule's matrices", "4", "5"));
}

}  // namespace
