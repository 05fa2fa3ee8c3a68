// SPDX-License-Identifier: Apache-2.0
/// @file SOAP with the builtin provider against its own products. linalg_bench.cpp has it with Eigen's.
#include "kernels/soap_step.hpp"

namespace {

bench::suite const registered("soap", [](bench::session const& s) {
  bench::soap_rows(s, "soap", frugal::builtin_linalg{}, 2048, 512, [](auto&, auto&) { return nullptr; });
});

}  // namespace
