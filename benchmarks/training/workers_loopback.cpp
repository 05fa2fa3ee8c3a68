// SPDX-License-Identifier: Apache-2.0
#include "training/workers_loopback.hpp"

namespace bench {

template std::vector<method<local_world>> methods<local_world>();
template std::vector<look> train<local_world>(local_world, method<local_world> const&, std::uint64_t,
                                              workers_task const&, std::size_t, std::function<void(int)> const&);

}  // namespace bench
