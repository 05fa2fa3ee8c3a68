// expect: bf16 states are for float, bf16 and half parameters
// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adam.hpp>

#if defined(CONTROL)
using param = float;
#else
using param = double;
#endif
frugal::adam opt(frugal::serial_backend{}, 10, {}, frugal::bf16_state{}, frugal::types<param>{});
