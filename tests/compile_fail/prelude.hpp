// SPDX-License-Identifier: Apache-2.0
// What most files here include, read once (run.sh).
#ifndef FRUGAL_COMPILE_FAIL_PRELUDE
#define FRUGAL_COMPILE_FAIL_PRELUDE
#include <frugal/backend/emulated.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/frugal.hpp>

using frugal::index_t;
inline const frugal::serial_backend cpu;
inline const frugal::emulated_backend gpu;
inline std::vector<float> x, g;
inline const std::vector<float> fixed;
inline frugal::view<float, frugal::emulated_backend::space> x_there, g_there;
#endif
