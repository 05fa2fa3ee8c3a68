// SPDX-License-Identifier: Apache-2.0
/// @file Policies as constructor arguments: storage, support, types and rounding may be given in any order, and
/// deduction finds them.
#pragma once
#include "rounding.hpp"
#include "storage.hpp"
#include "support.hpp"

namespace frugal {
inline namespace v0 {
namespace detail {

template <class T>
struct is_storage : std::bool_constant<storage<T>> {};
template <class T>
struct is_support : std::bool_constant<support<T>> {};
template <class T>
struct is_rounding : std::bool_constant<rounding<T>> {};
template <class T>
struct is_types : std::false_type {};
template <class P, class G>
struct is_types<types<P, G>> : std::true_type {};

template <template <class> class Is, class Default, class... P>
struct first_of {
  using type = Default;
};
template <template <class> class Is, class Default, class First, class... Rest>
struct first_of<Is, Default, First, Rest...> {
  using type =
      typename std::conditional_t<Is<First>::value, std::type_identity<First>, first_of<Is, Default, Rest...>>::type;
};
template <class T>
T policy_or_default() {
  return {};
}
template <class T, class First, class... Rest>
T policy_or_default(First const& first, Rest const&... rest) {
  if constexpr (std::is_same_v<T, First>) return first;
  else return policy_or_default<T>(rest...);
}

}  // namespace detail

/// The storage, the support, the types and the rounding among some policies, or the defaults: for deduction guides.
template <class... P>
using storage_of = typename detail::first_of<detail::is_storage, full, P...>::type;
template <class... P>
using support_of = typename detail::first_of<detail::is_support, all, P...>::type;
template <class... P>
using types_of = typename detail::first_of<detail::is_types, types<>, P...>::type;
template <class... P>
using rounding_of = typename detail::first_of<detail::is_rounding, nearest, P...>::type;

namespace detail {

/// The element types among a class's template arguments.
template <class Optimizer>
struct types_within {
  using type = types<>;
};
template <template <class...> class O, class... A>
struct types_within<O<A...>> {
  using type = types_of<A...>;
};

}  // namespace detail
}  // namespace v0
}  // namespace frugal
