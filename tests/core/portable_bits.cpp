// SPDX-License-Identifier: Apache-2.0
// Digests of bits from every kind of kernel, with the library alone: to be compared between processors (aarch64.sh).
#include <frugal/core/primitives.hpp>
#include <frugal/core/random_format.hpp>
#include <frugal/frugal.hpp>

#include <cstdio>

namespace {
const frugal::serial_backend cpu;
constexpr int n = 21000;

std::vector<float> numbers(std::uint64_t seed, int count = n) {
  std::vector<float> v(static_cast<std::size_t>(count), 0.f);
  for (std::size_t i = 0; i < v.size(); ++i) {
    const std::uint32_t w = frugal::random_stream{seed}.word(0, i);
    v[i] = frugal::u11(w) * float(1 << (w & 15)) * 0x1p-8f;
  }
  return v;
}
template <class T>
void say(char const* name, std::vector<T> const& v) {
  std::printf("%s %016llx\n", name, static_cast<unsigned long long>(frugal::word_hash(v.data(), v.size() * sizeof(T))));
}
template <class Optimizer>
void train(Optimizer opt) {
  auto x = numbers(1);
  opt.options().clip_norm = 2;
  for (std::uint64_t t = 0; t < 10; ++t) opt.step(x, numbers(2 + t));
  say(opt.algorithm().c_str(), x);
  for (auto const& p : frugal::save_state(opt).pieces) say(p.name.c_str(), p.bytes);
}
template <class C>
void compress(C how) {
  frugal::ef21 feedback(cpu, n, how);
  auto x = numbers(1);
  for (std::uint64_t t = 0; t < 3; ++t) {
    frugal::message const& m = feedback.compress(numbers(t));
    feedback.add_to(x, {m.data(), m.size()}, 0.3, {0, t});
    say(C::name, std::vector<unsigned char>(m.data(), m.data() + m.size()));
  }
  say("sum", x);
}
template <class Direction>
void probe(char const* name, Direction kind) {
  auto x = numbers(1);
  frugal::mezo zo(cpu, n, {.lr = 1e-3, .weight_decay = 0.1, .momentum = 0.5, .seed = 5}, kind);
  for (int t = 0; t < 3; ++t) zo.step(x, [&] { return frugal::sum_of_squares(cpu, x); });
  say(name, x);
}
}  // namespace

int main() {
  frugal::require_random_format(cpu);
  train(frugal::momentum(cpu, n, {.nesterov = true}));
  train(frugal::adamw(cpu, n));
  train(frugal::adamw(cpu, n, {}, frugal::bf16_state{}));
  train(frugal::adamw(cpu, n, {}, frugal::blockwise8{}));
  train(frugal::lion(cpu, n, {}, frugal::mask{std::vector<std::uint8_t>(n, 1)}));
  train(frugal::lion(cpu, n, {}, frugal::blockwise8{}));
  compress(frugal::identity{});
  compress(frugal::top_k{.ratio = 0.01});
  compress(frugal::scaled_sign{.block = 256});
  probe("rademacher", frugal::rademacher{});
  probe("gaussian", frugal::gaussian{});
  probe("spherical", frugal::spherical{});
  frugal::roast shared(cpu, n, {.compression = 8});
  std::vector<float> z(std::size_t(shared.slots())), dz(z), w(n);
  shared.initialise(z);
  shared.forward(z, w);
  shared.backward(numbers(3), dz);
  say("roast", w);
  say("roast", dz);
  for (double s : {3., 150.}) {
    frugal::very_sparse project(cpu, n, 100, {.s = s});
    std::vector<float> y(100);
    project.apply(numbers(4), y);
    project.add_transpose(y, w);
    say("very_sparse", y);
    say("very_sparse", w);
  }
  std::printf("sums %a %a\n", frugal::sum(cpu, w), frugal::sum_of_squares(cpu, w));
}
