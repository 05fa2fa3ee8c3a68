// SPDX-License-Identifier: Apache-2.0
/// @file What workers' runs have shown, as JSON: equal if and only if (but for chance) the weights are equal, too.
#pragma once
#include <cstdio>
#include <nlohmann/json.hpp>

#include "training/workers.hpp"

namespace bench {

inline nlohmann::json figures(std::vector<look> const& looks) {
  nlohmann::json list;
  for (look const& l : looks) {
    char digest[17];
    std::snprintf(digest, sizeof digest, "%016llx", static_cast<unsigned long long>(l.digest));
    list.push_back({{"step", l.step}, {"bytes", l.bytes}, {"accuracy_percent", l.accuracy}, {"digest", digest}});
  }
  return list;
}

}  // namespace bench
