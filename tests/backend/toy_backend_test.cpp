// SPDX-License-Identifier: Apache-2.0
// A backend from outside of the library (toy_backend.hpp) runs every algorithm, with the bits that all others give.
#include "toy_backend.hpp"

#include <fstream>

#include "support/numerics.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using toy::toy_backend;

static_assert(frugal::primitive_backend<toy_backend>);

TEST(toy_backend, every_algorithm_gives_the_bits_of_this_version) {
  EXPECT_EQ(differences(every_algorithm(toy_backend(3)).run()), "");
}

TEST(toy_backend, its_memory_is_reached_by_copies_only) {
  const toy_backend b;
  const frugal::buffer<float, toy_backend> x(b, 10);
  float here[10] = {};
  EXPECT_TRUE(refused([&] { b.copy(x.data(), here, 40); }, "a copy's source", "toy memory", "the other"));
  EXPECT_TRUE(refused([&] { b.copy_out(here, here, 40); }, "a copy's source", "toy memory", "the other"));
  EXPECT_TRUE(refused([&] { b.copy_in(here, here, 40); }, "a copy's target", "toy memory", "the other"));
  EXPECT_TRUE(refused([&] { b.copy_in(x.data() + 1, here, 40); }, "a copy's target", "toy memory", "the other"));
  EXPECT_TRUE(refused([&] { b.fill(here, 0, 40); }, "what is filled", "toy memory", "other"));
}

TEST(toy_backend, it_has_fewer_than_100_lines) {
  std::ifstream file(FRUGAL_SOURCE_DIR "/tests/backend/toy_backend.hpp");
  int lines = 0;
  for (std::string line; std::getline(file, line); ++lines) EXPECT_LE(line.size(), 120u);
  EXPECT_GT(lines, 0);
  EXPECT_LT(lines, 100);
}

}  // namespace
