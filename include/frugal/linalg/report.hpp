// SPDX-License-Identifier: Apache-2.0
/// @file How a factorization ended. It is known where the backend's memory is; asking waits.
#pragma once
#include "../core/buffer.hpp"

namespace frugal {
inline namespace v0 {

enum class outcome : std::int32_t {
  ok,
  not_finite,    ///< a NaN or an infinity in the matrix
  not_positive,  ///< Cholesky met a pivot that is not positive
  not_converged  ///< an iteration did not end
};

/// Results are usable if `what` is ok; otherwise they are unspecified, unless a call says more.
struct linalg_report {
  outcome what = outcome::ok;
  std::int32_t iterations = 0;  ///< sweeps, where there are any
  std::int64_t at = -1;         ///< row or column of the first fault, -1 if there is none or a provider does not say
  FRUGAL_FN bool ok() const { return what == outcome::ok; }
};

namespace detail {
/// A report in the backend's memory.
template <class Backend>
class report_cell {
 public:
  explicit report_cell(Backend const& b) : cell_(b, std::vector<linalg_report>{{}}) {}
  linalg_report* data() const { return cell_.data(); }

 private:
  buffer<linalg_report, Backend> cell_;
};

template <class T>
struct floating;
template <>
struct floating<float> {
  using bits = std::uint32_t;
  static constexpr int mantissa = 23, bias = 127, most = 126;
  static constexpr float unit = 0x1p-24f, negligible = 0x1p-80f;
};
template <>
struct floating<double> {
  using bits = std::uint64_t;
  static constexpr int mantissa = 52, bias = 1023, most = 1022;
  static constexpr double unit = 0x1p-53, negligible = 0x1p-800;
};
/// As integers, magnitudes compare alike; infinities and NaNs come out on top.
template <class T>
FRUGAL_FN auto magnitude_bits(T x) {
  using U = typename floating<T>::bits;
  return U(bit_cast<U>(x) & ~(U(1) << (8 * sizeof(T) - 1)));
}
template <class T>
FRUGAL_FN bool is_finite_bits(typename floating<T>::bits magnitude) {
  return (magnitude >> floating<T>::mantissa) < typename floating<T>::bits(2 * floating<T>::bias + 1);
}
/// The power of two by which a magnitude comes to [1, 2), or nearest to it; 1 for zero and what is not finite.
template <class T>
FRUGAL_FN T scale_to_one(typename floating<T>::bits magnitude, bool inverse) {
  using F = floating<T>;
  if (magnitude == 0 || !is_finite_bits<T>(magnitude)) return T(1);
  int e = int(magnitude >> F::mantissa) - F::bias;
  e = e < -F::most ? -F::most : e > F::most ? F::most : e;
  return bit_cast<T>(typename F::bits(F::bias + (inverse ? e : -e)) << F::mantissa);
}
}  // namespace detail

}  // namespace v0
}  // namespace frugal
