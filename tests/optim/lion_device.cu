// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/lion.hpp>

#include "support/device.hpp"

template class frugal::lion<frugal_test::device_backend>;
template class frugal::lion<frugal_test::device_backend, frugal::blockwise8>;
template class frugal::lion<frugal_test::device_backend, frugal::full, frugal::all, frugal::types<frugal::bf16>>;
[[maybe_unused]] static const int added =
    frugal_test::add_device_check("lion", &frugal_test::optimizer_on_device<frugal::lion>);
