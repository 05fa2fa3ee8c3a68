// SPDX-License-Identifier: Apache-2.0
/// @file Matrices as views: row-major, with a leading dimension; and tensors as they are multiplied along one axis.
#pragma once
#include <array>
#include <span>

#include "../core/view.hpp"

namespace frugal {
inline namespace v0 {

/// `rows` x `cols` elements in rows of which each begins `ld` elements after the one before. Owns nothing. Throws
/// invalid_argument for negative sizes, a null pointer with elements, or rows that overlap.
template <class T, class Space = host_space>
class mat_view {
 public:
  using element = T;
  using space = Space;

  mat_view() = default;
  /// Rows without gaps.
  mat_view(T* p, index_t rows, index_t cols) : mat_view(p, rows, cols, cols) {}
  mat_view(T* p, index_t rows, index_t cols, index_t ld) : p_(p), rows_(rows), cols_(cols), ld_(ld) {
    require(rows >= 0, "the rows of a matrix", ">= 0", rows);
    require(cols >= 0, "the columns of a matrix", ">= 0", cols);
    require(ld >= cols, "the leading dimension of a matrix", "at least its columns", ld);
    require(p != nullptr || rows == 0 || cols == 0, "a matrix", "a pointer", "null");
  }
  /// All elements of a vector.
  mat_view(view<T, Space> v, index_t rows, index_t cols) : mat_view(v.data(), rows, cols) {
    require(v.size() == rows * cols, "the size of a vector as a matrix", rows * cols, v.size());
  }
  template <class U>
  requires(std::is_same_v<U const, T> && !std::is_same_v<U, T>) mat_view(mat_view<U, Space> m)
      : p_(m.data()), rows_(m.rows()), cols_(m.cols()), ld_(m.ld()) {}

  T* data() const { return p_; }
  index_t rows() const { return rows_; }
  index_t cols() const { return cols_; }
  index_t ld() const { return ld_; }
  bool empty() const { return rows_ == 0 || cols_ == 0; }
  /// Elements from the first to the last, gaps included.
  index_t extent() const { return empty() ? 0 : (rows_ - 1) * ld_ + cols_; }
  /// `rows` x `cols` of it, from row i and column j on.
  mat_view block(index_t i, index_t j, index_t rows, index_t cols) const {
    require(i >= 0 && rows >= 0 && i + rows <= rows_, "the rows of a block", detail::text("within ", rows_),
            detail::text(i, " to ", i + rows));
    require(j >= 0 && cols >= 0 && j + cols <= cols_, "the columns of a block", detail::text("within ", cols_),
            detail::text(j, " to ", j + cols));
    return {p_ ? p_ + i * ld_ + j : p_, rows, cols, ld_};
  }
  T& operator()(index_t i, index_t j) const requires detail::is_host<Space> { return p_[i * ld_ + j]; }

 private:
  T* p_ = nullptr;
  index_t rows_ = 0, cols_ = 0, ld_ = 0;
};

/// What products read: a matrix or its transpose, as `gemm(1, transposed(q), g, 0, out)`.
template <class T, class Space = host_space>
struct operand {
  mat_view<T const, Space> of;
  bool flipped = false;
  operand(mat_view<T const, Space> m) : of(m) {}
  operand(mat_view<T, Space> m) : of(m) {}
  operand(mat_view<T const, Space> m, bool flip) : of(m), flipped(flip) {}
  index_t rows() const { return flipped ? of.cols() : of.rows(); }
  index_t cols() const { return flipped ? of.rows() : of.cols(); }
};
template <class T, class Space>
operand<std::remove_const_t<T>, Space> transposed(mat_view<T, Space> m) {
  return {mat_view<std::remove_const_t<T> const, Space>(m), true};
}
template <class T, class Space>
operand<T, Space> transposed(operand<T, Space> m) {
  return {m.of, !m.flipped};
}

/// A tensor without gaps, the last axis contiguous, as its axis k sees it: `outer` times `size` times `inner` elements.
/// Its mode-k unfolding, `size` x `outer inner`, is never written down. For the last axis inner is 1.
template <class T, class Space = host_space>
class axis_view {
 public:
  using element = T;
  axis_view(view<T, Space> t, std::span<index_t const> shape, index_t axis) : p_(t.data()) {
    require(axis >= 0 && axis < index_t(shape.size()), "an axis", detail::text("0 to ", index_t(shape.size()) - 1),
            axis);
    for (index_t a = 0; a < index_t(shape.size()); ++a) {
      const index_t d = shape[std::size_t(a)];
      require(d >= 0, "a tensor's shape", ">= 0", d);
      (a < axis ? outer_ : a == axis ? size_ : inner_) *= d;
    }
    require(t.size() == outer_ * size_ * inner_, "the size of a tensor", outer_ * size_ * inner_, t.size());
  }
  template <std::size_t N>
  axis_view(view<T, Space> t, std::array<index_t, N> const& shape, index_t axis)
      : axis_view(t, std::span<index_t const>(shape), axis) {}
  template <class U>
  requires(std::is_same_v<U const, T> && !std::is_same_v<U, T>) axis_view(axis_view<U, Space> const& v)
      : p_(v.data()), outer_(v.outer()), size_(v.size()), inner_(v.inner()) {}
  T* data() const { return p_; }
  index_t outer() const { return outer_; }
  index_t size() const { return size_; }
  index_t inner() const { return inner_; }
  index_t extent() const { return outer_ * size_ * inner_; }

 private:
  T* p_;
  index_t outer_ = 1, size_ = 1, inner_ = 1;
};

namespace detail {
/// What is written shares no memory with what is read. Rows of two views may be interleaved; that counts as sharing.
template <class Written, class Read>
void require_separate(char const* what, Written const& w, Read const& r) {
  const auto begin = [](auto const& x) { return reinterpret_cast<std::uintptr_t>(x.data()); };
  const auto end = [&](auto const& x) { return begin(x) + std::uintptr_t(x.extent()) * sizeof(*x.data()); };
  require(w.extent() == 0 || r.extent() == 0 || end(w) <= begin(r) || end(r) <= begin(w), what, "memory of its own",
          "an overlap");
}
template <class M>
void require_shape(char const* what, M const& m, index_t rows, index_t cols) {
  require(m.rows() == rows && m.cols() == cols, what, text(rows, " x ", cols), text(m.rows(), " x ", m.cols()));
}
}  // namespace detail

}  // namespace v0
}  // namespace frugal
