// expect: are for bf16 and half parameters: add frugal::types<frugal::bf16>{}, or leave the rounding out
// SPDX-License-Identifier: Apache-2.0
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adamw.hpp>

#if defined(CONTROL)
using param = frugal::bf16;
#else
using param = float;
#endif
frugal::adamw opt(frugal::serial_backend{}, 10, {}, frugal::stochastic{.seed = 7}, frugal::types<param, float>{});
