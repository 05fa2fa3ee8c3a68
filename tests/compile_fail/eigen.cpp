// SPDX-License-Identifier: Apache-2.0
// Eigen: expressions, temporaries and strides, where the compiler knows.
#include "prelude.hpp"

#include <Eigen/Core>
using namespace frugal;
inline Eigen::VectorXf y, a, b;
inline Eigen::Matrix3f m;

// expect EXPRESSION: an expression has no memory: give its value a name
void expression(lion<serial_backend>& opt) {
#if defined(EXPRESSION)
  opt.step(y, a + b);
#else
  const Eigen::VectorXf sum = a + b;
  opt.step(y, sum);
#endif
}
// expect TEMPORARY: a temporary is gone when the statement ends: give it a name
void temporary() {
#if defined(TEMPORARY)
  std::vector<view<float const>> gradients{(a + b).eval()};
#else
  const auto sum = (a + b).eval();
  std::vector<view<float const>> gradients{sum};
#endif
}
// expect STRIDE: elements that lie apart: copy them
void stride(lion<serial_backend>& opt) {
#if defined(STRIDE)
  opt.step(m.row(0), y);
#else
  opt.step(m.col(0), y);
#endif
}
