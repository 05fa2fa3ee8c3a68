// SPDX-License-Identifier: Apache-2.0
// Factorizations by Eigen, and the methods that are made of them.
#include <frugal/linalg/eigen.hpp>
#include <frugal/optim/shampoo.hpp>
#include <frugal/optim/soap.hpp>

#include "linalg/factorization_suite.hpp"
#include "support/kronecker.hpp"

namespace frugal_test {

using eigen_combinations =
    testing::Types<combination<float, frugal::eigen_linalg>, combination<double, frugal::eigen_linalg>>;
INSTANTIATE_TYPED_TEST_SUITE_P(eigen, factorization, eigen_combinations);

TEST(eigen, carries_out_soap) {
  for (golden_case const& c : read_golden("soap.txt")) {
    if (c.name != "square" && c.name != "tensor") continue;
    SCOPED_TRACE(c.name);
    frugal::soap opt(frugal::serial_backend{}, frugal::layout{{"w", c.numbers<frugal::index_t>("given")}},
                     {.lr = c.config("lr"), .weight_decay = c.config("wd"), .frequency = 3}, frugal::types<double>{},
                     frugal::eigen_linalg{});
    follow<double>(opt, c, 2e-11);
  }
}
TEST(eigen, carries_out_shampoo) {
  for (golden_case const& c : read_golden("shampoo.txt")) {
    if (c.name != "matrix" && c.name != "blocks") continue;
    SCOPED_TRACE(c.name);
    frugal::shampoo opt(frugal::serial_backend{}, frugal::layout{{"w", c.numbers<frugal::index_t>("given")}},
                        {.lr = c.config("lr"),
                         .beta2 = c.config("beta2"),
                         .epsilon = c.config("eps"),
                         .weight_decay = c.config("wd"),
                         .frequency = 3,
                         .max_dim = frugal::index_t(c.config("most"))},
                        frugal::types<double>{}, frugal::eigen_linalg{});
    follow<double>(opt, c, 1e-9);
  }
}

}  // namespace frugal_test
