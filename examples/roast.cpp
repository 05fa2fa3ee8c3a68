// SPDX-License-Identifier: Apache-2.0
/// @file A network whose weights are read out of a shared vector of an eighth of their number, which AdamW with 8-bit
/// states trains: less than a third of a byte of state for a weight.
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adamw.hpp>
#include <frugal/sharing/roast.hpp>

#include <Eigen/Core>
#include <cmath>
#include <cstdio>
#include <vector>

namespace {

using Eigen::MatrixXf;
using weights = Eigen::Map<MatrixXf const>;
constexpr int inputs = 20, width = 128, classes = 4, samples = 512, steps = 200;

// Points with labels that a fixed nonlinear map gives them.
struct problem {
  MatrixXf x{inputs, samples};
  std::vector<int> label;
  problem() {
    std::srand(1);
    x.setRandom();
    x.row(inputs - 1).setOnes();  // in the place of biases
    const MatrixXf v = MatrixXf::Random(classes, inputs), s = v * x;
    const MatrixXf score = (2 * s).array().tanh() + 0.5f * (4 * s).array().sin();
    for (int j = 0; j < samples; ++j) {
      Eigen::Index best;
      score.col(j).maxCoeff(&best);
      label.push_back(int(best));
    }
  }
};

// Two hidden layers of ReLU. The mean loss, and its gradient in g.
double loss(problem const& p, std::vector<float> const& w, std::vector<float>& g) {
  float const *w1 = w.data(), *w2 = w1 + inputs * width, *w3 = w2 + width * width;
  const weights a(w1, width, inputs), b(w2, width, width), c(w3, classes, width);
  const MatrixXf h = (a * p.x).cwiseMax(0.f), k = (b * h).cwiseMax(0.f);
  MatrixXf d = c * k;
  d.rowwise() -= d.colwise().maxCoeff().eval();
  d = d.array().exp();
  d.array().rowwise() /= d.colwise().sum().eval().array();
  double sum = 0;
  for (int j = 0; j < samples; ++j) {
    sum -= std::log(double(d(p.label[std::size_t(j)], j))) / samples;
    d(p.label[std::size_t(j)], j) -= 1;
  }
  d /= float(samples);
  const auto at = [&](float const* t, int rows, int columns) {
    return Eigen::Map<MatrixXf>(g.data() + (t - w.data()), rows, columns);
  };
  at(w3, classes, width) = d * k.transpose();
  const MatrixXf dk = (k.array() > 0).select(c.transpose() * d, 0.f);
  at(w2, width, width) = dk * h.transpose();
  const MatrixXf dh = (h.array() > 0).select(b.transpose() * dk, 0.f);
  at(w1, width, inputs) = dh * p.x.transpose();
  return sum;
}

}  // namespace

int main() {
  const problem p;
  const frugal::layout model{{"w1", {inputs, width}}, {"w2", {width, width}}, {"w3", {width, classes}}};
  const frugal::serial_backend cpu;
  // He's initialization: the standard deviations of the weights. With a spread of 0.1 they are near lambda / 17.
  const std::vector<double> sigma{std::sqrt(2. / inputs), std::sqrt(2. / width), std::sqrt(2. / width)};
  frugal::roast shared(
      cpu, model, {.compression = 8, .seed = 1, .spread = 0.1, .scales = sigma, .match = frugal::scale_match::matched});
  std::vector<float> z(std::size_t(shared.slots())), dz(z.size()), w(std::size_t(model.size())), g(w.size());
  shared.initialise(z);
  frugal::adamw opt(cpu, z.size(), {.lr = 2e-3, .weight_decay = 0}, frugal::blockwise8{.min_size = 0});
  double first = 0, last = 0;
  for (int t = 0; t < steps; ++t) {
    shared.forward(z, w);
    last = loss(p, w, g);
    if (t == 0) first = last;
    shared.backward(g, dz);
    opt.step(z, dz);
  }
  std::printf("%td weights out of %zu numbers, %zu bytes of state: loss %.3f, after %d steps %.3f\n", model.size(),
              z.size(), opt.state_bytes(), first, steps, last);
  return last < 0.2 * first ? 0 : 1;
}
