// SPDX-License-Identifier: Apache-2.0
// A user's program: frugal in two of its sources, names of its own, the version where the preprocessor sees it.
#include <frugal/frugal.hpp>
#if defined(WITH_TBB)
#include <frugal/backend/tbb.hpp>
#endif
#include <cstdio>
#include <vector>

#if FRUGAL_VERSION < 100 ||                                                                               \
    FRUGAL_VERSION != FRUGAL_VERSION_MAJOR * 10000 + FRUGAL_VERSION_MINOR * 100 + FRUGAL_VERSION_PATCH || \
    FRUGAL_NUMERICS_VERSION < 1
#error "version"
#endif

namespace v0 {  // as the library's inline namespace
struct adamw {};
namespace detail {}
}  // namespace v0

#if defined(WITH_OTHER)  // other.cpp
long ranks_of_a_ring(long ranks);
#endif

int main() {
#if defined(WITH_TBB)
  frugal::tbb_backend backend;
#else
  frugal::serial_backend backend;
#endif
  v0::adamw of_its_own;
  static_cast<void>(of_its_own);
  std::vector<float> x(1000, 1), g(1000, 2);
  frugal::adamw opt(backend, 1000, {.lr = 0.25, .weight_decay = 0});
  opt.step(x, g);
  std::printf("%d.%d.%d\n", FRUGAL_VERSION_MAJOR, FRUGAL_VERSION_MINOR, FRUGAL_VERSION_PATCH);
#if defined(WITH_OTHER)
  if (ranks_of_a_ring(4) != frugal::topology::ring(4).size()) return 2;
#endif
  return x[0] > 0.74f && x[0] < 0.76f && x[999] == x[0] ? 0 : 1;
}
