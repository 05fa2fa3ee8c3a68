// expect: memory_backend
// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/serial.hpp>
#include <frugal/optim/momentum.hpp>

#if defined(CONTROL)
using backend = frugal::serial_backend;
#else
struct backend {};
#endif
frugal::momentum<backend> opt(backend{}, 10);
