// expect: a policy is a storage (full, bf16_state, blockwise8), a support
// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/serial.hpp>
#include <frugal/optim/lion.hpp>

#if defined(CONTROL)
frugal::lion opt(frugal::serial_backend{}, 10, {}, frugal::blockwise8{});
#else
frugal::lion opt(frugal::serial_backend{}, 10, {}, 8);
#endif
