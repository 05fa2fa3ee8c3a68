// SPDX-License-Identifier: Apache-2.0
/// @file A model as a list of tensors in one flat index space.
#pragma once
#include <algorithm>
#include <initializer_list>
#include <memory>
#include <vector>

#include "error.hpp"
#include "hash.hpp"

namespace frugal {
inline namespace v0 {

/// What a group of tensors does differently: factors on the configured rate and decay; a frozen group is not moved and
/// has no state; one with full states has them also where an optimizer's are 8-bit, as embeddings need them.
struct group {
  std::string name;
  double lr = 1;            ///< factor on the learning rate, >= 0
  double weight_decay = 1;  ///< factor on the weight decay, >= 0
  bool frozen = false;
  bool full_states = false;
};

/// How a caller names a tensor.
struct tensor_spec {
  std::string name;
  std::vector<index_t> shape;
  std::string group = {};  ///< empty: the default group, all factors 1
};

/// A tensor in its place.
struct tensor {
  std::string name;
  std::vector<index_t> shape;
  index_t size;
  index_t offset;         ///< in the flat vector: the tensors follow each other without gaps
  std::uint64_t address;  ///< of its first coordinate in random streams: each tensor starts at a multiple of 128
  std::int32_t group;
};

/// Immutable and cheap to copy. A plain count is the layout of one tensor of that many elements.
class layout {
 public:
  template <std::integral Int>
  layout(Int n) : layout({tensor_spec{"flat", {index_t(n)}}}) {}
  layout(std::initializer_list<tensor_spec> tensors, std::vector<group> groups = {})
      : layout(std::vector<tensor_spec>(tensors), std::move(groups)) {}
  layout(std::vector<tensor_spec> const& tensors, std::vector<group> groups = {}) {
    auto d = std::make_shared<data>();
    d->groups.push_back({"default"});
    for (group& g : groups) {
      require(find_group(*d, g.name) < 0, detail::text("group '", g.name, "'"), "a name of its own", "a second one");
      require_range("a group's lr factor", g.lr, 0, 1e300, true);
      require_range("a group's weight_decay factor", g.weight_decay, 0, 1e300, true);
      d->groups.push_back(std::move(g));
    }
    fnv1a hash;
    std::uint64_t address = 0;
    for (tensor_spec const& s : tensors) {
      index_t size = 1;
      hash.add(s.name).add(std::uint64_t(s.shape.size()));
      for (index_t extent : s.shape) {
        require(extent >= 0, detail::text("an extent of tensor '", s.name, "'"), ">= 0", extent);
        require(extent == 0 || size <= max_size / extent, detail::text("the size of tensor '", s.name, "'"),
                "at most 2^60", "more");
        size *= extent;
        hash.add(std::uint64_t(extent));
      }
      require(d->size <= max_size - size, "the size of the model", "at most 2^60", "more");
      const int g = s.group.empty() ? 0 : find_group(*d, s.group);
      require(g >= 0, detail::text("the group of tensor '", s.name, "'"), "one of the layout's groups",
              detail::text("'", s.group, "'"));
      d->tensors.push_back({s.name, s.shape, size, d->size, address, std::int32_t(g)});
      d->size += size;
      address += (std::uint64_t(size) + 127) / 128 * 128;
    }
    std::vector<std::string> names;
    for (tensor const& t : d->tensors) names.push_back(t.name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) refuse(detail::text("tensor '", *twice, "'"), "a name of its own", "a second one");
    d->hash = hash.value();
    data_ = std::move(d);
  }

  /// The same tensors, but what is not in these groups is frozen: what one of several optimizers of a model sees.
  /// Tensors without a group are in the group "default".
  layout only(std::vector<std::string> const& names) const {
    auto d = std::make_shared<data>(*data_);
    for (group& g : d->groups) g.frozen = true;
    for (std::string const& name : names) {
      const int g = find_group(*d, name);
      require(g >= 0, "a group", "one of the layout's groups", detail::text("'", name, "'"));
      d->groups[std::size_t(g)].frozen = data_->groups[std::size_t(g)].frozen;
    }
    layout l(*this);
    l.data_ = std::move(d);
    return l;
  }

  /// The same by tensors: those without a mark are in one more group, "elsewhere", which is frozen. (A group of that
  /// name must be.)
  layout only_tensors(std::vector<bool> const& marks) const {
    require(marks.size() == tensors().size(), "the count of marks", tensors().size(), marks.size());
    auto d = std::make_shared<data>(*data_);
    const int known = find_group(*d, "elsewhere");
    if (known < 0) d->groups.push_back({.name = "elsewhere", .frozen = true});
    const auto elsewhere = known < 0 ? d->groups.size() - 1 : std::size_t(known);
    require(d->groups[elsewhere].frozen, "group 'elsewhere'", "frozen: it takes what has no mark", "one that moves");
    for (std::size_t i = 0; i < marks.size(); ++i)
      if (!marks[i]) d->tensors[i].group = std::int32_t(elsewhere);
    layout l(*this);
    l.data_ = std::move(d);
    return l;
  }

  /// Coordinates [begin, end) as a model of their own: of tensors what lies there, with their names, groups and places
  /// in random streams; a tensor that is cut has one dimension.
  layout part(index_t begin, index_t end) const {
    require(0 <= begin && begin <= end && end <= size(), "a part of a layout",
            detail::text("0 <= begin <= end <= ", size()), detail::text("[", begin, ", ", end, ")"));
    auto d = std::make_shared<data>();
    d->groups = data_->groups;
    for (tensor const& t : tensors()) {
      const index_t from = (std::max)(t.offset, begin), to = (std::min)(t.offset + t.size, end);
      if (from >= to) continue;
      d->tensors.push_back(t);
      tensor& cut = d->tensors.back();
      if (to - from < t.size) cut.shape = {to - from};
      cut.size = to - from;
      cut.offset = d->size;
      cut.address += std::uint64_t(from - t.offset);
      d->size += to - from;
    }
    d->hash = fnv1a().add(hash()).add(std::uint64_t(begin)).add(std::uint64_t(end)).value();
    layout l(*this);
    l.data_ = std::move(d);
    return l;
  }

  index_t size() const { return data_->size; }
  std::vector<tensor> const& tensors() const { return data_->tensors; }
  std::vector<group> const& groups() const { return data_->groups; }
  /// Of names and shapes in their order: equal on two ranks or two runs if and only if (but for chance) they agree.
  std::uint64_t hash() const { return data_->hash; }

 private:
  static constexpr index_t max_size = index_t(1) << 60;
  struct data {
    std::vector<tensor> tensors;
    std::vector<group> groups;
    index_t size = 0;
    std::uint64_t hash = 0;
  };
  static int find_group(data const& d, std::string const& name) {
    for (std::size_t i = 0; i < d.groups.size(); ++i)
      if (d.groups[i].name == name) return int(i);
    return -1;
  }
  std::shared_ptr<data const> data_;
};

}  // namespace v0
}  // namespace frugal
