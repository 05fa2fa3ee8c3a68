// SPDX-License-Identifier: Apache-2.0
// A single header that has more in it than the standard library can serve.
#include <frugal/frugal.hpp>

int main() {
  frugal::tbb_backend two(2);
  frugal::run_loopback(1, [](frugal::loopback_comm) {});
  static_cast<void>(sizeof(frugal::checkpoint));
  static_cast<void>(sizeof(frugal::eigen_linalg));
#if defined(WITH_MPI)
  static_cast<void>(sizeof(frugal::mpi_session));
#endif
}
