// SPDX-License-Identifier: Apache-2.0
#include "kernels/random.hpp"

namespace {

bench::suite const registered("random", [](bench::session const& s) { bench::random_numbers(s, ""); });

}  // namespace
