// SPDX-License-Identifier: Apache-2.0
// Dense algebra that the tests of SOAP, Shampoo, MKOR and K-FAC have in common: compiled once, in dense_suite.cpp.
#pragma once
#include <frugal/linalg/linalg.hpp>

#include "backends.hpp"

#define FRUGAL_DENSE_TEAMS(EXTERN, KERNEL)                                                    \
  EXTERN template void frugal::detail::cpu_teams<frugal::native_isa, frugal::detail::KERNEL>( \
      frugal::index_t, frugal::index_t, frugal::detail::KERNEL);
#define FRUGAL_DENSE_CLASSES(EXTERN, T, BACKEND)                            \
  EXTERN template class frugal::detail::jacobi_eigen<T, frugal::BACKEND>;   \
  EXTERN template class frugal::detail::householder_qr<T, frugal::BACKEND>; \
  EXTERN template class frugal::detail::panel_cholesky<T, frugal::BACKEND>;
#define FRUGAL_DENSE_TYPE(EXTERN, T)              \
  FRUGAL_DENSE_CLASSES(EXTERN, T, serial_backend) \
  FRUGAL_DENSE_TEAMS(EXTERN, product_tiles<T>)    \
  FRUGAL_DENSE_TEAMS(EXTERN, row_dots<T>)         \
  FRUGAL_DENSE_TEAMS(EXTERN, column_dots<T>)      \
  FRUGAL_DENSE_TEAMS(EXTERN, rank_one<T>)         \
  FRUGAL_DENSE_TEAMS(EXTERN, sort_order<T>)       \
  FRUGAL_DENSE_TEAMS(EXTERN, take_places<T>)      \
  FRUGAL_DENSE_TEAMS(EXTERN, jacobi_peaks<T>)     \
  FRUGAL_DENSE_TEAMS(EXTERN, jacobi_fill<T>)      \
  FRUGAL_DENSE_TEAMS(EXTERN, jacobi_angles<T>)    \
  FRUGAL_DENSE_TEAMS(EXTERN, jacobi_round<T>)     \
  FRUGAL_DENSE_TEAMS(EXTERN, jacobi_values<T>)    \
  FRUGAL_DENSE_TEAMS(EXTERN, jacobi_finish<T>)    \
  FRUGAL_DENSE_TEAMS(EXTERN, qr_prepare<T>)       \
  FRUGAL_DENSE_TEAMS(EXTERN, qr_panel_step<T>)    \
  FRUGAL_DENSE_TEAMS(EXTERN, qr_triangle<T>)      \
  FRUGAL_DENSE_TEAMS(EXTERN, qr_finish<T>)        \
  FRUGAL_DENSE_TEAMS(EXTERN, copy_lower<T>)       \
  FRUGAL_DENSE_TEAMS(EXTERN, cholesky_block<T>)   \
  FRUGAL_DENSE_TEAMS(EXTERN, cholesky_below<T>)   \
  FRUGAL_DENSE_TEAMS(EXTERN, solve_block<T>)      \
  FRUGAL_DENSE_TEAMS(EXTERN, root_scale<T>)       \
  FRUGAL_DENSE_TEAMS(EXTERN, root_keep<T>)
#define FRUGAL_DENSE_SUITE(EXTERN)                 \
  FRUGAL_DENSE_TYPE(EXTERN, float)                 \
  FRUGAL_DENSE_TYPE(EXTERN, double)                \
  FRUGAL_DENSE_CLASSES(EXTERN, float, tbb_backend) \
  FRUGAL_DENSE_CLASSES(EXTERN, float, emulated_backend)

FRUGAL_DENSE_SUITE(extern)
