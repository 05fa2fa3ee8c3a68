// SPDX-License-Identifier: Apache-2.0
// One algorithm on the GPU of this build's vendor, explicitly instantiated; its results must be those of the serial
// backend, bit for bit.
#pragma once
#include <frugal/backend/serial.hpp>
#include <frugal/core/element_optimizer.hpp>

#include "device_check.hpp"
#include "device_numbers.hpp"

namespace frugal_test {

// Step, save, continue; restore, continue: the parameters' bytes after each.
template <template <class...> class Optimizer, class Types, class Backend, class Storage>
std::vector<unsigned char> train(Backend b, frugal::layout const& l, Storage storage) {
  using P = typename Types::param;
  std::vector<unsigned char> bytes;
  const auto start = device_numbers<P>(l.size(), 7);
  frugal::buffer<P, Backend> x(b, start), g(b, l.size());
  Optimizer<Backend, Storage, frugal::all, Types> opt(b, l, {.lr = 1e-2, .weight_decay = 0.05}, storage, Types{});
  opt.options().clip_norm = 1;
  opt.options().skip_nonfinite = true;
  const auto steps = [&](std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t t = first; t < last; ++t) {
      frugal::to_backend(b, g.view(), device_numbers<P>(l.size(), t));
      opt.step(x.view(), g.view());
    }
    const auto now = frugal::to_host(b, x.view());
    bytes.insert(bytes.end(), reinterpret_cast<unsigned char const*>(now.data()),
                 reinterpret_cast<unsigned char const*>(now.data() + now.size()));
  };
  steps(1, 4);
  const frugal::snapshot saved = frugal::save_state(opt);
  steps(4, 6);
  frugal::restore_state(opt, saved);
  steps(4, 6);
  return bytes;
}

template <template <class...> class Optimizer, class Types = frugal::types<>, class Storage>
bool same_on_device(device_backend const& b, Storage storage) {
  for (frugal::layout const& l : {frugal::layout(4097), frugal::layout{{"w", {300, 70}}, {"b", {70}}, {"v", {5000}}}})
    if (train<Optimizer, Types>(frugal::serial_backend{}, l, storage) != train<Optimizer, Types>(b, l, storage))
      return false;
  return true;
}

// All storages in float, and bf16 parameters with full states.
template <template <class...> class Optimizer>
bool optimizer_on_device(device_backend const& b) {
  return same_on_device<Optimizer>(b, frugal::full{}) && same_on_device<Optimizer>(b, frugal::bf16_state{}) &&
         same_on_device<Optimizer>(b, frugal::blockwise8{}) &&
         same_on_device<Optimizer, frugal::types<frugal::bf16>>(b, frugal::full{});
}

}  // namespace frugal_test

// Every member of the products that are checked, called or not.
#define FRUGAL_TEST_OPTIMIZER(RULE, STORAGE, ...) \
  template class frugal::element_optimizer<RULE, frugal_test::device_backend, STORAGE, frugal::all, __VA_ARGS__>;
#define FRUGAL_TEST_INSTANTIATE(RULE)                              \
  FRUGAL_TEST_OPTIMIZER(RULE, frugal::full, frugal::types<>)       \
  FRUGAL_TEST_OPTIMIZER(RULE, frugal::bf16_state, frugal::types<>) \
  FRUGAL_TEST_OPTIMIZER(RULE, frugal::blockwise8, frugal::types<>) \
  FRUGAL_TEST_OPTIMIZER(RULE, frugal::full, frugal::types<frugal::bf16>)
