// SPDX-License-Identifier: Apache-2.0
/// @file A tanh network of 20-32-32-5 with cross-entropy, and data for it that make plain descent slow.
#pragma once
#include <array>
#include <cmath>
#include <frugal/backend/serial.hpp>
#include <frugal/core/layout.hpp>
#include <frugal/core/normal.hpp>
#include <frugal/linalg/linalg.hpp>
#include <vector>

namespace claims::tanh_net {

using frugal::index_t;
using mat = frugal::mat_view<float>;

constexpr index_t inputs = 20, hidden = 32, classes = 5;
inline frugal::serial_backend const cpu;
inline frugal::linalg const la(cpu);
inline frugal::layout const network{{"1.weight", {hidden, inputs}},  {"1.bias", {hidden}},
                                    {"2.weight", {hidden, hidden}},  {"2.bias", {hidden}},
                                    {"3.weight", {classes, hidden}}, {"3.bias", {classes}}};

struct matrix {
  index_t rows, cols;
  std::vector<float> cells;
  matrix(index_t r, index_t c) : rows(r), cols(c), cells(std::size_t(r * c)) {}
  mat operator()() { return {cells.data(), rows, cols}; }
};
inline matrix normals(index_t rows, index_t cols, std::uint64_t seed, double deviation = 1) {
  matrix m(rows, cols);
  for (std::size_t i = 0; i < m.cells.size(); ++i)
    m.cells[i] = float(deviation * double(frugal::normal(frugal::random_stream{seed}, 0, i)));
  return m;
}

/// Inputs over one and a half decades, turned and shifted, and classes that a random teacher gives them.
struct data {
  matrix x;
  std::vector<int> label;
  data(index_t samples, std::uint64_t seed) : x(samples, inputs) {
    matrix raw = normals(samples, inputs, seed), turn = normals(inputs, inputs, seed + 1), q(inputs, inputs),
           first = normals(hidden, inputs, seed + 2), second = normals(classes, hidden, seed + 3), h(samples, hidden),
           logits(samples, classes);
    for (index_t i = 0; i < samples; ++i)
      for (index_t j = 0; j < inputs; ++j) raw()(i, j) *= float(std::pow(10., -1.5 * double(j) / (inputs - 1)));
    auto qr = la.qr<float>(inputs, inputs);
    qr(turn(), q());
    la.gemm(1, raw(), q(), 0, x());
    for (float& each : x.cells) each += 0.5f;
    la.gemm(1, x(), transposed(first()), 0, h());
    for (float& each : h.cells) each = std::tanh(each);
    la.gemm(1, h(), transposed(second()), 0, logits());
    for (index_t i = 0; i < samples; ++i) {
      int best = 0;
      for (int c = 1; c < classes; ++c)
        if (logits()(i, c) > logits()(i, best)) best = c;
      label.push_back(best);
    }
  }
};

/// The network on some rows: loss, gradient, and what layers see.
class pass {
 public:
  explicit pass(index_t rows)
      : in_{{{rows, inputs}, {rows, hidden}, {rows, hidden}}},
        out_{{{rows, hidden}, {rows, hidden}, {rows, classes}}} {}
  mat in(int l) { return in_[std::size_t(l)](); }
  mat out(int l) { return out_[std::size_t(l)](); }  // after the pass: the gradients there

  /// Mean cross-entropy of rows `order[first ...]`; with g also its gradient.
  double operator()(data& d, std::vector<int> const& order, index_t first, std::vector<float>& w,
                    std::vector<float>* g) {
    const index_t rows = in(0).rows();
    for (index_t i = 0; i < rows; ++i)
      for (index_t j = 0; j < inputs; ++j) in(0)(i, j) = d.x()(order[std::size_t(first + i)], j);
    for (int l = 0; l < 3; ++l) {
      auto const &weight = network.tensors()[std::size_t(2 * l)], &bias = network.tensors()[std::size_t(2 * l + 1)];
      la.gemm(1, in(l), transposed(mat(w.data() + weight.offset, weight.shape[0], weight.shape[1])), 0, out(l));
      for (index_t i = 0; i < rows; ++i)
        for (index_t j = 0; j < bias.size; ++j) {
          out(l)(i, j) += w[std::size_t(bias.offset + j)];
          if (l < 2) in(l + 1)(i, j) = std::tanh(out(l)(i, j));
        }
    }
    double loss = 0;
    for (index_t i = 0; i < rows; ++i) {
      const int label = d.label[std::size_t(order[std::size_t(first + i)])];
      double sum = 0, most = -1e30;
      for (index_t c = 0; c < classes; ++c) most = std::max(most, double(out(2)(i, c)));
      for (index_t c = 0; c < classes; ++c) sum += std::exp(double(out(2)(i, c)) - most);
      loss -= (double(out(2)(i, label)) - most - std::log(sum)) / double(rows);
      for (index_t c = 0; c < classes; ++c)
        out(2)(i, c) = float((std::exp(double(out(2)(i, c)) - most) / sum - (c == label)) / double(rows));
    }
    for (int l = 2; g && l >= 0; --l) {
      auto const &weight = network.tensors()[std::size_t(2 * l)], &bias = network.tensors()[std::size_t(2 * l + 1)];
      la.gemm(1, transposed(out(l)), in(l), 0, mat(g->data() + weight.offset, weight.shape[0], weight.shape[1]));
      for (index_t j = 0; j < bias.size; ++j) {
        float sum = 0;
        for (index_t i = 0; i < rows; ++i) sum += out(l)(i, j);
        (*g)[std::size_t(bias.offset + j)] = sum;
      }
      if (l == 0) break;
      la.gemm(1, out(l), mat(w.data() + weight.offset, weight.shape[0], weight.shape[1]), 0, out(l - 1));
      for (index_t i = 0; i < rows; ++i)
        for (index_t j = 0; j < hidden; ++j) out(l - 1)(i, j) *= 1 - in(l)(i, j) * in(l)(i, j);
    }
    return loss;
  }

 private:
  std::array<matrix, 3> in_, out_;
};

/// Weights of deviation 1 / sqrt(inputs of the layer), biases of zero.
inline std::vector<float> start(std::uint64_t seed) {
  std::vector<float> w(std::size_t(network.size()), 0.f);
  for (auto const& t : network.tensors())
    if (t.shape.size() == 2) {
      matrix m = normals(t.shape[0], t.shape[1], seed + std::uint64_t(t.offset), 1 / std::sqrt(double(t.shape[1])));
      std::copy(m.cells.begin(), m.cells.end(), w.begin() + t.offset);
    }
  return w;
}

/// All samples in an order of that seed and time.
inline void shuffle(std::vector<int>& order, std::uint64_t seed, std::uint64_t time) {
  for (std::size_t i = order.size() - 1; i > 0; --i)
    std::swap(order[i], order[frugal::random_stream{seed}.word(time, i) % (i + 1)]);
}

}  // namespace claims::tanh_net
