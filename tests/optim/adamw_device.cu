// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adamw.hpp>

#include "support/device.hpp"

FRUGAL_TEST_INSTANTIATE(frugal::adamw_rule)
[[maybe_unused]] static const int added =
    frugal_test::add_device_check("adamw", &frugal_test::optimizer_on_device<frugal::adamw>);
