// expect: at most one of each
// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/serial.hpp>
#include <frugal/optim/lion.hpp>

#if defined(CONTROL)
frugal::lion opt(frugal::serial_backend{}, 10, {}, frugal::float_master{}, frugal::types<frugal::bf16>{});
#else
frugal::lion opt(frugal::serial_backend{}, 10, {}, frugal::float_master{}, frugal::types<frugal::bf16>{},
                 frugal::stochastic{});
#endif
