// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/zero_one_adam.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("zero_one_adam", [](bench::session const& s) {
  std::size_t const n = s.elements();
  bench::model model(n);
  bench::crew crew(1);
  bench::table t(n, 1);
  bench::add_stream(t, crew, model, "stream_r4w3", 2, 4);

  frugal::serial_backend const cpu;
  frugal::zero_one_adam opt(cpu, n, {.lr = 1e-6}), local(cpu, n, {.lr = 1e-6, .freeze_step = 1});
  t.add("zero_one_adam", 28, [&] { opt.step(model.x, model.g); }).against("stream_r4w3", 1.10);
  // A local step that ends in a meeting: the step, z of x, x0 and v, the meeting with z in place of g, x0 anew.
  local.step(model.x, model.g);
  t.add("zero_one_adam_meeting", 28 + 16 + 32 + 8, [&] {
     local.step(model.x, model.g);
     local.difference(model.x, model.v);
     local.meet(model.x, model.v);
   }).against("zero_one_adam");
  s.measure(t);
});

}  // namespace
