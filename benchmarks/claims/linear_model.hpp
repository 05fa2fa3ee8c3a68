// SPDX-License-Identifier: Apache-2.0
/// @file Linear and logistic regression on normal features of given scales.
#pragma once
#include <cmath>
#include <frugal/core/normal.hpp>
#include <vector>

namespace claims {

/// To what a random plane says: least squares to its values z, logistic loss to their signs, or to classes that are
/// drawn, the first with the probability 1 / (1 + e^-z).
enum class fit { squares, signs, draws };

class linear_model {
 public:
  using vector = std::vector<float>;
  linear_model(vector const& scales, std::size_t samples, fit what, double ridge, std::uint64_t seed)
      : features_(scales.size()), what_(what), ridge_(ridge), random_{seed}, x_(samples * features_), y_(samples) {
    vector plane(features_);
    for (std::size_t j = 0; j < features_; ++j)
      plane[j] = normal(0, j) / (what == fit::squares ? std::sqrt(float(features_)) : 1);
    for (std::size_t i = 0; i < samples; ++i) {
      for (std::size_t j = 0; j < features_; ++j) x_[i * features_ + j] = scales[j] * normal(1 + i, j);
      float const z = dot(i, plane);
      if (what == fit::squares) y_[i] = z;
      else if (what == fit::signs) y_[i] = z > 0 ? 1.f : -1.f;
      else y_[i] = frugal::u01(random_.word(draws, i)) < 1 / (1 + std::exp(-z)) ? 1.f : -1.f;
    }
  }
  /// From 1 down, over one and a half decades.
  static vector falling(std::size_t features) {
    vector s(features);
    for (std::size_t j = 0; j < features; ++j) s[j] = float(std::pow(10., -1.5 * double(j) / double(features - 1)));
    return s;
  }
  std::size_t features() const { return features_; }
  std::size_t samples() const { return y_.size(); }

  /// The mean over the samples from `first` to before `last`.
  double loss(vector const& w, std::size_t first, std::size_t last) const {
    double sum = 0;
    for (std::size_t i = first; i < last; ++i) {
      double const z = double(dot(i, w)), y = double(y_[i]);
      sum += what_ == fit::squares ? (z - y) * (z - y) / 2 : std::log1p(std::exp(-y * z));
    }
    return sum / double(last - first);
  }
  /// Of the ridge and `batch` of these samples, drawn by that number.
  void gradient(vector const& w, std::size_t first, std::size_t last, std::size_t batch, std::uint64_t draw,
                vector& g) const {
    for (std::size_t j = 0; j < features_; ++j) g[j] = float(ridge_) * w[j];
    for (std::size_t k = 0; k < batch; ++k) {
      std::size_t const i = first + frugal::below(random_.word(batches + draw, k), last - first);
      float const z = dot(i, w), y = y_[i], d = what_ == fit::squares ? z - y : -y / (1 + std::exp(y * z));
      for (std::size_t j = 0; j < features_; ++j) g[j] += d / float(batch) * x_[i * features_ + j];
    }
  }

 private:
  static constexpr std::uint64_t draws = 1ull << 40, batches = 1ull << 41;  // directions; sample i has 1 + i
  float normal(std::uint64_t dir, std::size_t j) const { return float(frugal::normal(random_, dir, j)); }
  float dot(std::size_t i, vector const& w) const {
    float part[16] = {};  // so that compilers may use their registers
    for (std::size_t j = 0; j < features_; ++j) part[j % 16] += x_[i * features_ + j] * w[j];
    float sum = 0;
    for (float each : part) sum += each;
    return sum;
  }
  std::size_t features_;
  fit what_;
  double ridge_;
  frugal::random_stream random_;
  vector x_, y_;
};

}  // namespace claims
