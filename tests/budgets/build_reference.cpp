// SPDX-License-Identifier: Apache-2.0
// The unit of build.txt: what this takes to compile says how fast the machine is. It reads nothing of frugal's, so that
// it stays what it is.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>

template <int N>
struct entry {
  std::map<int, std::string> names;
  std::unordered_map<std::string, std::vector<double>> values;
  std::function<double(double)> f;
  double run(int seed) {
    std::mt19937_64 random{std::uint64_t(seed + N)};
    std::normal_distribution<double> normal;
    for (int k = 0; k < 100; ++k) values[names[k]].push_back(f(normal(random)));
    for (auto& [name, list] : values) std::sort(list.begin(), list.end(), [](double a, double b) { return a * N < b; });
    return values.begin()->second.at(0);
  }
};
template <int N>
double all(int seed) {
  entry<N> e;
  e.f = [](double x) { return x * N; };
  if constexpr (N > 0) return e.run(seed) + all<N - 1>(seed);
  else return e.run(seed);
}

TEST(reference, compiles) {
  EXPECT_EQ(all<8>(1), all<8>(1));
  EXPECT_TRUE(std::regex_match("reference", std::regex("r.*e")));
}
