// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/lars.hpp>

#include "support/device.hpp"

FRUGAL_TEST_INSTANTIATE(frugal::lars_rule)
[[maybe_unused]] static const int added =
    frugal_test::add_device_check("lars", &frugal_test::optimizer_on_device<frugal::lars>);
