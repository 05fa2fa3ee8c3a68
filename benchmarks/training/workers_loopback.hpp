// SPDX-License-Identifier: Apache-2.0
/// @file The workers as ranks of one process, compiled in one place.
#pragma once
#include "training/workers_methods.hpp"

#include <frugal/comm/loopback.hpp>

namespace bench {

using local_world = frugal::loopback_comm;
extern template std::vector<method<local_world>> methods<local_world>();
extern template std::vector<look> train<local_world>(local_world, method<local_world> const&, std::uint64_t,
                                                     workers_task const&, std::size_t, std::function<void(int)> const&);

}  // namespace bench
