// SPDX-License-Identifier: Apache-2.0
/// @file Groups of weights that are removed together: slices of tensors, in sets of equal slices. What methods of
/// structured pruning share: sums over groups, groups that shrink, and the model that is left.
#pragma once
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "../core/element.hpp"
#include "../core/layout.hpp"

namespace frugal {
inline namespace v0 {

/// What a tensor has to do with the groups of a set.
enum class group_part {
  scored,  ///< is trained, counts for the scores, goes to zero
  zeroed,  ///< goes to zero, and does not count
  follows  ///< reads what the group makes (a next layer's columns): is cut out at the end, and left alone before
};
/// Slices of a tensor along an axis: slice k belongs to group k.
struct group_member {
  std::string tensor;
  int axis = 0;
  group_part part = group_part::scored;
};
/// As many groups as the members have slices along their axes. With heads > 1 an axis is heads x (size of a head), and
/// a group is one of the heads, or one place in all heads.
struct group_set {
  std::vector<group_member> members;
  index_t heads = 1;
  bool whole_heads = false;
};

namespace detail {

enum class group_status : std::uint8_t { kept, shrinking, removed };

/// A member as kernels see it: element i of group k is at (i / inner) * groups * inner + k * inner + i % inner.
struct group_member_there {
  index_t outer, groups, inner, flat;
  std::int32_t tensor, part, factors;  // factors: of the tensor's group in the layout
  FRUGAL_FN index_t size() const { return outer * inner; }
  FRUGAL_FN index_t at(index_t k, index_t i) const { return (i / inner * groups + k) * inner + i % inner; }
};
/// The groups and members of a set.
struct group_range {
  index_t first_group;
  std::int32_t first_member, members;
};
struct group_table {
  group_member_there const* members;
  group_range const* ranges;
  std::int32_t const* set_of_group;
  index_t groups;
};

/// The rate of a step: the configured one, times the factor of a tensor's group.
struct group_rates {
  double lr;
  group_factors const* factors;
  FRUGAL_FN double of(group_member_there const& m) const { return (exact(lr) * exact(factors[m.factors].lr)).v[0]; }
};

/// For each group the sums of p^2, d^2 and p d, in double: p are parameters where a gradient was taken, d what the step
/// from there did, over lr. Element j of a group is added to slot j mod 256, and the slots by halving.
template <class P>
struct sum_groups {
  static constexpr index_t slots = 256;
  static constexpr unsigned team_threads = unsigned(slots);
  static constexpr int scratch_bytes = int(3 * slots * index_t(sizeof(double)));
  group_table table;
  P const* const* x;  // after the step
  P const* p;         // flat
  P const* start;     // flat: where the step began, which is p but for steps that begin elsewhere
  group_rates rates;
  double* sums;

  FRUGAL_GENERIC template <class V>
  FRUGAL_FN static void add(V v, V from, V now, double lr, V& pp, V& dd, V& pd) {
    const V d = lr > 0 ? (from - now) / V(lr) : V(0.0);
    pp = pp + v * v;
    dd = dd + d * d;
    pd = pd + v * d;
  }
  /// Elements that lie together, in slots that lie together.
  struct added {
    P const *x, *p, *start;
    double lr;
    double* slot;
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      V pp = c.load(slot), dd = c.load(slot + slots), pd = c.load(slot + 2 * slots);
      add(c.load(p), c.load(start), c.load(x), lr, pp, dd, pd);
      c.store(slot, pp), c.store(slot + slots, dd), c.store(slot + 2 * slots, pd);
    }
  };
  index_t teams() const { return table.groups; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const group_range set = table.ranges[table.set_of_group[team.rank()]];
    double* slot = team.template scratch<double>();
    const index_t k = team.rank() - set.first_group;
    // A lane alone goes along memory, several go along slots: each slot has the same additions, in the same order.
    if constexpr (requires { typename std::bool_constant<Team::lanes() == 1>; }) {
      for (index_t s = 0; s < 3 * slots; ++s) slot[s] = 0;
      index_t next = 0;
      for (std::int32_t m = 0; m < set.members; ++m) {
        group_member_there const& member = table.members[set.first_member + m];
        if (member.part != std::int32_t(group_part::scored)) continue;
        P const* const at_x = x[member.tensor];
        const double lr = rates.of(member);
        for (index_t o = 0; o < member.outer; ++o)
          for (index_t i = 0, n; i < member.inner; i += n, next = (next + n) % slots) {
            const index_t at = (o * member.groups + k) * member.inner + i;
            n = member.inner - i < slots - next ? member.inner - i : slots - next;
            const added f{at_x + at, p + member.flat + at, start + member.flat + at, lr, slot + next};
            if (n > 1) team.template for_values<double>(n, f);
            else f(chunk<lanes<double, 1>, true>{0, 1});
          }
      }
    } else {
      for (index_t s = team.lane(); s < slots; s += index_t(team.lanes())) {
        exact pp(0.0), dd(0.0), pd(0.0);
        index_t next = s;  // element of the member
        for (std::int32_t m = 0; m < set.members; ++m) {
          group_member_there const& member = table.members[set.first_member + m];
          if (member.part != std::int32_t(group_part::scored)) continue;
          const double lr = rates.of(member);
          for (; next < member.size(); next += slots) {
            const index_t at = member.at(k, next);
            add(exact(widen<double>(p[member.flat + at])), exact(widen<double>(start[member.flat + at])),
                exact(widen<double>(x[member.tensor][at])), lr, pp, dd, pd);
          }
          next -= member.size();
        }
        slot[s] = pp.v[0], slot[slots + s] = dd.v[0], slot[2 * slots + s] = pd.v[0];
      }
    }
    for (index_t half = slots / 2; half > 0; half /= 2) {
      team.sync();
      for (index_t s = team.lane(); s < half; s += index_t(team.lanes()))
        for (index_t sum = 0; sum < 3; ++sum) slot[sum * slots + s] += slot[sum * slots + s + half];
    }
    team.sync();
    if (team.lane() == 0)
      for (index_t sum = 0; sum < 3; ++sum) sums[3 * team.rank() + sum] = slot[sum * slots];
  }
};

/// What shrinks is multiplied, what was removed is zero; at the end of a period the former becomes the latter.
template <class P>
struct shrink_groups {
  static constexpr unsigned team_threads = 256;
  static constexpr int scratch_bytes = 4;
  using compute = typename types<P>::compute;
  group_table table;
  P* const* x;
  std::uint8_t* status;
  double factor;
  bool last;

  /// Elements that lie together.
  struct scaled {
    P* p;
    compute factor;
    bool removed;
    FRUGAL_FN bool aligned(int width) const { return multiple_of(p, width); }
    FRUGAL_GENERIC template <class Chunk>
    FRUGAL_FN void operator()(Chunk c) const {
      using V = typename Chunk::value;
      if (removed) c.store(p, V(compute(0)));
      else c.store(p, c.load(p) * V(factor));
    }
  };
  index_t teams() const { return table.groups; }
  FRUGAL_GENERIC template <class Team>
  FRUGAL_FN void operator()(Team const& team) const {
    const auto now = group_status(status[team.rank()]);
    if (now == group_status::kept) return;
    const bool removed = last || now == group_status::removed;
    const auto f = compute(factor);
    const group_range set = table.ranges[table.set_of_group[team.rank()]];
    for (std::int32_t m = 0; m < set.members; ++m) {
      group_member_there const& member = table.members[set.first_member + m];
      if (member.part == std::int32_t(group_part::follows)) continue;
      P* const p = x[member.tensor];
      const index_t k = team.rank() - set.first_group;
      if (member.inner >= 64) {
        for (index_t i = 0; i < member.size(); i += member.inner)
          team.template for_values<compute>(member.inner, scaled{p + member.at(k, i), f, removed});
      } else {
        for (index_t i = team.lane(); i < member.size(); i += index_t(team.lanes()))
          scaled{p + member.at(k, i), f, removed}(chunk<lanes<compute, 1>, true>{0, 1});
      }
    }
    team.sync();  // all have read the status
    if (team.lane() == 0 && last) status[team.rank()] = std::uint8_t(group_status::removed);
  }
};

/// Sets of groups over a layout, on the host.
class group_sets {
 public:
  group_sets(layout const& l, std::vector<group_set> sets, index_t divisible) : divisible_(divisible) {
    fnv1a hash;
    std::vector<bool> grouped(std::size_t(l.size()), false);
    for (group_set const& s : sets) {
      require(!s.members.empty(), "the members of a set of groups", "one or more", 0);
      require(s.heads >= 1, "the heads of a set of groups", ">= 1", s.heads);
      index_t count = -1, scored = 0;
      if (!members_.empty()) hash.add(std::uint64_t(members_.size()));  // the same members in other sets are others
      ranges_.push_back({groups_, std::int32_t(members_.size()), std::int32_t(s.members.size())});
      for (group_member const& m : s.members) {
        tensor const& t = find(l, m.tensor);
        const std::string what = text("the axis of '", t.name, "' in a set of groups");
        if (m.axis < 0 || std::size_t(m.axis) >= t.shape.size())
          refuse(what, text("[0, ", t.shape.size(), ")"), text(m.axis));
        require(m.part == group_part::follows || !l.groups()[std::size_t(t.group)].frozen,
                "a tensor of a set of groups", "one that is not frozen, or one that follows", text("'", t.name, "'"));
        group_member_there g{1,        t.shape[std::size_t(m.axis)],          1,
                             t.offset, std::int32_t(&t - l.tensors().data()), std::int32_t(m.part),
                             t.group};
        for (int k = 0; k < m.axis; ++k) g.outer *= t.shape[std::size_t(k)];
        for (std::size_t k = std::size_t(m.axis) + 1; k < t.shape.size(); ++k) g.inner *= t.shape[k];
        require(g.groups % s.heads == 0, what, text("a multiple of ", s.heads, " heads"), g.groups);
        const index_t size = g.groups / s.heads;
        if (s.heads > 1 && s.whole_heads) g.inner *= size, g.groups = s.heads;
        else g.outer *= s.heads, g.groups = size;
        if (count < 0) count = g.groups;
        require(g.groups == count, text("the slices of '", t.name, "' in a set of groups"), count, g.groups);
        if (m.part == group_part::scored) scored += g.size();
        if (m.part != group_part::follows) claim(t, grouped);
        members_.push_back(g), axes_.push_back(m.axis);
        hash.add(t.name).add(std::uint64_t(m.axis)).add(std::uint64_t(g.part)).add(std::uint64_t(g.groups));
        hash.add(std::uint64_t(g.inner));
      }
      require(scored > 0, "the members of a set of groups", "one that is scored, and not empty", "none");
      for (index_t k = 0; k < count; ++k) {
        set_of_group_.push_back(std::int32_t(ranges_.size() - 1));
        sizes_.push_back(scored);
      }
      groups_ += count;
      if (count > divisible) prunable_ += count;
    }
    hash_ = hash.value();
    order_.reserve(std::size_t(groups_));
    keeps_.resize(ranges_.size());
  }
  std::vector<group_member_there> const& members() const { return members_; }
  std::vector<group_range> const& ranges() const { return ranges_; }
  std::vector<std::int32_t> const& set_of_group() const { return set_of_group_; }
  index_t groups() const { return groups_; }
  index_t size_of_group(index_t g) const { return sizes_[std::size_t(g)]; }
  std::uint64_t hash() const { return hash_; }
  /// Of the groups of sets that have more than `divisible`.
  index_t target(double sparsity) const {
    return index_t((exact(double(prunable_)) * exact(sparsity < 0.999 ? sparsity : 0.999)).v[0]);
  }

  /// The `count` groups of the lowest scores that are kept now begin to shrink; of equal ones the first. A set keeps
  /// `divisible` groups or more, and a multiple: where it would keep another number, fewer of its groups shrink.
  void choose(std::vector<double> const& scores, index_t count, std::vector<std::uint8_t>& status) {
    rank(scores, status);
    std::size_t chosen = 0;  // those come first in order_
    for (index_t g : order_) {
      if (index_t(chosen) == count) break;
      if (keeps_[set_of(g)] > divisible_) order_[chosen++] = g, --keeps_[set_of(g)];
    }
    while (chosen > 0) {  // those with the highest scores stay
      const index_t g = order_[--chosen];
      if (keeps_[set_of(g)] % divisible_ != 0) ++keeps_[set_of(g)];
      else status[std::size_t(g)] = std::uint8_t(group_status::shrinking);
    }
  }
  /// The `count` groups of the lowest scores that are kept now, of one set, count as removed.
  void remove(index_t set, std::vector<double> const& scores, index_t count, std::vector<std::uint8_t>& status) {
    rank(scores, status);
    for (index_t g : order_)
      if (index_t(set_of(g)) == set && count-- > 0) status[std::size_t(g)] = std::uint8_t(group_status::removed);
  }
  index_t sets() const { return index_t(ranges_.size()); }
  index_t size_of_set(index_t s) const {
    return (s + 1 < sets() ? ranges_[std::size_t(s + 1)].first_group : groups_) - ranges_[std::size_t(s)].first_group;
  }
  /// The fewest groups that a set can lose at once, of all sets that may lose some.
  index_t fewest() const {
    index_t n = (std::numeric_limits<index_t>::max)();
    for (index_t s = 0; s < sets(); ++s) {
      const index_t over = size_of_set(s) % divisible_;
      if (prunable(s)) n = (std::min)(n, over > 0 ? over : divisible_);
    }
    return n;
  }
  bool prunable(index_t s) const { return size_of_set(s) > divisible_; }
  /// Does a tensor have groups that count, of a set that may lose some?
  bool prunable_tensor(index_t tensor) const {
    for (index_t s = 0; s < sets(); ++s)
      for (std::int32_t m = 0; prunable(s) && m < ranges_[std::size_t(s)].members; ++m) {
        group_member_there const& g = members_[std::size_t(ranges_[std::size_t(s)].first_member + m)];
        if (index_t(g.tensor) == tensor && g.part == std::int32_t(group_part::scored)) return true;
      }
    return false;
  }

  /// Of each set, the groups that are kept.
  std::vector<std::vector<index_t>> kept(std::vector<bool> const& keep) const {
    std::vector<std::vector<index_t>> out(ranges_.size());
    for (index_t g = 0; g < groups_; ++g)
      if (keep[std::size_t(g)]) out[set_of(g)].push_back(g - ranges_[set_of(g)].first_group);
    return out;
  }
  /// The layout of what is kept; take(i) for each of its coordinates, with the coordinate i in the whole model.
  template <class Take>
  layout cut(layout const& l, std::vector<std::vector<index_t>> const& kept, Take const& take) const {
    std::vector<tensor_spec> specs;
    for (tensor const& t : l.tensors()) {
      tensor_spec s{t.name, t.shape, t.group == 0 ? "" : l.groups()[std::size_t(t.group)].name};
      std::vector<bool> stays(std::size_t(t.size), true);
      for (std::size_t set = 0; set < ranges_.size(); ++set)
        for (std::int32_t k = 0; k < ranges_[set].members; ++k) {
          const auto at = std::size_t(ranges_[set].first_member + k);
          group_member_there const& m = members_[at];
          if (m.tensor != std::int32_t(&t - l.tensors().data())) continue;
          index_t& extent = s.shape[std::size_t(axes_[at])];
          extent = extent / m.groups * index_t(kept[set].size());
          std::vector<bool> one(std::size_t(m.groups), false);
          for (index_t g : kept[set]) one[std::size_t(g)] = true;
          for (index_t i = 0; i < t.size; ++i)
            if (!one[std::size_t(i / m.inner % m.groups)]) stays[std::size_t(i)] = false;
        }
      for (index_t i = 0; i < t.size; ++i)
        if (stays[std::size_t(i)]) take(t.offset + i);
      specs.push_back(std::move(s));
    }
    return {specs, {l.groups().begin() + 1, l.groups().end()}};
  }

 private:
  /// order_: the groups that are kept now, the lowest score first; keeps_: how many each set has.
  void rank(std::vector<double> const& scores, std::vector<std::uint8_t> const& status) {
    order_.clear();
    std::fill(keeps_.begin(), keeps_.end(), 0);
    for (index_t g = 0; g < groups_; ++g)
      if (status[std::size_t(g)] == std::uint8_t(group_status::kept)) order_.push_back(g), ++keeps_[set_of(g)];
    const auto score = [&](index_t g) {  // NaN last: what std::sort is given has to be an order
      const double s = scores[std::size_t(g)];
      return s == s ? s : std::numeric_limits<double>::infinity();
    };
    std::sort(order_.begin(), order_.end(), [&](index_t a, index_t b) {
      const double s = score(a), t = score(b);
      return s < t || (s == t && a < b);
    });
  }
  std::size_t set_of(index_t g) const { return std::size_t(set_of_group_[std::size_t(g)]); }
  static tensor const& find(layout const& l, std::string const& name) {
    for (tensor const& t : l.tensors())
      if (t.name == name) return t;
    refuse("a tensor of a set of groups", "one of the layout", text("'", name, "'"));
  }
  /// A coordinate is in one set at most.
  static void claim(tensor const& t, std::vector<bool>& grouped) {
    for (index_t i = t.offset; i < t.offset + t.size; ++i) {
      require(!grouped[std::size_t(i)], text("the groups of '", t.name, "'"), "one set", "a second one");
      grouped[std::size_t(i)] = true;
    }
  }

  index_t divisible_, groups_ = 0, prunable_ = 0;
  std::uint64_t hash_ = 0;
  std::vector<group_member_there> members_;
  std::vector<int> axes_;
  std::vector<group_range> ranges_;
  std::vector<std::int32_t> set_of_group_;
  std::vector<index_t> sizes_, order_, keeps_;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
