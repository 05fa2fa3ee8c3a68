// SPDX-License-Identifier: Apache-2.0
/// @file A module of libtorch, trained by AdamW with states of 8 bits: two lines of the program are not torch's.
#include <frugal/interop/torch.hpp>  // one of them

#include <torch/nn/module.h>
#include <torch/optim/schedulers/step_lr.h>
#include <frugal/backend/tbb.hpp>
#include <frugal/optim/adamw.hpp>

#include <cstdio>

struct network : torch::nn::Module {
  at::Tensor in = register_parameter("in", 0.1 * torch::randn({128, 64}));
  at::Tensor out = register_parameter("out", torch::zeros({8, 128}));
  at::Tensor forward(at::Tensor const& x) const { return at::linear(at::relu(at::linear(x, in)), out); }
};

int main() {
  torch::manual_seed(1);
  const at::Tensor x = torch::randn({512, 64}), y = at::tanh(at::linear(x, torch::randn({8, 64}) / 8));
  auto model = std::make_shared<network>();

  // torch::optim::AdamW opt(model->parameters(), torch::optim::AdamWOptions(1e-2).weight_decay(0.1));
  auto opt = frugal::for_torch<frugal::adamw>(frugal::tbb_backend(), model->parameters(),
                                              {.lr = 1e-2, .weight_decay = 0.1}, frugal::blockwise8{});
  torch::optim::StepLR schedule(opt, 50, 0.5);
  double first = 0, last = 0;
  for (int t = 0; t < 200; ++t) {
    opt.zero_grad();
    const at::Tensor loss = (model->forward(x) - y).pow(2).mean();
    loss.backward();
    opt.step();
    schedule.step();
    last = loss.item<double>();
    if (t == 0) first = last;
  }
  std::printf("loss %.4f, after 200 steps %.4f; %zu bytes of state for %lld parameters\n", first, last,
              opt.state_bytes(), (long long)(model->in.numel() + model->out.numel()));
  return last < 0.1 * first ? 0 : 1;
}
