// SPDX-License-Identifier: Apache-2.0
/// @file A multilayer perceptron with its gradient by hand, over one flat vector of parameters.
#pragma once
#include "training/eigen.hpp"

#include <frugal/core/layout.hpp>

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "training/random.hpp"

namespace bench {

/// ReLU between the layers, softmax and cross-entropy at the end. A batch is a matrix with a sample a column. T is
/// float for training and double for checking gradients. An object holds the activations of one batch: one for each
/// thread.
template <class T>
class mlp {
 public:
  using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  using batch = Eigen::Ref<matrix const>;

  explicit mlp(std::vector<Eigen::Index> widths) : widths_(std::move(widths)), active_(widths_.size()) {
    for (std::size_t k = 0; k + 1 < widths_.size(); ++k) {
      weight_at_.push_back(size_);
      size_ += widths_[k] * widths_[k + 1];
      bias_at_.push_back(size_);
      size_ += widths_[k + 1];
    }
  }

  Eigen::Index size() const { return size_; }
  std::vector<Eigen::Index> const& widths() const { return widths_; }

  frugal::layout layout() const {
    std::vector<frugal::tensor_spec> tensors;
    for (std::size_t k = 0; k + 1 < widths_.size(); ++k) {
      tensors.push_back({std::string("w") + char('1' + k), {widths_[k], widths_[k + 1]}});
      tensors.push_back({std::string("b") + char('1' + k), {widths_[k + 1]}});
    }
    return tensors;
  }

  /// He's initialization, uniform: the same weights on every machine. Biases are zero.
  std::vector<T> initial(std::uint64_t seed) const {
    std::vector<T> p(std::size_t(size_), T(0));
    generator random(seed);
    for (std::size_t k = 0; k < weight_at_.size(); ++k) {
      double const range = std::sqrt(6 / double(widths_[k]));
      for (Eigen::Index i = weight_at_[k]; i < bias_at_[k]; ++i) p[std::size_t(i)] = T(range * random.symmetric());
    }
    return p;
  }

  /// The mean loss of a batch.
  double loss(std::span<T const> p, batch const& x, std::uint8_t const* labels) {
    forward(p, x);
    return exponentials(labels) / double(x.cols());
  }
  /// And its gradient, which goes to `g`.
  double loss(std::span<T const> p, batch const& x, std::uint8_t const* labels, std::span<T> g) {
    return loss(p, x, labels, g, [](std::size_t, batch const&, matrix const&) {});
  }
  /// And on the way down, from the last layer to layer 0, `see(layer, inputs, derivatives)`: what the layer was given,
  /// and the mean loss's derivatives by its outputs before the ReLU.
  template <class See>
  double loss(std::span<T const> p, batch const& x, std::uint8_t const* labels, std::span<T> g, See const& see) {
    double const loss = this->loss(p, x, labels);
    matrix& scores = active_.back();
    T const mean = T(1) / T(x.cols());
    scores.array().rowwise() *= mean / sums_.array();
    for (Eigen::Index j = 0; j < x.cols(); ++j) scores(labels[j], j) -= mean;
    backward(p, x, g, see);
    return loss;
  }

  std::size_t correct(std::span<T const> p, batch const& x, std::uint8_t const* labels) {
    forward(p, x);
    std::size_t hits = 0;
    for (Eigen::Index j = 0; j < x.cols(); ++j) {
      Eigen::Index best;
      active_.back().col(j).maxCoeff(&best);
      hits += best == labels[j];
    }
    return hits;
  }

 private:
  auto weight(std::span<T const> p, std::size_t k) const {
    return Eigen::Map<matrix const>(p.data() + weight_at_[k], widths_[k + 1], widths_[k]);
  }

  void forward(std::span<T const> p, batch const& x) {
    for (std::size_t k = 0; k < weight_at_.size(); ++k) {
      matrix& y = active_[k + 1];
      if (k == 0) y.noalias() = weight(p, k) * x;
      else y.noalias() = weight(p, k) * active_[k];
      y.colwise() += Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1> const>(p.data() + bias_at_[k], widths_[k + 1]);
      if (k + 1 < weight_at_.size()) y = y.cwiseMax(T(0));
    }
  }

  /// The scores to their exponentials, and `sums_` to the sums of these; returns the sum of the losses.
  double exponentials(std::uint8_t const* labels) {
    matrix& scores = active_.back();
    scores.rowwise() -= scores.colwise().maxCoeff().eval();
    double total = 0;
    for (Eigen::Index j = 0; j < scores.cols(); ++j) total -= double(scores(labels[j], j));
    scores = scores.array().exp();
    sums_ = scores.colwise().sum();
    return total + sums_.array().log().template cast<double>().sum();
  }

  /// On entry the last activations hold the loss's derivatives by the scores; on the way down every layer's do the
  /// same.
  template <class See>
  void backward(std::span<T const> p, batch const& x, std::span<T> g, See const& see) {
    for (std::size_t k = weight_at_.size(); k-- > 0;) {
      matrix const& d = active_[k + 1];
      Eigen::Map<matrix> dw(g.data() + weight_at_[k], widths_[k + 1], widths_[k]);
      Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>>(g.data() + bias_at_[k], widths_[k + 1]) = d.rowwise().sum();
      if (k == 0) {
        see(k, x, d);
        dw.noalias() = d * x.transpose();
      } else {
        see(k, active_[k], d);
        dw.noalias() = d * active_[k].transpose();
        below_.noalias() = weight(p, k).transpose() * d;
        active_[k] = (active_[k].array() > T(0)).select(below_, T(0));
      }
    }
  }

  std::vector<Eigen::Index> widths_, weight_at_, bias_at_;
  Eigen::Index size_ = 0;
  std::vector<matrix> active_;  // of each layer; [0] is the batch itself and stays empty
  matrix below_;
  Eigen::Matrix<T, 1, Eigen::Dynamic> sums_;
};

/// The largest difference between the gradient by hand and central differences in double, over all parameters of a
/// small net, relative to the largest entry of the gradient.
inline double gradient_error(std::uint64_t seed) {
  mlp<double> net({12, 9, 7, 5});
  generator random(seed);
  std::vector<double> p = net.initial(seed), g(p.size()), unused(p.size());
  for (double& each : p) each += 0.1 * random.symmetric();  // biases that are not zero
  mlp<double>::matrix x(12, 16);
  std::vector<std::uint8_t> labels;
  for (Eigen::Index j = 0; j < x.cols(); ++j) {
    for (Eigen::Index i = 0; i < x.rows(); ++i) x(i, j) = random.symmetric();
    labels.push_back(std::uint8_t(random.below(5)));
  }
  net.loss(p, x, labels.data(), g);

  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    constexpr double h = 1e-5;
    double const at = p[i];
    p[i] = at + h;
    double const up = net.loss(p, x, labels.data(), unused);
    p[i] = at - h;
    double const down = net.loss(p, x, labels.data(), unused);
    p[i] = at;
    worst = std::max(worst, std::abs((up - down) / (2 * h) - g[i]));
    largest = std::max(largest, std::abs(g[i]));
  }
  return worst / largest;
}

}  // namespace bench
