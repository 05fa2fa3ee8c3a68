// SPDX-License-Identifier: Apache-2.0
/// @file What the stable embedding layer of Dettmers, Lewis, Shleifer, Zettlemoyer, "8-bit Optimizers via Block-wise
/// Quantization", ICLR 2022, section 2.3, has beside states in full (a group's full_states): weights that begin uniform
/// (Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010), and
/// a layer norm of the rows that were looked up (Ba, Kiros, Hinton, "Layer Normalization", 2016). For each row of n:
///
///     i = 1 / sqrt(mean((x - mean(x))^2) + epsilon),  v = (x - mean(x)) i,  y = v scale + shift
///     h = dy scale,  dx = i (h - mean(h) - v mean(h v)),  dscale = sum over rows of dy v,  dshift = that of dy
#pragma once
#include <cmath>

#include "../core/concepts.hpp"
#include "../core/layer_norm.hpp"
#include "../core/overlap.hpp"
#include "../core/uniform.hpp"
#include "../core/view.hpp"

namespace frugal {
inline namespace v0 {

namespace detail {
inline void require_elements(char const* what, index_t rows, index_t columns) {
  require(rows <= (index_t(1) << 60) / columns, what, "at most 2^60 elements", "more");
}
}  // namespace detail

/// sqrt(6 / (rows + columns)): uniform weights below it have a variance of 2 / (rows + columns).
inline double xavier_bound(index_t rows, index_t columns) {
  require(rows >= 1, "the rows of a matrix", ">= 1", rows);
  require(columns >= 1, "the columns of a matrix", ">= 1", columns);
  return std::sqrt(6 / (double(rows) + double(columns)));
}
/// w, rows of a matrix one after the other, uniform in (-b, b) of its bound b; the same for the same seed.
template <loop_backend Backend, class P>
void xavier_uniform(Backend const& b, view<P, typename Backend::space> w, index_t rows, index_t columns,
                    std::uint64_t seed) {
  using T = typename types<P>::compute;
  const T bound = T(xavier_bound(rows, columns));
  detail::require_elements("a matrix", rows, columns);
  require(w.size() == rows * columns, "the weights", rows * columns, w.size());
  require(w.data() != nullptr, "the weights", "a pointer", "null");
  const random_stream stream{random_stream{seed}.derive(0x656d626564)};  // "embed"
  b.for_each(one_segment(w.size()), detail::uniform_numbers<T, P>{stream, bound, w.data()});
}

/// Rows are those of a matrix, one after the other, any number up to that of the construction. It has no state: `scale`
/// and `shift`, float or double, are parameters of the model, usually 1 and 0 at the start. Allocates nothing later.
template <team_backend Backend, class Types = types<>>
class layer_norm {
  using T = typename Types::compute;
  using P = typename Types::param;
  using G = typename Types::grad;

 public:
  using space = typename Backend::space;

  layer_norm(Backend b, index_t rows, index_t columns, double epsilon = 1e-5, Types = {})
      : backend_(std::move(b)), rows_(rows), columns_(columns), epsilon_(epsilon), overlap_(6) {
    require(rows >= 0, "the rows of a layer norm", ">= 0", rows);
    require(columns >= 1, "the columns of a layer norm", ">= 1", columns);
    detail::require_elements("the matrix of a layer norm", rows, columns);
    require_range("epsilon", epsilon, 0, 1e30, true);
    for (auto* p : {&of_scale_, &of_shift_}) *p = buffer<T, Backend>(backend_, (rows + panel - 1) / panel * columns);
  }
  /// y of x. On a GPU nothing waits.
  void forward(view<P const, space> x, view<T const, space> scale, view<T const, space> shift, view<P, space> y) {
    const index_t rows = begin(x, scale);
    check("shift", shift, columns_), check("y", y, x.size());
    overlap_.refuse_overlap("the arguments of a layer norm");
    backend_.for_teams(
        detail::norm::forward<T, P>{{x.data(), scale.data(), rows, columns_, epsilon_}, shift.data(), y.data()});
  }
  /// From the x of forward and the gradient by y: the gradients by x, scale and shift, which are overwritten.
  void backward(view<P const, space> x, view<T const, space> scale, view<G const, space> dy, view<G, space> dx,
                view<T, space> dscale, view<T, space> dshift) {
    const index_t rows = begin(x, scale);
    check("dy", dy, x.size()), check("dx", dx, x.size());
    check("dscale", dscale, columns_), check("dshift", dshift, columns_);
    overlap_.refuse_overlap("the arguments of a layer norm");
    const detail::norm::backward<T, P, G> f{
        {x.data(), scale.data(), rows, columns_, epsilon_}, dy.data(), dx.data(), of_scale_.data(), of_shift_.data()};
    backend_.for_teams(f);
    backend_.for_each(one_segment(columns_), detail::norm::add_parts<T>{of_scale_.data(), of_shift_.data(), f.teams(),
                                                                        columns_, dscale.data(), dshift.data()});
  }
  Backend const& backend() const { return backend_; }

 private:
  static constexpr index_t panel = detail::norm::backward<T, P, G>::panel;
  template <class U>
  void check(char const* what, view<U, space> v, index_t n) {
    require(v.size() == n, what, n, v.size());
    require(v.data() || n == 0, what, "a pointer", "null");
    overlap_.add(v.data(), n, !std::is_const_v<U>);
  }
  index_t begin(view<P const, space> x, view<T const, space> scale) {
    overlap_.clear();
    if (x.size() % columns_ != 0 || x.size() / columns_ > rows_) [[unlikely]]
      refuse("x", detail::text("up to ", rows_, " rows of ", columns_), detail::text(x.size()));
    check("x", x, x.size()), check("scale", scale, columns_);
    return x.size() / columns_;
  }

  Backend backend_;
  index_t rows_, columns_;
  double epsilon_;
  detail::overlap_check overlap_;
  buffer<T, Backend> of_scale_, of_shift_;
};

}  // namespace v0
}  // namespace frugal
