// expect: copy the data to the device and pass a buffer's view()
// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/emulated.hpp>
#include <frugal/optim/lion.hpp>

void step(std::vector<float>& x, std::vector<float> const& g) {
  frugal::emulated_backend gpu;
  frugal::lion opt(gpu, x.size());
#if defined(CONTROL)
  opt.step({x.data(), frugal::index_t(x.size())}, {g.data(), frugal::index_t(g.size())});
#else
  opt.step(x, g);
#endif
}
