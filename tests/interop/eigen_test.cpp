// SPDX-License-Identifier: Apache-2.0
// Eigen's objects as parameters and gradients: what lies contiguously is used in place, all else is refused, by the
// compiler where it can know.
#include <frugal/backend/serial.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/optim/muon.hpp>
#include <frugal/optim/sam.hpp>

#include <Eigen/Core>
#include <Eigen/SparseCore>

#include "support/bits.hpp"
#include "support/refusal.hpp"

namespace {
using namespace frugal_test;
using Eigen::Dynamic, Eigen::InnerStride, Eigen::Map, Eigen::MatrixXf, Eigen::OuterStride, Eigen::Ref,
    Eigen::RowVectorXf, Eigen::VectorXf;
using frugal::serial_backend;
using frugal::view;
using RowMatrixXf = Eigen::Matrix<float, Dynamic, Dynamic, Eigen::RowMajor>;

const std::vector<float> start = numbers(12, 1), slope = numbers(12, 2);

std::vector<float> stepped() {
  std::vector<float> x = start;
  frugal::lion(serial_backend{}, 12).step(x, slope);
  return x;
}
// A step with these, which hold the start and the slope: what is in x's memory afterwards.
template <class X, class G>
void expect_stepped(X&& x, G&& g) {
  std::copy(start.begin(), start.end(), x.data());
  frugal::lion(serial_backend{}, 12).step(std::forward<X>(x), std::forward<G>(g));
  EXPECT_TRUE(same_bits(std::vector<float>(x.data(), x.data() + 12), stepped()));
}

TEST(eigen, what_is_contiguous_is_used_where_it_is) {
  std::vector<float> memory(100), slopes = slope;
  const Map<VectorXf const> g(slope.data(), 12);
  VectorXf vector(12);
  RowVectorXf row(12);
  Eigen::ArrayXf array(12);
  Eigen::Matrix<float, 4, 3> fixed;
  MatrixXf matrix(4, 3), wide(1, 12), large(4, 5);
  RowMatrixXf rows(4, 3), tall(5, 12);
  expect_stepped(vector, g);
  expect_stepped(vector.transpose(), g.transpose());
  expect_stepped(vector.array(), g);
  expect_stepped(row, g);
  expect_stepped(array, g);
  expect_stepped(fixed, g);
  expect_stepped(matrix, g);
  expect_stepped(matrix.reshaped(), g);
  expect_stepped(rows, g);
  expect_stepped(wide.row(0), g);
  expect_stepped(tall.row(3), g);
  expect_stepped(large.rightCols(3), g);
  expect_stepped(large.block(0, 1, 4, 3), g);
  expect_stepped(Map<VectorXf>(memory.data(), 12), g);
  expect_stepped(Map<MatrixXf, 0, OuterStride<>>(memory.data(), 4, 3, OuterStride<>(4)), g);
  expect_stepped(Map<MatrixXf, 0, OuterStride<>>(memory.data(), 12, 1, OuterStride<>(50)),
                 g);  // there is no second one
  expect_stepped(Map<VectorXf, 0, InnerStride<>>(memory.data() + 1, 12, InnerStride<>(1)), g);
  expect_stepped(Ref<VectorXf>(vector), g);
  expect_stepped(Ref<VectorXf>(matrix.reshaped()), g);
  VectorXf more(20);
  expect_stepped(more.segment(5, 12), g);
  expect_stepped(more(Eigen::seqN(3, 12)), g);
  // Gradients, which nobody writes to.
  const VectorXf fixed_slope = g;
  const Ref<VectorXf const> copied(2 * g - g);  // keeps its value
  expect_stepped(vector, fixed_slope);
  expect_stepped(vector, fixed_slope.segment(0, 12));
  expect_stepped(vector, copied);
  expect_stepped(matrix, Map<MatrixXf const>(slope.data(), 4, 3));
  expect_stepped(rows, Map<RowMatrixXf>(slopes.data(), 4, 3));
}

TEST(eigen, matrices_of_double_and_nothing_at_all) {
  Eigen::MatrixXd x = Eigen::MatrixXd::Ones(4, 3), g = Eigen::MatrixXd::Ones(4, 3);
  frugal::lion opt(serial_backend{}, 12, {.lr = 0.5}, frugal::types<double>{});
  opt.step(x, g);
  EXPECT_EQ(x, Eigen::MatrixXd::Constant(4, 3, 0.5));
  VectorXf none(0), also(0);
  frugal::lion(serial_backend{}, 0).step(none, also);
}

// A step with x is refused, with a text that has the words, and changes neither x nor the optimizer; so with it as the
// gradient.
template <class X>
void expect_refused(X&& x) {
  frugal::lion opt(serial_backend{}, frugal::index_t(x.size()));
  VectorXf other = VectorXf::Constant(x.size(), 2);
  const VectorXf before = x.reshaped();
  EXPECT_TRUE(refused([&] { opt.step(x, other); }, "an Eigen map or block", "contiguous elements", "a stride"));
  EXPECT_TRUE(refused([&] { opt.step(other, x); }, "an Eigen map or block", "contiguous elements", "a stride"));
  EXPECT_EQ(VectorXf(x.reshaped()), before);
  EXPECT_EQ(other, VectorXf::Constant(x.size(), 2));
  EXPECT_EQ(opt.report().steps, 0);
}

TEST(eigen, strides_are_refused) {
  std::vector<float> memory(100);
  MatrixXf m = MatrixXf::Random(4, 3);
  RowMatrixXf rows = m;
  expect_refused(m.row(1));
  expect_refused(m.row(1).transpose());
  expect_refused(m.topRows(3));
  expect_refused(m.block(1, 0, 2, 2));
  expect_refused(m.diagonal());
  expect_refused(rows.col(0));
  expect_refused(rows.leftCols(2));
  expect_refused(Map<VectorXf, 0, InnerStride<>>(memory.data(), 12, InnerStride<>(2)));
  expect_refused(Map<VectorXf, 0, InnerStride<>>(memory.data() + 50, 12, InnerStride<>(-1)));
  expect_refused(Map<MatrixXf, 0, OuterStride<>>(memory.data(), 4, 3, OuterStride<>(5)));
  expect_refused(Map<Eigen::Matrix<float, 4, 3>, 0, OuterStride<6>>(memory.data()));
  expect_refused(Map<MatrixXf, 0, Eigen::Stride<Dynamic, Dynamic>>(memory.data(), 4, 3, {1, 3}));
  expect_refused(Ref<VectorXf, 0, InnerStride<>>(m.row(0)));
  EXPECT_EQ(m, MatrixXf(rows));
}

template <class X>
constexpr bool as_parameter = std::is_constructible_v<view<float>, X>;
template <class X>
constexpr bool as_gradient = std::is_constructible_v<view<float const>, X>;
template <class X>
constexpr bool neither =
    !as_parameter<X> && !as_gradient<X> && !std::is_constructible_v<frugal::model_view<float>, X> &&
    !std::is_constructible_v<frugal::model_view<float const>, X>;

TEST(eigen, what_the_compiler_refuses) {
  VectorXf a(4), b(4);
  MatrixXf m(4, 4);
  Eigen::Matrix3f three;
  static_assert(as_parameter<decltype((a))> && as_gradient<decltype((a))>);
  static_assert(as_parameter<decltype(a.head(2))> && as_gradient<decltype(m.col(0))>);
  // Nothing has been computed yet.
  static_assert(neither<decltype(a + b)> && neither<decltype(m * m)> && neither<decltype(m.rowwise().sum())>);
  static_assert(neither<decltype(a.reverse())> && neither<decltype(VectorXf::Zero(4))>);
  static_assert(neither<decltype(m.triangularView<Eigen::Upper>())>);
  static_assert(neither<Eigen::SparseVector<float>&> && neither<Eigen::SparseMatrix<float>&>);
  // It has, and is gone when the statement ends.
  static_assert(neither<VectorXf> && neither<decltype((a + b).eval())> && neither<Ref<VectorXf const>>);
  static_assert(neither<Eigen::ArrayXXf> && neither<Eigen::Matrix3f> && neither<decltype(std::move(m))>);
  static_assert(neither<Eigen::Matrix<float, Dynamic, 1, Eigen::DontAlign>>);
  // Nobody may write to it.
  static_assert(!as_parameter<VectorXf const&> && as_gradient<VectorXf const&>);
  static_assert(!as_parameter<Map<VectorXf const>> && as_gradient<Map<VectorXf const>>);
  static_assert(!as_parameter<Ref<VectorXf const>&> && as_gradient<Ref<VectorXf const>&>);
  static_assert(!as_parameter<decltype(std::as_const(m).col(0))> && as_gradient<decltype(std::as_const(m).col(0))>);
  // Elements of another type, or apart.
  static_assert(neither<Eigen::VectorXd&> && neither<Eigen::VectorXi&> && neither<Eigen::VectorXcf&>);
  static_assert(neither<Map<VectorXf, 0, InnerStride<2>>> && neither<decltype(three.row(0))>);
  static_assert(neither<decltype(three.diagonal())> && neither<decltype(a(Eigen::seqN(0, 2, 2)))>);
  static_assert(as_parameter<decltype(Eigen::Matrix<float, 1, 1>().row(0))>);
}

TEST(eigen, matrices_of_two_orders_are_not_paired) {
  MatrixXf x = MatrixXf::Ones(3, 4), g = MatrixXf::Ones(3, 4);
  const RowMatrixXf rows = g;
  const frugal::layout tensors{{"w", {4, 3}}, {"b", {3}}};
  VectorXf b = VectorXf::Ones(3), db = VectorXf::Ones(3);
  const auto wrong = [&](auto& opt, auto const& gradient, char const* what) {
    EXPECT_TRUE(refused([&] { opt.step(x, gradient); }, what, "columns of 3", "rows of 4"));
    EXPECT_EQ(x, MatrixXf::Ones(3, 4));
    EXPECT_EQ(opt.report().steps, 0);
  };
  frugal::lion opt(serial_backend{}, 12);
  wrong(opt, rows, "gradient of vector");
  MatrixXf other = MatrixXf::Ones(4, 3);
  const auto turned = other.transpose().eval();  // by rows: so Eigen makes its type
  wrong(opt, turned, "gradient of vector");
  wrong(opt, other.transpose(), "gradient of vector");
  frugal::lion fresh(serial_backend{}, 12);
  EXPECT_TRUE(refused([&] { fresh.step(x, other); }, "gradient of vector", "columns of 3", "columns of 4"));
  // One of many tensors.
  frugal::lion many(serial_backend{}, tensors);
  const std::vector<view<float>> xs{x, b};
  const std::vector<view<float const>> gs{rows, db}, right{g, db};
  EXPECT_TRUE(refused([&] { many.step(xs, gs); }, "gradient of w", "columns of 3", "rows of 4"));
  EXPECT_EQ(many.report().steps, 0);
  many.step(xs, right);
  // As a vector, or as memory, it is whatever the caller says.
  fresh.step(x, {rows.data(), 12});
  fresh.step(x.reshaped(), rows);
}

TEST(eigen, the_last_extents_are_what_lies_together) {
  const frugal::layout by_columns{{"w", {4, 3}}}, by_rows{{"w", {3, 4}}}, filters{{"w", {2, 2, 3}}};
  MatrixXf x = MatrixXf::Random(3, 4), g = MatrixXf::Random(3, 4);
  const MatrixXf before = x;
  std::vector<float> flat(x.data(), x.data() + 12);
  const auto first_steps = [&]<class Optimizer>(Optimizer opt, Optimizer same) {
    MatrixXf y = before;
    flat.assign(before.data(), before.data() + 12);
    opt.step(y, g);
    same.step(flat, std::vector<float>(g.data(), g.data() + 12));
    EXPECT_TRUE(same_bits(std::vector<float>(y.data(), y.data() + 12), flat));
  };
  first_steps(frugal::muon(serial_backend{}, by_columns), frugal::muon(serial_backend{}, by_columns));
  first_steps(frugal::muon(serial_backend{}, filters), frugal::muon(serial_backend{}, filters));  // 3, or 2 3
  frugal::muon opt(serial_backend{}, by_rows);
  EXPECT_TRUE(
      refused([&] { opt.step(x, g); }, "tensor 'w'", "last extents that make 3: a matrix has columns of 3", "4"));
  RowMatrixXf rows = x, gradient = g;
  opt.step(rows, gradient);
  // Squares say nothing by their extents.
  MatrixXf square = MatrixXf::Random(3, 3);
  RowMatrixXf turned = square;
  const MatrixXf was = square;
  frugal::muon of_square(serial_backend{}, frugal::layout{{"w", {3, 3}}});
  EXPECT_TRUE(refused([&] { of_square.step(square, turned); }, "gradient of parameters", "columns of 3", "rows of 3"));
  frugal::sam around(frugal::lion(serial_backend{}, 9), {});
  EXPECT_TRUE(refused([&] { around.step(square, turned, [] {}); }, "gradient of parameters", "columns", "rows"));
  EXPECT_EQ(square, was);
  EXPECT_EQ(x, before);
}

TEST(eigen, parts_of_one_matrix_are_apart_or_refused) {
  MatrixXf m = MatrixXf::Ones(4, 4);
  frugal::lion opt(serial_backend{}, 4, {.lr = 0.5});
  EXPECT_TRUE(
      refused([&] { opt.step(m.col(1), m.col(1)); }, "parameters and gradients", "memory of their own", "an overlap"));
  EXPECT_TRUE(refused([&] { opt.step(m.reshaped().segment(2, 4), m.col(1)); }, "parameters and gradients", "memory of",
                      "an overlap"));
  opt.step(m.col(1), m.col(2));
  EXPECT_EQ(m.col(1), VectorXf::Constant(4, 0.5));
  EXPECT_EQ(m.sum(), 14);
}

// As functions of users take them.
void train(Ref<VectorXf> x, Ref<VectorXf const> const& g) {
  frugal::lion(serial_backend{}, x.size(), {.lr = 0.5}).step(x, g);
}
TEST(eigen, references_as_arguments) {
  MatrixXf m = MatrixXf::Ones(3, 2);
  train(m.col(1), m.col(0) + m.col(1));
  EXPECT_EQ(m.sum(), 4.5f);
}

}  // namespace
