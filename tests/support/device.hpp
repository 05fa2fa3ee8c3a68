// SPDX-License-Identifier: Apache-2.0
// One algorithm on the GPU of this build's vendor, explicitly instantiated; its results must be those of the serial
// backend, bit for bit.
#pragma once
#include <frugal/backend/serial.hpp>
#include <frugal/core/element_optimizer.hpp>

#include "device_check.hpp"
#include "optimizer_digests.hpp"

namespace frugal_test {

// Is what an element rule makes of some steps what its digest says? `config` is used but for its rate and its
// decay, which are those of the digests.
template <template <class...> class Optimizer, class Storage>
bool same_on_device(device_backend const& b, Storage storage,
                    typename Optimizer<device_backend>::config_type config = {}) {
  std::uint64_t digest = 0;
  std::string algorithm;
  config.lr = 0.01;
  config.weight_decay = 0.05;
  for (frugal::layout const& l : digest_models()) {
    frugal::buffer<float, device_backend> x(b, device_numbers<float>(l.size(), 7)), g(b, l.size());
    Optimizer<device_backend, Storage> opt(b, l, config, storage);
    opt.options().clip_norm = 1;
    opt.options().skip_nonfinite = true;
    frugal::snapshot saved;
    digest = digest_of_steps(
        l.size(), digest,
        [&](std::vector<float> const& gradient) {
          frugal::to_backend(b, g.view(), gradient);
          opt.step(x.view(), g.view());
        },
        [&] { saved = frugal::save_state(opt); }, [&] { frugal::restore_state(opt, saved); },
        [&] { return frugal::to_host(b, x.view()); });
    algorithm = opt.algorithm();
  }
  const auto expected = digest_for(algorithm);
  return expected && expected->value == digest;
}

// All storages in float.
template <template <class...> class Optimizer>
bool optimizer_on_device(device_backend const& b, typename Optimizer<device_backend>::config_type const& config = {}) {
  return same_on_device<Optimizer>(b, frugal::full{}, config) &&
         same_on_device<Optimizer>(b, frugal::bf16_state{}, config) &&
         same_on_device<Optimizer>(b, frugal::blockwise8{}, config);
}

}  // namespace frugal_test

// Every member of the products that are checked, and of bf16 parameters with full states, called or not.
#define FRUGAL_TEST_OPTIMIZER(RULE, STORAGE, ...) \
  template class frugal::element_optimizer<RULE, frugal_test::device_backend, STORAGE, frugal::all, __VA_ARGS__>;
#define FRUGAL_TEST_INSTANTIATE(RULE)                              \
  FRUGAL_TEST_OPTIMIZER(RULE, frugal::full, frugal::types<>)       \
  FRUGAL_TEST_OPTIMIZER(RULE, frugal::bf16_state, frugal::types<>) \
  FRUGAL_TEST_OPTIMIZER(RULE, frugal::blockwise8, frugal::types<>) \
  FRUGAL_TEST_OPTIMIZER(RULE, frugal::full, frugal::types<frugal::bf16>)
