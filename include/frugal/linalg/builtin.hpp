// SPDX-License-Identifier: Apache-2.0
/// @file The provider that needs nothing: dense algebra on the teams of any backend, with the same bits on each.
#pragma once
#include "../core/policy.hpp"
#include "cholesky.hpp"
#include "householder.hpp"
#include "jacobi.hpp"

namespace frugal {
inline namespace v0 {

/// A provider carries out what linalg (linalg/linalg.hpp) has checked; results are not empty. Its factorizations
/// allocate when they are made.
struct builtin_linalg {
  static constexpr char const* name = "builtin";

  template <class Backend, class T>
  void multiply(Backend const& b, detail::product_job<T> const& job) const {
    b.for_teams(detail::product_tiles<T>{job});
  }
  template <class Backend, class T>
  void multiply_vector(Backend const& b, detail::vector_job<T> const& job, bool flipped) const {
    if (flipped) b.for_teams(detail::column_dots<T>{job});
    else b.for_teams(detail::row_dots<T>{job});
  }
  template <class T, class Backend>
  auto make_qr(Backend const& b, index_t rows, index_t cols) const {
    return detail::householder_qr<T, Backend>(b, rows, cols);
  }
  template <class T, class Backend>
  auto make_eigen(Backend const& b, index_t n) const {
    return detail::jacobi_eigen<T, Backend>(b, n);
  }
  template <class T, class Backend>
  auto make_cholesky(Backend const& b, index_t n) const {
    return detail::panel_cholesky<T, Backend>(b, n);
  }
};

namespace detail {
/// A provider among policies; no other policy says its name.
template <class P>
concept linalg_provider = requires {
  P::name;
};
template <class P>
struct is_linalg_provider : std::bool_constant<linalg_provider<P>> {};
}  // namespace detail

/// The provider of dense algebra among some policies, or the builtin one: for deduction guides.
template <class... P>
using provider_of = typename detail::first_of<detail::is_linalg_provider, builtin_linalg, P...>::type;

}  // namespace v0
}  // namespace frugal
