// SPDX-License-Identifier: Apache-2.0
/// @file A model's numbers where the caller has them: one vector in the layout's order, or a tensor each.
#pragma once
#include <span>

#include "layout.hpp"
#include "view.hpp"

namespace frugal {
inline namespace v0 {

/// Does not own. Converts from whatever converts to a view or to a tensor_list.
template <class T, class Space = host_space>
class model_view {
 public:
  using element = T;
  model_view(view<T, Space> flat) : flat_(flat) {}
  model_view(tensor_list<T, Space> list) : list_(list), listed_(true) {}
  template <class R>
  requires(std::convertible_to<R, view<T, Space>>) model_view(R&& r) : model_view(view<T, Space>(r)) {}
  template <class R>
  requires(!std::convertible_to<R, view<T, Space>> && std::convertible_to<R, tensor_list<T, Space>>) model_view(R&& r)
      : model_view(tensor_list<T, Space>(r)) {}
  template <detail::constant_of<T> R>
  model_view(R&&) = delete;  // frugal: this is written to, and what was given is const
  template <detail::temporary_of<T> R>
  model_view(R&&) = delete;  // frugal: a temporary is gone when the statement ends: give it a name
  template <detail::without_memory R>
  model_view(R&&) = delete;  // frugal: an expression has no memory: give its value a name, Eigen::VectorXf y = ...

  /// f(i, where tensor i begins). Throws before the first call when sizes are not the layout's, or a pointer is
  /// missing.
  template <class F>
  void for_each(layout const& l, char const* what, F const& f) const {
    std::vector<tensor> const& tensors = l.tensors();
    if (listed_) {
      if (list_.size() != index_t(tensors.size())) [[unlikely]]
        refuse(detail::text("the count of tensors of ", what), detail::text(tensors.size()),
               detail::text(list_.size()));
      for (std::size_t i = 0; i < tensors.size(); ++i)
        check(list_[index_t(i)], tensors[i].size, tensors[i].name.c_str());
    } else {
      check(flat_, l.size(), what);
    }
    for (std::size_t i = 0; i < tensors.size() && (listed_ || tensors.size() == 1); ++i) check_shape(at(i), tensors[i]);
    for (std::size_t i = 0; i < tensors.size(); ++i)
      f(i, listed_ ? list_[index_t(i)].data() : flat_.data() + tensors[i].offset);
  }
  /// Throws where a matrix of g does not lie as that of this does.
  template <class G>
  void require_alike(layout const& l, model_view<G, Space> const& g) const {
    if (!listed_ && !g.listed_) return detail::require_alike(flat_, g.flat_, "parameters");
    const index_t n = listed_ && g.listed_ ? (std::min)(list_.size(), g.list_.size()) : 0;
    for (std::size_t i = 0; i < (std::min)(std::size_t(n), l.tensors().size()); ++i)
      detail::require_alike(at(i), g.at(i), l.tensors()[i].name.c_str());
  }

 private:
  template <class, class>
  friend class model_view;
  view<T, Space> at(std::size_t i) const { return listed_ ? list_[index_t(i)] : flat_; }
  // What lies together in a matrix are the last extents of a tensor.
  static void check_shape(view<T, Space> v, tensor const& t) {
    const index_t lead = v.lead() < 0 ? -v.lead() : v.lead();
    if (lead == 0 || t.shape.size() < 2) return;
    index_t inner = 1;
    for (std::size_t k = t.shape.size(); k > 0 && inner < lead; --k) inner *= t.shape[k - 1];
    if (inner != lead) [[unlikely]]
      refuse(detail::text("tensor '", t.name, "'"),
             detail::text("last extents that make ", lead, ": a matrix has ", detail::lies(v.lead())),
             detail::text(t.shape.back()));
  }
  static void check(view<T, Space> v, index_t n, char const* what) {
    if (v.size() != n) [[unlikely]]
      refuse(what, detail::text(n, " elements"), detail::text(v.size()));
    require(v.data() || n == 0, what, "a pointer", "null");
  }
  view<T, Space> flat_;
  tensor_list<T, Space> list_{
      std::span<view<T, Space> const>()};  // no optional: g++ 12 warns of one where all is inlined
  bool listed_ = false;
};

}  // namespace v0
}  // namespace frugal
