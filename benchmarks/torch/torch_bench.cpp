// SPDX-License-Identifier: Apache-2.0
/// @file The same steps by libtorch: by its own optimizers, and by the operations on tensors that one writes where it
/// has none. What is compared is a whole call on the same tensors; ratios are reported, not judged.
#include <frugal/interop/torch.hpp>

#include <ATen/Parallel.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>
#include <frugal/optim/adamw.hpp>
#include <frugal/optim/lion.hpp>
#include <frugal/optim/momentum.hpp>
#include <frugal/optim/soap.hpp>

#include "kernels/cpu.hpp"
#include "support/command_line.hpp"

namespace {

/// A parameter, and a gradient that stays.
at::Tensor parameter(std::vector<std::int64_t> const& shape) {
  at::Tensor x = torch::ones(shape).set_requires_grad(true);
  x.mutable_grad() = 1e-2 * (2 * torch::rand(shape) - 1);
  return x;
}

struct adamw_of_operations {
  at::Tensor x, g = x.grad(), m = torch::zeros_like(g), v = torch::zeros_like(g);
  double lr = 1e-6, beta1_power = 1, beta2_power = 1;
  void step() {
    const at::NoGradGuard off;
    beta1_power *= 0.9, beta2_power *= 0.999;
    x.mul_(1 - lr * 1e-2);
    m.mul_(0.9).add_(g, 0.1);
    v.mul_(0.999).addcmul_(g, g, 0.001);
    x.addcdiv_(m, v.sqrt().div_(std::sqrt(1 - beta2_power)).add_(1e-8), -lr / (1 - beta1_power));
  }
};
struct lion_of_operations {
  at::Tensor x, g = x.grad(), m = torch::zeros_like(g);
  double lr = 1e-6;
  void step() {
    const at::NoGradGuard off;
    x.add_((m * 0.9).add_(g, 0.1).sign_(), -lr);
    m.mul_(0.99).add_(g, 0.01);
  }
};
/// Of a matrix, with a basis on each side that moves in every tenth step.
struct soap_of_operations {
  at::Tensor x, g = x.grad(), m = torch::zeros_like(g), v = torch::zeros_like(g), p = g.mm(g.t()), q = basis(p),
                r = g.t().mm(g), s = basis(r);
  double lr = 1e-6, power = 1;
  int t = 0;

  static at::Tensor basis(at::Tensor const& of) { return std::get<1>(at::linalg_eigh(of)).flip(1); }
  void step() {
    const at::NoGradGuard off;
    power *= 0.95;
    const at::Tensor turned = q.t().mm(g).mm(s);
    m.mul_(0.95).add_(turned, 0.05);
    v.mul_(0.95).addcmul_(turned, turned, 0.05);
    const at::Tensor n = q.mm(m / v.sqrt().add_(1e-8)).mm(s.t());
    x.add_(n, -lr * std::sqrt(1 - power) / (1 - power)).mul_(1 - lr * 1e-2);
    p.mul_(0.95).addmm_(g, g.t(), 1, 0.05);
    r.mul_(0.95).addmm_(g.t(), g, 1, 0.05);
    if (++t % 10 == 0) turn();
  }
  void turn() {
    m = q.mm(m).mm(s.t());
    int axis = 0;
    for (auto [statistics, vectors] : {std::pair{&p, &q}, {&r, &s}}) {
      const at::Tensor product = statistics->mm(*vectors);
      const at::Tensor order = std::get<1>(vectors->mul(product).sum(0).sort(-1, true));
      *vectors = std::get<0>(at::linalg_qr(statistics->mm(vectors->index_select(1, order))));
      v = v.index_select(axis++, order);
    }
    m = q.t().mm(m).mm(s);
  }
};

void elements(bench::session const& s, std::size_t n) {
  for (int threads : {1, 2}) {
    const frugal::tbb_backend cpu(threads);
    at::set_num_threads(threads);
    const at::Tensor x = parameter({std::int64_t(n)});
    const std::vector<at::Tensor> all{x};
    bench::table t(n, threads);
    torch::optim::AdamW their_adamw(all, torch::optim::AdamWOptions(1e-6));
    torch::optim::SGD their_momentum(all, torch::optim::SGDOptions(1e-6).momentum(0.9));
    adamw_of_operations adamw_operations{x};
    lion_of_operations lion_operations{x};
    auto adamw = frugal::for_torch<frugal::adamw>(cpu, all, {.lr = 1e-6});
    auto adamw_8bit = frugal::for_torch<frugal::adamw>(cpu, all, {.lr = 1e-6}, frugal::blockwise8{});
    auto momentum = frugal::for_torch<frugal::momentum>(cpu, all, {.lr = 1e-6});
    auto lion = frugal::for_torch<frugal::lion>(cpu, all, {.lr = 1e-6});
    t.add("torch_adamw", 28, [&] { their_adamw.step(); });
    t.add("torch_momentum", 20, [&] { their_momentum.step(); });
    t.add("torch_adamw_operations", 28, [&] { adamw_operations.step(); });
    t.add("torch_lion_operations", 20, [&] { lion_operations.step(); });
    t.add("adamw_on_tensors", 28, [&] { adamw.step(); }).beside("torch_adamw").beside("torch_adamw_operations");
    t.add("adamw_8bit_on_tensors", 16.06, [&] { adamw_8bit.step(); }).beside("torch_adamw");
    t.add("momentum_on_tensors", 20, [&] { momentum.step(); }).beside("torch_momentum");
    t.add("lion_on_tensors", 20, [&] { lion.step(); }).beside("torch_lion_operations");
    s.measure(t);
  }
}

// Ten steps, one of which moves the bases.
void matrices(bench::session const& s) {
  const auto side = std::int64_t(std::sqrt(double(s.elements(16))));
  for (int threads : {1, 2}) {
    const frugal::tbb_backend cpu(threads);
    at::set_num_threads(threads);
    torch::manual_seed(1);
    const at::Tensor x = parameter({side, side});
    bench::table t(10 * std::size_t(side * side), threads);
    soap_of_operations operations{x};
    auto soap = frugal::for_torch<frugal::soap>(cpu, {x}, {.lr = 1e-6});
    soap.step();  // which makes the bases only
    const auto ten = [](auto& of) {
      return [&of] {
        for (int k = 0; k < 10; ++k) of.step();
      };
    };
    t.add("torch_soap_operations", 28, ten(operations));
    t.add("soap_on_tensors", 28, ten(soap)).beside("torch_soap_operations");
    s.measure(t);
  }
}

bench::suite const registered("torch", [](bench::session const& s) {
  const std::size_t small = s.elements(22), large = s.elements();
  elements(s, small);
  if (large != small) elements(s, large);
  matrices(s);
});

}  // namespace

int main(int argc, char** argv) { return bench::command_line(argc, argv); }
