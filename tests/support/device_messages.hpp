// SPDX-License-Identifier: Apache-2.0
// Compressors and error feedbacks on the GPU of this build's vendor: messages, sums and states must be those of the
// serial backend, bit for bit.
#pragma once
#include <frugal/core/state.hpp>

#include "device.hpp"

namespace frugal_test {

inline void append(std::vector<unsigned char>& all, void const* p, std::size_t n) {
  auto const* bytes = static_cast<unsigned char const*>(p);
  all.insert(all.end(), bytes, bytes + n);
}
template <class Backend>
void append(std::vector<unsigned char>& all, Backend const& b, frugal::buffer<float, Backend> const& x) {
  const auto here = frugal::to_host(b, x.view());
  append(all, here.data(), here.size() * sizeof(float));
}

// Messages of three rounds, what they add up to, and what the last one decodes to.
template <class C, class Backend>
std::vector<unsigned char> messages(Backend b, C how, frugal::index_t n) {
  std::vector<unsigned char> all;
  frugal::compressor code(b, n, how);
  frugal::buffer<float, Backend> x(b, device_numbers<float>(n, 7)), sum(b, device_numbers<float>(n, 8));
  for (std::uint64_t t = 0; t < 3; ++t) {
    frugal::to_backend(b, x.view(), device_numbers<float>(n, std::uint32_t(t)));
    frugal::message const& m = code.encode(x.view(), {1, t});
    append(all, m.data(), std::size_t(m.size()));
    code.add_to(sum.view(), m, -0.3, {1, t});
    code.decode(x.view(), m, {1, t});
  }
  append(all, b, sum);
  append(all, b, x);
  return all;
}
template <class C>
bool compressor_on_device(device_backend const& b, C how) {
  for (frugal::index_t n : {1, 257, 70001})
    if (messages(frugal::serial_backend{}, how, n) != messages(b, how, n)) return false;
  return true;
}

// Messages of three rounds and the states after them, restored in between.
template <template <class, class> class Feedback, class C, class Backend>
std::vector<unsigned char> rounds(Backend b, C how, frugal::index_t n) {
  std::vector<unsigned char> all;
  Feedback<C, Backend> feedback(b, n, how);
  frugal::buffer<float, Backend> g(b, n);
  for (std::uint32_t t = 0; t < 3; ++t) {
    frugal::to_backend(b, g.view(), device_numbers<float>(n, t));
    frugal::message const* m;
    if constexpr (requires { feedback.compress(g.view(), 0.1); }) m = &feedback.compress(g.view(), 0.1);
    else m = &feedback.compress(g.view());
    append(all, m->data(), std::size_t(m->size()));
    const frugal::snapshot s = frugal::save_state(feedback);
    frugal::restore_state(feedback, s);
    for (auto const& p : s.pieces) append(all, p.bytes.data(), p.bytes.size());
  }
  return all;
}
template <template <class, class> class Feedback, class... C>
bool feedback_on_device(device_backend const& b, C... how) {
  return ((rounds<Feedback>(frugal::serial_backend{}, how, 70001) == rounds<Feedback>(b, how, 70001)) && ...);
}

}  // namespace frugal_test
