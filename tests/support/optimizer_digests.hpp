// SPDX-License-Identifier: Apache-2.0
// What steps of the element rules give on every backend: the suite holds serial to these digests, and a device is
// compared with them, in a program that then needs no other backend.
#pragma once
#include <frugal/core/layout.hpp>
#include <string_view>

#include "device_numbers.hpp"

namespace frugal_test {

struct optimizer_digest {
  std::string_view algorithm;
  std::uint64_t value;
};
inline constexpr optimizer_digest optimizer_digests[] = {
    {"adam/full", 11622372403770569909u},
    {"adam/bf16", 16184089517997229666u},
    {"adam/blockwise8", 7607457363387005948u},
    {"adagrad/full", 13273528998898247799u},
    {"adagrad/bf16", 13176576414186631670u},
    {"adagrad/blockwise8", 1499248774542705662u},
    {"adamw/full", 12769407133328890813u},
    {"adamw/bf16", 13592769173454598070u},
    {"adamw/blockwise8", 15600470939344649480u},
    {"lamb/full", 8306599837286723111u},
    {"lamb/bf16", 14265247215593733323u},
    {"lamb/blockwise8", 14182429466133864892u},
    {"lars/full", 2549738343618544430u},
    {"lars/bf16", 8356381317938646402u},
    {"lars/blockwise8", 1769067688220337999u},
    {"lion/full", 4187884335498856238u},
    {"lion/bf16", 5755456493142659978u},
    {"lion/blockwise8", 9443005796719849504u},
    {"momentum/full", 14742043682970400343u},
    {"momentum/bf16", 998203700818906588u},
    {"momentum/blockwise8", 6986632301983458695u},
    {"nadamw/full", 4557047099953012875u},
    {"nadamw/bf16", 7207075933586076836u},
    {"nadamw/blockwise8", 1551073011582367827u},
    {"rmsprop/full", 1101649044454135543u},
    {"rmsprop/bf16", 9106509103935054599u},
    {"rmsprop/blockwise8", 8122512323643498551u},
    {"schedule_free_adamw/full", 16065058597134909019u},
    {"schedule_free_adamw/bf16", 3343083864081074201u},
    {"schedule_free_adamw/blockwise8", 17846191609764189765u},
};
// Null: it has none.
inline optimizer_digest const* digest_for(std::string_view algorithm) {
  for (auto const& d : optimizer_digests)
    if (d.algorithm == algorithm) return &d;
  return nullptr;
}

// The steps: five of clipped gradients with a rate of 0.01 and a decay of 0.05, of which the last two are taken twice
// from a saved state. Of these models, one after the other.
inline std::vector<frugal::layout> const& digest_models() {
  static const std::vector<frugal::layout> all{4097, {{"w", {300, 70}}, {"b", {70}}, {"v", {5000}}}};
  return all;
}
// `step(gradient)`, `keep()` and `back()` are the optimizer's; `x()` what it has made of device_numbers(n, 7).
template <class Step, class Keep, class Back, class X>
std::uint64_t digest_of_steps(frugal::index_t n, std::uint64_t seed, Step const& step, Keep const& keep,
                              Back const& back, X const& x) {
  const auto add = [&] {
    const std::vector<float> now = x();
    seed = frugal::word_hash(now.data(), now.size() * sizeof(float), seed);
  };
  const auto steps = [&](std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t t = first; t < last; ++t) step(device_numbers<float>(n, t));
    add();
  };
  steps(1, 4);
  keep();
  steps(4, 6);
  back();
  steps(4, 6);
  return seed;
}

}  // namespace frugal_test
