// SPDX-License-Identifier: Apache-2.0
// What a checkpoint cannot hold.
#include <frugal/backend/serial.hpp>
#include <frugal/interop/safetensors.hpp>
#include <frugal/optim/momentum.hpp>
using namespace frugal;
const serial_backend cpu;
struct stateless {};

// expect CONST_CHECKPOINT: parameters in a checkpoint are loaded, too: they are not const
void const_checkpoint(checkpoint& all, [[maybe_unused]] std::vector<float>& x,
                      [[maybe_unused]] std::vector<float> const& fixed) {
#if defined(CONST_CHECKPOINT)
  all.add("x", cpu, 10, fixed);
#else
  all.add("x", cpu, 10, x);
#endif
}
// expect NO_STATE_IN_CHECKPOINT: constraints
void in_checkpoint(checkpoint& all, momentum<serial_backend>& opt, stateless& s) {
#if defined(NO_STATE_IN_CHECKPOINT)
  all.add("s", s);
#else
  all.add("opt", opt);
#endif
  (void)s;
}
