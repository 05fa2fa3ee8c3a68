// expect: 8-bit states are for float, bf16 and half parameters
// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adamw.hpp>

#if defined(CONTROL)
using param = frugal::bf16;
#else
using param = double;
#endif
frugal::adamw opt(frugal::serial_backend{}, 10, {}, frugal::blockwise8{}, frugal::types<param>{});
