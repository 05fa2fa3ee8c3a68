// expect: parameters are float, double, bf16 or half
// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/serial.hpp>
#include <frugal/optim/lion.hpp>

#if defined(CONTROL)
using param = double;
#else
using param = int;
#endif
frugal::lion opt(frugal::serial_backend{}, 10, {}, frugal::types<param>{});
