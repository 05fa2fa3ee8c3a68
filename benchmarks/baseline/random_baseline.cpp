// SPDX-License-Identifier: Apache-2.0
/// @file The same speed for a user who compiles with `g++ -O2` and nothing else: registers are chosen at run time.
#include "kernels/random.hpp"

namespace {

bench::suite const registered("random_baseline",
                              [](bench::session const& s) { bench::random_numbers(s, "_baseline"); });

}  // namespace
