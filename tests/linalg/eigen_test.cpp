// SPDX-License-Identifier: Apache-2.0
// Factorizations by Eigen.
#include <frugal/linalg/eigen.hpp>

#include "linalg/factorization_suite.hpp"

namespace frugal_test {

using eigen_combinations =
    testing::Types<combination<float, frugal::eigen_linalg>, combination<double, frugal::eigen_linalg>>;
INSTANTIATE_TYPED_TEST_SUITE_P(eigen, factorization, eigen_combinations);

}  // namespace frugal_test
