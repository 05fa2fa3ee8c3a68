// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adamr.hpp>

#include "support/device.hpp"

FRUGAL_TEST_INSTANTIATE(frugal::adamr_rule)
[[maybe_unused]] static const int added =
    frugal_test::add_device_check("adamr", &frugal_test::optimizer_on_device<frugal::adamr>);
