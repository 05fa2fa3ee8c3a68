// SPDX-License-Identifier: Apache-2.0
/// @file What ranks agree on before they work together.
#pragma once
#include "communicator.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// Something that all ranks must have in common.
struct fact {
  char const* what;
  std::int64_t value;
  bool is_count = false;  // else a hash
};
/// Collective. Where ranks differ in a fact, all of them get a comm_error that names it.
template <class Transport>
void agree(communicator<Transport>& world, std::string const& method, std::vector<fact> const& facts) {
  std::vector<std::int64_t> mine, all(facts.size() * std::size_t(world.size()));
  for (fact const& f : facts) mine.push_back(f.value);
  world.all_gather(host_messages{}, mine, all);
  for (std::size_t k = 0; k < facts.size(); ++k)
    for (int r = 1; r < world.size(); ++r) {
      const std::int64_t first = all[k], other = all[std::size_t(r) * facts.size() + k];
      const auto shown = [&](std::int64_t x) { return facts[k].is_count ? text(x) : text("hash ", std::uint64_t(x)); };
      if (first != other)
        FRUGAL_THROW(comm_error(text("frugal: ", method, ": the ranks disagree about ", facts[k].what, ": rank 0 has ",
                                     shown(first), ", rank ", r, " has ", shown(other))));
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace frugal
