// SPDX-License-Identifier: Apache-2.0
/// @file What the groups of a layout multiply the configured rate and decay by, at this moment.
#pragma once
#include "element.hpp"
#include "error.hpp"
#include "layout.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

/// The factors of each group. A configuration is checked as each group has it: the product of rate and decay has a
/// limit.
class factors_of_groups {
 public:
  explicit factors_of_groups(std::vector<group> const& groups) {
    for (group const& g : groups) factors_.push_back({g.lr, g.weight_decay});
  }
  std::vector<group_factors> const& factors() const { return factors_; }
  index_t size() const { return index_t(factors_.size()); }

  template <class Config>
  void check(Config const& c) const {
    for (group_factors const& f : factors_) check(c, f);
  }
  /// The factors of the group of that name change, or nothing does; what was settled at construction stays.
  template <class Config>
  void set(std::vector<group> const& constructed, group const& g, Config const& c) {
    for (std::size_t i = 0; i < factors_.size(); ++i) {
      group const& was = constructed[i];
      if (was.name != g.name) continue;
      require(g.frozen == was.frozen, text("group '", g.name, "'"), "frozen as constructed", "a change");
      require(g.full_states == was.full_states, text("the states of group '", g.name, "'"), "stored as constructed",
              "a change");
      require_range("a group's lr factor", g.lr, 0, 1e300, true);
      require_range("a group's weight_decay factor", g.weight_decay, 0, 1e300, true);
      check(c, {g.lr, g.weight_decay});
      factors_[i] = {g.lr, g.weight_decay};
      return;
    }
    refuse("a group", "one of the layout's groups", text("'", g.name, "'"));
  }

 private:
  template <class Config>
  static void check(Config c, group_factors const& f) {
    c.lr *= f.lr;
    if constexpr (requires { c.weight_decay; }) c.weight_decay *= f.weight_decay;
    validate(c);
  }
  std::vector<group_factors> factors_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
