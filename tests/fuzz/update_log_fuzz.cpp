// SPDX-License-Identifier: Apache-2.0
// Logs of MeZO's steps: all steps of one are made, or none.
#include <frugal/backend/serial.hpp>
#include <frugal/zeroth_order/update_log.hpp>

#include <cmath>
#include <optional>

#include "fuzz.hpp"

namespace {
using namespace frugal_fuzz;
using updates = std::vector<frugal::mezo_update>;

// A payload read once more, by the table in the documentation.
std::optional<updates> steps_of(bytes const& payload, bool has_momentum) {
  updates all;
  std::size_t at = 0;
  const auto left = [&] { return payload.size() - at; };
  const auto number = [&] {
    double x;
    memcpy(&x, payload.data() + at, 8), at += 8;
    return x;
  };
  while (left() > 0) {
    if (left() < 32) return {};
    frugal::mezo_update u{std::int64_t(all.size()) + 1, number(), number(), number(), {}};
    std::uint64_t n;
    memcpy(&n, payload.data() + at, 8), at += 8;
    if (n > left() / 8) return {};
    for (std::uint64_t k = 0; k < n; ++k) u.scalars.push_back(number());
    const auto in = [](double x, double most) { return x >= 0 && x <= most; };
    bool fine = in(u.lr, 1e30) && in(u.weight_decay, 1e30) && in(u.lr * u.weight_decay, 1);
    fine = fine && in(u.momentum, 1) && u.momentum < 1 && (has_momentum || u.momentum == 0);
    for (double p : u.scalars) fine = fine && std::isfinite(p);
    if (!fine) return {};
    all.push_back(std::move(u));
  }
  return all;
}
}  // namespace

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  script s(data, size);
  const index_t n = s.below(40);
  const bool momentum = s.flag();
  const index_t damage = s.number() & 8 ? 1 + s.below(64) : 0;
  const auto make = [&] {
    return frugal::mezo(frugal::serial_backend{}, n, {.momentum = momentum ? 0.5 : 0, .seed = 3}, frugal::rademacher{});
  };
  auto zo = make(), reference = make();
  // A message of some steps, most of them sensible, as somebody would send it who knows the format.
  bytes payload;
  for (index_t steps = s.below(4); steps > 0; --steps) {
    double const plain[] = {0.25, s.flag() ? 0.5 : 0, momentum && s.flag() ? 0.5 : 0};
    std::uint64_t words[6] = {0, 0, 0, std::uint64_t(s.below(3)), 0, 0};
    memcpy(words, plain, sizeof plain);
    for (double p : {1.5, -2.}) memcpy(words + (p > 0 ? 4 : 5), &p, 8);
    if (s.number() > 200) words[s.below(6)] = s.number(8);
    std::uint8_t const* w = reinterpret_cast<std::uint8_t const*>(words);
    payload.insert(payload.end(), w, w + 32 + 8 * (words[3] <= 2 ? words[3] : 2));
  }
  const bytes rest = s.rest();
  payload.insert(payload.end(), rest.begin(), rest.end());

  const auto room = index_t(payload.size());
  const std::string name = zo.algorithm();
  frugal::message m({name, zo.state_layout(), n, room, 8 * std::uint64_t(room)});
  if (room > 0) memcpy(m.payload(), payload.data(), payload.size());
  m.seal({0, 1});
  bytes sent(m.data(), m.data() + m.size());
  if (damage) sent[std::size_t(damage - 1)] ^= 1;

  const auto expected = damage ? std::nullopt : steps_of(payload, momentum);
  floats x = numbers(n, 7), y = x;
  bool ok = true;
  const heap_use heap;
  try {
    frugal::update_log::replay(zo, x, sent);
  } catch (frugal::invalid_argument const&) {
    ok = false;
  }
  must(heap.bytes() < 20 * sent.size() + 10000, "a log takes memory for what it holds");
  must(ok == expected.has_value(), "a log is taken if all its steps can be made, and not otherwise");
  if (expected)
    for (frugal::mezo_update const& u : *expected) reference.apply(y, u);
  must(same_values(x, y), "the steps of a log, or nothing");
  must(zo.steps() == reference.steps(), "the count of steps");
  return 0;
}
