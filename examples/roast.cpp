// SPDX-License-Identifier: Apache-2.0
/// @file A network whose weights are read out of a shared vector of an eighth of their number, which AdamW with 8-bit
/// states trains: less than a third of a byte of state for a weight.
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/sharing/roast.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace {

constexpr int inputs = 20, width = 64, classes = 4, samples = 256, steps = 200;
using matrix = std::vector<float>;  // a row of samples for each unit

// A layer: outputs from inputs by weights w, one row for each output; and the gradients, from that of the outputs.
struct layer {
  int outputs, inputs;
  void forward(float const* w, matrix const& x, matrix& y) const {
    y.assign(std::size_t(outputs * samples), 0);
    for (int k = 0; k < outputs * inputs; ++k)
      for (int s = 0; s < samples; ++s) y[k / inputs * samples + s] += w[k] * x[k % inputs * samples + s];
  }
  void backward(float const* w, matrix const& x, matrix const& dy, float* g, matrix& dx) const {
    dx.assign(x.size(), 0);
    for (int k = 0; k < outputs * inputs; ++k) {
      g[k] = 0;
      for (int s = 0; s < samples; ++s) {
        g[k] += dy[k / inputs * samples + s] * x[k % inputs * samples + s];
        dx[k % inputs * samples + s] += w[k] * dy[k / inputs * samples + s];
      }
    }
  }
};
constexpr layer layers[] = {{width, inputs}, {width, width}, {classes, width}};

// Points, with labels that a fixed nonlinear map gives them.
struct problem {
  matrix x = matrix(inputs * samples);
  std::vector<int> label;
  problem() {
    unsigned r = 1;
    for (float& e : x) e = float((r = r * 1664525u + 1013904223u) >> 8) / float(1 << 23) - 1;
    std::fill(x.end() - samples, x.end(), 1.f);  // in the place of biases
    for (int s = 0; s < samples; ++s)
      label.push_back((x[s] * x[samples + s] > 0 ? 1 : 0) + (x[2 * samples + s] > 0.3f * x[3 * samples + s] ? 2 : 0));
  }
  // The mean loss, and its gradient by w in g.
  double loss(matrix const& w, matrix& g) const {
    matrix y[4] = {x}, d, below;
    std::size_t at = 0;
    for (int k = 0; k < 3; at += std::size_t(layers[k].outputs * layers[k].inputs), ++k) {
      layers[k].forward(w.data() + at, y[k], y[k + 1]);
      if (k < 2)
        for (float& e : y[k + 1]) e = std::max(e, 0.f);
    }
    double sum = 0;
    d = y[3];
    for (int s = 0; s < samples; ++s) {
      double all = 0;
      for (int c = 0; c < classes; ++c) all += std::exp(double(y[3][c * samples + s]));
      sum += (std::log(all) - y[3][label[s] * samples + s]) / samples;
      for (int c = 0; c < classes; ++c)
        d[c * samples + s] = float((std::exp(double(y[3][c * samples + s])) / all - (c == label[s])) / samples);
    }
    for (int k = 2; k >= 0; --k) {
      at -= std::size_t(layers[k].outputs * layers[k].inputs);
      layers[k].backward(w.data() + at, y[k], d, g.data() + at, below);
      d = below;
      if (k > 0)
        for (std::size_t i = 0; i < d.size(); ++i) d[i] = y[k][i] > 0 ? d[i] : 0;
    }
    return sum;
  }
};

}  // namespace

int main() {
  const problem p;
  const frugal::layout model{{"w1", {width, inputs}}, {"w2", {width, width}}, {"w3", {classes, width}}};
  const frugal::serial_backend cpu;
  // He's initialization: the standard deviations of the weights of each layer.
  const std::vector<double> sigma{std::sqrt(2. / inputs), std::sqrt(2. / width), std::sqrt(2. / width)};
  frugal::roast shared(
      cpu, model, {.compression = 8, .seed = 1, .spread = 0.1, .scales = sigma, .match = frugal::scale_match::matched});
  matrix z(std::size_t(shared.slots())), dz(z.size()), w(std::size_t(model.size())), g(w.size());
  shared.initialise(z);
  frugal::adamw opt(cpu, z.size(), {.lr = 4e-3, .weight_decay = 0}, frugal::blockwise8{.min_size = 0});
  double first = 0, last = 0;
  for (int t = 0; t < steps; ++t) {
    shared.forward(z, w);
    last = p.loss(w, g);
    if (t == 0) first = last;
    shared.backward(g, dz);
    opt.step(z, dz);
  }
  std::printf("%td weights out of %zu numbers, %zu bytes of state: loss %.3f, after %d steps %.3f\n", model.size(),
              z.size(), opt.state_bytes(), first, steps, last);
  return last < 0.2 * first ? 0 : 1;
}
