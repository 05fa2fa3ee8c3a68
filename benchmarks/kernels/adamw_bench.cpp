// SPDX-License-Identifier: Apache-2.0
#include <frugal/optim/adamw.hpp>

#include "kernels/cpu.hpp"

namespace {

void storages(bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    bench::add_stream(t, crew, model, "stream_r4w3", 2, 4);
    bench::add_stream(t, crew, model, "stream_adamw_8bit", 2, 1);
    bench::add_stream(t, crew, model, "stream_adamw_bf16", 2, 2);

    frugal::adamw full(cpu, n, {.lr = 1e-6});
    frugal::adamw packed(cpu, n, {.lr = 1e-6}, frugal::blockwise8{});
    frugal::adamw half(cpu, n, {.lr = 1e-6}, frugal::bf16_state{});
    t.add("adamw", 28, [&] { full.step(model.x, model.g); }).against("stream_r4w3", 1.10);
    // One thread spends its time on encoding; two share a memory bus that the full-precision step fills.
    t.add("adamw_8bit", 16.06, [&] { packed.step(model.x, model.g); })
        .against("adamw", threads == 1 ? 1.20 : 0.72)
        .against("stream_adamw_8bit");
    t.add("adamw_bf16", 20, [&] { half.step(model.x, model.g); }).against("adamw", 0.90).against("stream_adamw_bf16");
    s.measure(t);
  });
}

// A model in many tensors costs what one flat vector of the same size costs.
void tensors(bench::session const& s) {
  constexpr std::size_t count = 64;
  std::size_t const n = s.elements(20);
  bench::model model(n);
  bench::table t(n, 1);
  std::vector<frugal::tensor_spec> specs;
  for (std::size_t k = 0; k < count; ++k) specs.push_back({std::to_string(k), {frugal::index_t(n / count)}});

  frugal::adamw flat(frugal::serial_backend(), n, {.lr = 1e-6});
  frugal::adamw split(frugal::serial_backend(), frugal::layout(specs), {.lr = 1e-6});
  t.add("adamw_flat", 28, [&] { flat.step(model.x, model.g); });
  t.add("adamw_64_tensors", 28, [&] { split.step(model.x, model.g); }).against("adamw_flat", 1.20);
  s.measure(t);
}

bench::suite const registered("adamw", [](bench::session const& s) {
  storages(s);
  tensors(s);
});

}  // namespace
