// SPDX-License-Identifier: Apache-2.0
/// @file An algorithm in one file: Signum, the sign of a running mean of gradients, of Bernstein, Wang,
/// Azizzadenesheli, Anandkumar, "signSGD: Compressed Optimisation for Non-Convex Problems", ICML 2018.
#include <cstdio>
#include <frugal/backend/emulated.hpp>
#include <frugal/frugal.hpp>

struct signum_config {
  double lr = 1e-4, beta = 0.9;
};
inline void validate(signum_config const& c) {
  frugal::require_range("lr", c.lr, 0, 1e30, true);
  frugal::require_range("beta", c.beta, 0, 1);
}

template <class T>
struct signum_rule {
  static constexpr char const* name = "signum";
  static constexpr frugal::state_info states[] = {{"m", frugal::values::any}};
  using scalar = T;
  using config = signum_config;
  struct clock {
    FRUGAL_FN void advance(config const&) {}
  };
  T lr, beta, rest;
  FRUGAL_FN signum_rule(config const& c, frugal::group_factors const& g, clock const&)
      : lr(T((frugal::exact(c.lr) * frugal::exact(g.lr)).v[0])), beta(T(c.beta)), rest(T(1 - c.beta)) {}
  FRUGAL_GENERIC template <class V>
  FRUGAL_FN void operator()(V& x, V g, V& m) const {
    m = beta * m + rest * g;
    x = x - lr * sign(m);
  }
};

template <class B, class S = frugal::full, class At = frugal::all, class T = frugal::types<>>
using signum = frugal::element_optimizer<signum_rule, B, S, At, T>;

template <class Optimizer>
std::vector<float> train(Optimizer opt) {  // towards (0, 1/3, 2/3, ..., 0, 1/3, ...)
  frugal::buffer x(opt.backend(), std::vector<float>(5000, 1.f)), g(opt.backend(), std::vector<float>(5000));
  for (int t = 0; t < 20; ++t) {
    std::vector<float> gradient = to_host(opt.backend(), x.view());
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] -= float(i % 7) / 3;
    to_backend(opt.backend(), g.view(), gradient);
    opt.step(x.view(), g.view());
  }
  return to_host(opt.backend(), x.view());
}

int main() {  // Lion with equal betas is the same method, and every backend gives the same bits
  using cpu = frugal::serial_backend;
  using gpu = frugal::emulated_backend;
  const auto x = train(signum<cpu>({}, 5000, {.lr = 0.01}));
  const bool lion = x == train(frugal::lion(cpu(), 5000, {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.9}));
  const bool emulated = x == train(signum<gpu>(gpu({.seed = 3, .lanes = 7}), 5000, {.lr = 0.01}));
  const auto x8 = train(signum<cpu, frugal::blockwise8>({}, 5000, {.lr = 0.01}));
  const bool packed = x8 == train(signum<gpu, frugal::blockwise8>(gpu(), 5000, {.lr = 0.01}));
  std::printf("signum: as lion %d, on an emulated GPU %d, with 8-bit states %d\n", lion, emulated, packed);
  return lion && emulated && packed ? 0 : 1;
}
