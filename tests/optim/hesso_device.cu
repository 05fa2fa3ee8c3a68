// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/hesso.hpp>
#include <frugal/optim/momentum.hpp>

#include "support/device.hpp"

using frugal_test::device_backend;
template class frugal::hesso<frugal::momentum<device_backend>>;
template class frugal::hesso<frugal::momentum<device_backend, frugal::full, frugal::all, frugal::types<frugal::bf16>>>;
template class frugal::detail::pruned_model<device_backend, frugal::bf16, frugal::bf16>;

namespace {
using namespace frugal_test;

template <class Backend>
std::vector<float> trained(Backend b) {
  const frugal::layout l{{"w", {9, 700}}, {"b", {9}}, {"v", {257, 9}}};
  const frugal::index_t n = l.size();
  frugal::buffer<float, Backend> x(b, device_numbers<float>(n, 7)), g(b, n);
  frugal::hesso opt(frugal::momentum(b, l), {{{{"w"}, {"b"}, {"v", 1}}}},
                    {.sparsity = 0.6, .start = 1, .pruning_steps = 4, .periods = 2});
  for (std::uint32_t t = 0; t < 7; ++t) {
    if (t == 3) frugal::restore_state(opt, frugal::save_state(opt));
    frugal::to_backend(b, g.view(), device_numbers<float>(n, t));
    opt.step(x.view(), g.view());
  }
  return frugal::to_host(b, x.view());
}
bool on_device(device_backend const& b) { return trained(b) == trained(frugal::serial_backend{}); }
[[maybe_unused]] const int added = add_device_check("hesso", &on_device);
}  // namespace
