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
        .against("adamw", threads == 1 ? 1.12 : 0.66)
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

// Parameters and gradients of 16 bits, float states: what rounding at random and a float master cost. The limits move
// the same bytes in place.
template <class P>
void sixteen_bits(bench::session const& s, std::string const& name) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    std::vector<P> x(n), g(n);
    for (std::size_t i = 0; i < n; ++i) {
      x[i] = frugal::detail::narrow<P>(1.f);
      g[i] = frugal::detail::narrow<P>(float(i % 1001) * 1e-5f - 5e-3f);
    }
    std::vector<float> halves(n), m(n), v(n), master(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    auto const limit = [&](bool copied) {
      return [&, copied] {
        crew.run(n, [&](std::size_t begin, std::size_t end) {
          constexpr std::size_t tile = 16384;
          for (std::size_t i = begin; i < end; i += tile) {
            std::size_t const k = std::min(tile, end - i);
            bench::stream<2, 1>({halves.data() + i / 2, halves.data() + (n + i) / 2}, k / 2);  // x and g
            bench::stream<2, 2>({m.data() + i, v.data() + i}, k);
            if (copied) bench::stream<1, 1>({master.data() + i}, k);
          }
        });
      };
    };
    frugal::adamw nearest(cpu, n, {.lr = 1e-6}, frugal::types<P>{});
    frugal::adamw random(cpu, n, {.lr = 1e-6}, frugal::types<P>{}, frugal::stochastic{.seed = 1});
    frugal::adamw copied(cpu, n, {.lr = 1e-6}, frugal::types<P>{}, frugal::float_master{});
    std::string const stream = "stream_adamw_of_" + name, stream_master = stream + "_master",
                      plain = "adamw_of_" + name;
    t.add(stream, 22, limit(false));
    t.add(stream_master, 30, limit(true));
    t.add(plain, 22, [&] { nearest.step(x, g); }).against(stream);
    t.add(plain + "_stochastic", 22, [&] { random.step(x, g); }).against(stream).against(plain);
    t.add(plain + "_master", 30, [&] { copied.step(x, g); }).against(stream_master).against(plain);
    s.measure(t);
  });
}

bench::suite const registered("adamw", [](bench::session const& s) {
  storages(s);
  sixteen_bits<frugal::bf16>(s, "bf16");
  sixteen_bits<frugal::half>(s, "half");
  tensors(s);
});

}  // namespace
