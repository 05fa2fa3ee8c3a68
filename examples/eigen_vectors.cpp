// SPDX-License-Identifier: Apache-2.0
/// @file Eigen's vectors and maps as parameters and gradients: ridge regression, and tensors that live apart.
#include <frugal/backend/serial.hpp>
#include <frugal/optim/adam.hpp>
#include <frugal/optim/momentum.hpp>

#include <Eigen/Dense>
#include <cstdio>
#include <vector>

int main() {
  std::srand(1);
  const frugal::serial_backend cpu;
  const Eigen::MatrixXf a = Eigen::MatrixXf::Random(200, 30);
  const Eigen::VectorXf truth = Eigen::VectorXf::LinSpaced(30, -1, 1), b = a * truth;

  // One flat vector: an Eigen vector is an argument like any other.
  Eigen::VectorXf x = Eigen::VectorXf::Zero(30), g(30);
  frugal::momentum heavy_ball(cpu, x.size(), {.lr = 0.1, .momentum = 0.9, .nesterov = true});
  for (int t = 0; t < 300; ++t) {
    g = a.transpose() * (a * x - b) / 200.f;
    heavy_ball.step(x, g);
  }
  const float error = (x - truth).norm() / truth.norm();

  // Two tensors in memory of their own: a matrix, and a map of the caller's buffer.
  Eigen::MatrixXf weights = Eigen::MatrixXf::Zero(3, 30), dw(3, 30);
  std::vector<float> buffer(3, 0.f);
  Eigen::Map<Eigen::VectorXf> bias(buffer.data(), 3);
  Eigen::VectorXf db(3);
  const Eigen::MatrixXf target =
      (Eigen::MatrixXf::Random(3, 30) * a.transpose()).colwise() + Eigen::Vector3f(1.f, 2.f, 3.f);
  frugal::adam opt(cpu, frugal::layout{{"weights", {30, 3}}, {"bias", {3}}}, {.lr = 0.05});
  const std::vector<frugal::view<float>> parameters{weights, bias}, gradients{dw, db};
  for (int t = 0; t < 1000; ++t) {
    opt.config().lr = 0.05 * (1 - t / 1000.);
    const Eigen::MatrixXf residual = ((weights * a.transpose()).colwise() + bias) - target;
    dw = residual * a / 200.f;
    db = residual.rowwise().mean();
    opt.step(parameters, gradients);
  }
  const float off = (bias - Eigen::Vector3f(1.f, 2.f, 3.f)).norm();

  // What is not contiguous is refused.
  bool refused = false;
  try {
    auto row = weights.row(0);
    opt.step(std::vector<frugal::view<float>>{row, bias}, gradients);
  } catch (frugal::invalid_argument const& e) {
    refused = true;
    std::printf("%s\n", e.what());
  }
  std::printf("relative error %.1e, bias off by %.1e\n", double(error), double(off));
  return refused && error < 1e-3f && off < 1e-2f ? 0 : 1;
}
