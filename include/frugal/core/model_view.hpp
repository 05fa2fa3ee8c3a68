// SPDX-License-Identifier: Apache-2.0
/// @file A model's numbers where the caller has them: one vector in the layout's order, or a tensor each.
#pragma once
#include <optional>

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
  model_view(tensor_list<T, Space> list) : list_(list) {}
  template <class R>
  requires(std::convertible_to<R, view<T, Space>>) model_view(R&& r) : model_view(view<T, Space>(r)) {}
  template <class R>
  requires(!std::convertible_to<R, view<T, Space>> && std::convertible_to<R, tensor_list<T, Space>>) model_view(R&& r)
      : model_view(tensor_list<T, Space>(r)) {}
  template <detail::constant_of<T> R>
  model_view(R&&) = delete;  // frugal: this is written to, and what was given is const

  /// f(i, where tensor i begins). Throws before the first call when sizes are not the layout's, or a pointer is
  /// missing.
  template <class F>
  void for_each(layout const& l, char const* what, F const& f) const {
    std::vector<tensor> const& tensors = l.tensors();
    if (list_) {
      if (list_->size() != index_t(tensors.size())) [[unlikely]]
        refuse(detail::text("the count of tensors of ", what), detail::text(tensors.size()),
               detail::text(list_->size()));
      for (std::size_t i = 0; i < tensors.size(); ++i)
        check((*list_)[index_t(i)], tensors[i].size, tensors[i].name.c_str());
    } else {
      check(flat_, l.size(), what);
    }
    for (std::size_t i = 0; i < tensors.size(); ++i)
      f(i, list_ ? (*list_)[index_t(i)].data() : flat_.data() + tensors[i].offset);
  }

 private:
  static void check(view<T, Space> v, index_t n, char const* what) {
    if (v.size() != n) [[unlikely]]
      refuse(what, detail::text(n, " elements"), detail::text(v.size()));
    require(v.data() || n == 0, what, "a pointer", "null");
  }
  view<T, Space> flat_;
  std::optional<tensor_list<T, Space>> list_;
};

}  // namespace v0
}  // namespace frugal
