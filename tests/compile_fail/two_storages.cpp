// expect: at most one of each
// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adamw.hpp>

#if defined(CONTROL)
frugal::adamw opt(frugal::serial_backend{}, 10, {}, frugal::blockwise8{}, frugal::range{2, 5});
#else
frugal::adamw opt(frugal::serial_backend{}, 10, {}, frugal::blockwise8{}, frugal::bf16_state{});
#endif
