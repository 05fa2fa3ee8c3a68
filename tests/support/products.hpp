// SPDX-License-Identifier: Apache-2.0
// What products.txt promises of each line: the object works, once.
#pragma once
#include <gtest/gtest.h>

#include <frugal/backend/emulated.hpp>
#include <frugal/backend/tbb.hpp>
#include <frugal/comm/loopback.hpp>
#include <frugal/frugal.hpp>

namespace frugal_test {

template <class T, class Backend>
auto memory(Backend const& b, frugal::index_t n, float value = 0) {
  std::vector<T> here;
  for (frugal::index_t i = 0; i < n; ++i) {
    const float x = value * float(i % 5 - 2);
    if constexpr (requires { T(x); }) here.push_back(T(x));
    else here.push_back(frugal::detail::narrow<T>(x));
  }
  return frugal::buffer<T, Backend>(b, here);
}
template <class T, class Backend>
bool has_changed(frugal::buffer<T, Backend> const& x, Backend const& b, frugal::index_t n) {
  const auto now = to_host(b, x.view());
  return std::memcmp(now.data(), to_host(b, memory<T>(b, n, 1).view()).data(), std::size_t(n) * sizeof(T)) != 0;
}
template <class Object>
void keeps_its_state(Object& o) {
  if constexpr (requires { o.visit_state([](auto&&...) {}); }) {
    const frugal::snapshot s = frugal::save_state(o);
    frugal::restore_state(o, s);
    EXPECT_FALSE(s.algorithm.empty());
  }
}

// Optimizers: of any types, five of them; and what mixes parameters.
template <template <class...> class O, class B, class S, class At, class P, class G, class R>
requires requires(O<B, S, At, frugal::types<P, G>, R>& o) { o.options().clip_norm; }
void use(O<B, S, At, frugal::types<P, G>, R>& o) {
  const frugal::index_t n = o.layout().size();
  auto x = memory<P>(o.backend(), n, 1);
  const auto g = memory<G>(o.backend(), n, 1);
  o.config().lr = 0.5;
  o.step(x.view(), frugal::view<G const, typename B::space>(g.view()));
  EXPECT_TRUE(has_changed(x, o.backend(), n));
  EXPECT_EQ(o.report().steps, 1);
}
// Those with matrices: SOAP's first gradient moves nothing.
template <template <class...> class O, class B, class P, class G, class R, class Provider, class S>
requires requires(O<B, frugal::types<P, G>, R, Provider, S>& o) { o.workspace_bytes(); }
void use(O<B, frugal::types<P, G>, R, Provider, S>& o) {
  const frugal::index_t n = o.layout().size();
  auto x = memory<P>(o.backend(), n, 1);
  const auto g = memory<G>(o.backend(), n, 1);
  o.config().lr = 0.5;
  for (int t = 0; t < 2; ++t) o.step(x.view(), frugal::view<G const, typename B::space>(g.view()));
  EXPECT_TRUE(has_changed(x, o.backend(), n));
  EXPECT_GE(o.report().steps, 1);
}
template <class O, class P, class G>
void use(frugal::sam<O, frugal::types<P, G>>& o) {
  const frugal::index_t n = o.layout().size();
  auto x = memory<P>(o.backend(), n, 1);
  const auto g = memory<G>(o.backend(), n, 1);
  o.optimizer().config().lr = 0.5;
  int calls = 0;
  o.step(x.view(), g.view(), [&] { ++calls; });
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(has_changed(x, o.backend(), n));
}
template <class B, class P, class G, class R, class L, class S>
void use(frugal::muon<B, frugal::types<P, G>, R, L, S>& o) {
  const frugal::index_t n = o.layout().size();
  auto x = memory<P>(o.backend(), n, 1);
  const auto g = memory<G>(o.backend(), n, 1);
  o.step(x.view(), frugal::view<G const, typename B::space>(g.view()));
  EXPECT_TRUE(has_changed(x, o.backend(), n));
}
// What turns gradients of layers, here of one without a bias, into directions; some do not at the first step.
template <class O>
requires requires(O& o) { o.has_fallen_back(); }
void use(O& o) {
  const frugal::index_t in = o.input_factor(0).rows(), out = o.output_factor(0).rows();
  const auto a = memory<float>(o.backend(), 3 * in, 1), d = memory<float>(o.backend(), 3 * out, 1);
  auto g = memory<float>(o.backend(), o.layout().size(), 1);
  using rows = frugal::mat_view<float, typename O::space>;
  o.config().refresh_every = 1;
  for (int t = 0; t < 2; ++t) {
    o.observe(0, rows(a.data(), 3, in), rows(d.data(), 3, out));
    o.precondition(g.view());
  }
  EXPECT_TRUE(has_changed(g, o.backend(), o.layout().size()));
}
template <class B, class P, class G, class R>
void use(frugal::adafactor<B, frugal::types<P, G>, R>& o) {
  const frugal::index_t n = o.layout().size();
  auto x = memory<P>(o.backend(), n, 1);
  const auto g = memory<G>(o.backend(), n, 1);
  o.config().lr = 0.5;
  o.step(x.view(), frugal::view<G const, typename B::space>(g.view()));
  EXPECT_TRUE(has_changed(x, o.backend(), n));
  EXPECT_EQ(o.report().steps, 1);
}
template <class D, class S, class P, class G, class R, class B>
void use(frugal::mezo<B, D, S, frugal::types<P, G>, R>& o) {
  const frugal::index_t n = o.layout().size();
  auto x = memory<P>(o.backend(), n, 1);
  o.config().lr = 0.5;
  double loss = 0;
  o.step(x.view(), [&] { return loss += 1; });
  EXPECT_TRUE(has_changed(x, o.backend(), n));
}
template <class Mezo, class Transport>
void use(frugal::replicas<Mezo, Transport>& o) {
  frugal::serial_backend b;
  auto x = memory<float>(b, o.optimizer().layout().size(), 1);
  double loss = 0;
  o.step(x.view(), [&] { return loss += 1; });
}
template <class B, class P, class G>
void use(frugal::roast<B, frugal::types<P, G>>& o) {
  using T = typename frugal::roast<B, frugal::types<P, G>>::shared;
  auto z = memory<T>(o.backend(), o.slots());
  auto w = memory<P>(o.backend(), o.layout().size());
  const auto g = memory<G>(o.backend(), o.layout().size(), 1);
  o.initialise(z.view());
  o.forward(frugal::view<T const, typename B::space>(z.view()), w.view());
  o.backward(frugal::view<G const, typename B::space>(g.view()), z.view());
}
template <class B>
void use(frugal::very_sparse<B>& o) {
  const auto x = memory<float>(o.backend(), o.inputs(), 1);
  auto y = memory<float>(o.backend(), o.outputs());
  o.apply(x.view(), y.view());
}
template <class C, class B>
void use(frugal::compressor<C, B>& o) {
  const frugal::index_t n = o.layout().size();
  auto x = memory<float>(o.backend(), n, 1);
  frugal::message const& m = o.encode(x.view());
  o.add_to(x.view(), {m.data(), m.size()});
  EXPECT_TRUE(has_changed(x, o.backend(), n));
}
template <class O>
requires requires(O& o) { o.compressor(); }
void use(O& o) {
  const auto g = memory<float>(o.backend(), o.layout().size(), 1);
  if constexpr (requires { o.compress(g.view(), 0.1); }) o.compress(g.view(), 0.1);
  else o.compress(g.view());
  EXPECT_EQ(o.round(), 1);
}
template <class O>
requires requires(O& o) { o.schedule(); }
void use(O& o) {
  auto x = memory<float>(o.backend(), o.layout().size(), float(o.world().rank()));
  o.step(x.view());
}
template <class Optimizer, class Mixing>
void use(frugal::d_psgd<Optimizer, Mixing>& o) {
  const frugal::index_t n = o.layout().size();
  auto x = memory<float>(o.backend(), n, 1);
  const auto g = memory<float>(o.backend(), n, 1);
  o.step(x.view(), g.view());
  EXPECT_TRUE(has_changed(x, o.backend(), n));
}
template <class Optimizer, class Identification>
void use(frugal::hesso<Optimizer, Identification>& o) {
  using parameter = typename frugal::hesso<Optimizer, Identification>::param;
  const frugal::index_t n = o.layout().size();
  auto x = memory<parameter>(o.backend(), n, 1);
  const auto g = memory<parameter>(o.backend(), n, 1);
  const frugal::view<parameter const, typename decltype(x)::space> there(g.view());
  for (int t = 0; t < 25; ++t)
    if constexpr (Identification::losses > 0) o.step(x.view(), there, [] { return 1.; });
    else o.step(x.view(), there);
  EXPECT_EQ(o.removed(), o.target());
  EXPECT_LT(o.extract(x.view()).layout.size(), n);
}
template <class Optimizer, class Transport>
void use(frugal::sharded_gradients<Optimizer, Transport>& o) {
  const frugal::index_t n = o.layout().size();
  auto x = memory<float>(o.backend(), n, 1);
  const auto g = memory<float>(o.backend(), n, 1);
  o.config().lr = 0.5;
  o.accumulate(g.view());
  o.step(x.view());
  EXPECT_TRUE(has_changed(x, o.backend(), n));
}
template <class Optimizer, class Transport>
void use(frugal::sharded<Optimizer, Transport>& o) {
  using parameter = typename frugal::sharded<Optimizer, Transport>::parameter;
  const frugal::index_t n = o.layout().size();
  auto x = memory<parameter>(o.backend(), n, 1);
  const auto g = memory<float>(o.backend(), n, 1);
  o.config().lr = 0.5;
  for (int t = 0; t < 2; ++t) o.step(x.view(), g.view());
  EXPECT_TRUE(has_changed(x, o.backend(), n));
  o.scatter(o.gather());
}

}  // namespace frugal_test

// clang-format off
#define FRUGAL_PRODUCTS_SCOPE                                                                            \
  using namespace frugal;                                                                                \
  const serial_backend cpu;                                                                              \
  const tbb_backend threads(2);                                                                          \
  const emulated_backend gpu;                                                                            \
  constexpr index_t n = 10000;                                                                           \
  const layout model({{"a", {40, 100}}, {"b", {6000}, "slow"}}, {{.name = "slow", .lr = 0.5}});
#define FRUGAL_PRODUCT(name, ...)           \
  TEST(products, name) {                    \
    auto object = __VA_ARGS__;              \
    frugal_test::use(object);               \
    frugal_test::keeps_its_state(object);   \
  }
#define FRUGAL_PRODUCT_OF_RANKS(name, ...)          \
  TEST(products, name) {                            \
    run_loopback(4, [](loopback_comm& world) {      \
      auto object = __VA_ARGS__;                    \
      frugal_test::use(object);                     \
      frugal_test::keeps_its_state(object);         \
    });                                             \
  }
